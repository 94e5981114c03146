"""The unmodified daemon without --sim, the shim below its own processes (T1): what it reads, how it dies."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.system.kitchen import REPOSITORY, Broker, Kitchen, wait_for
from tests.system.line_report import Death, Report
from tests.system.memory_limit import kills, starved
from tests.system.test_faults import SAFE_LEVELS, light_and_gas
from tests.system.wired import wired

SOAK = os.environ.get("KG_SOAK") == "1"
KILLS = 100 if SOAK else 5
SEED = 2026
SAFE_WITHIN_US = 100_000
SAFE_STATE = str(REPOSITORY / "libexec" / "safe-state")
ONE_OF_EACH = {  # bus → a point that is read over it
    "I2C": "walkin_air.temperature",
    "I2C, a transmitter": "fryer_oil.temperature",
    "1-Wire": "walkin_core.temperature",
    "Modbus": "mains.voltage",
    "serial": "stock_scale.weight",
    "GPIO": "fan_proving.closed",
    "MQTT": "oven_plug.power",
}

pytestmark = pytest.mark.timeout(3600 if SOAK else 120)


def with_plug(text: str, port: int) -> str:
    """The kitchen with a device on the network, which the field process reads."""
    bus = f'buses:\n  network: {{type: mqtt, url: "mqtt://127.0.0.1:{port}"}}'
    device = (
        "devices:\n  oven_plug: {driver: mqtt, bus: network, every: 1 s, topic: oven/power, stale_after: 1 h, "
        "channels: {power: {unit: W}}}"
    )
    return text.replace("buses:", bus, 1).replace("devices:", device, 1)


def publish(port: int) -> None:
    """The plug says what it measures."""
    words = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-t", "oven/power", "-m", "1500"]
    subprocess.run(words, check=True)


def maps_shim(pid: int) -> bool:
    """Whether the shim is in the process."""
    return "/kg-shim-" in Path(f"/proc/{pid}/maps").read_text()


def all_good(kitchen: Kitchen, port: int) -> bool:
    """Whether each bus gives readings; the plug speaks once more."""
    publish(port)
    points = kitchen.points()
    return all(points[name]["quality"] == "Good" for name in ONE_OF_EACH.values())


def test_the_daemon_works_on_wires_it_takes_for_real(broker: Broker) -> None:
    """All its processes, without --sim and without our injection: every bus reads, and a leak closes the valve."""
    with wired(broker=broker, edit=partial(with_plug, port=broker.port)) as made:
        made.start()
        wait_for("readings over every bus", partial(all_good, made, broker.port))
        for name in ("control", "field", "recorder", SAFE_STATE):
            assert maps_shim(made.pid(name)), name
        wait_for("gas flows", lambda: made.output("gas_valve")["driven"])
        leaks_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        made.sim("gas_leak on")
        wait_for("the valve closes", lambda: made.output("gas_valve")["driven"] is False)
        control = made.pid("control")
        closed = [row for row in made.lines() if row["line"] == "GPIO17" and row["t_ns"] > leaks_ns]
        assert [(row["level"], row["why"], row["pid"]) for row in closed] == [(0, "set", control)]
        assert made.ask().connection.hello["sim"] is False
        assert "on real hardware" in made.log.read_text()


# how it dies


class Deaths:
    """Brings control to its end again and again, and remembers when."""

    def __init__(self, kitchen: Kitchen) -> None:
        self.kitchen = kitchen
        self.all: list[Death] = []

    def outputs_on(self) -> None:
        """Wait until there is something to make safe, an active-low line among it."""
        wait_for("gas and light are on", partial(light_and_gas, self.kitchen), 30.0)

    def send(self, number: signal.Signals) -> None:
        """A signal to control; returns when its successor runs."""
        pid = self.kitchen.pid("control")  # looked up before: the search takes milliseconds
        self.all.append(Death(number.name, pid, time.clock_gettime_ns(time.CLOCK_BOOTTIME)))
        os.kill(pid, number)
        self._again(pid)

    def starve(self) -> int:
        """Control gets no more memory; returns the number of out-of-memory kills when its successor runs."""
        pid = self.kitchen.pid("control")
        with starved(pid) as events:
            self.all.append(Death("OOM", pid, time.clock_gettime_ns(time.CLOCK_BOOTTIME)))
            asking: list[object] = []  # each peer costs control a little memory, which it does not get
            wait_for("control has died", lambda: self._ask_on(asking) or pid not in self.kitchen.pids("control"))
            count = kills(events)
        self._again(pid)
        return count

    def _ask_on(self, asking: list[object]) -> bool:
        """One more peer; False, also when nobody answers any more."""
        with contextlib.suppress(OSError):
            asking.append(self.kitchen.ask())
        return False

    def _again(self, pid: int) -> None:
        wait_for("control again", partial(self.kitchen.successor, "control", pid))


def kill_at_random(deaths: Deaths) -> None:
    """Every third time all has long been running; otherwise control has just started, or is starting still."""
    chance = random.Random(SEED)
    for number in range(KILLS):
        if number % 3 == 0:
            deaths.outputs_on()
            time.sleep(chance.uniform(0, 0.3))
        else:
            time.sleep(chance.uniform(0, 1.5))
        deaths.send(signal.SIGKILL)


def end_otherwise(deaths: Deaths) -> None:
    """A clean stop, a restart, the end of the machine's memory, a restart."""
    deaths.outputs_on()
    deaths.send(signal.SIGTERM)
    deaths.outputs_on()
    assert deaths.starve() == 1
    deaths.outputs_on()


@pytest.mark.parametrize("end", [kill_at_random, end_otherwise])
@pytest.mark.parametrize("strict", [False, True], ids=["persisting", "strict"])
def test_no_line_leaves_its_safe_level(strict: bool, end: Callable[[Deaths], None], tmp_path: Path) -> None:
    """However control ends, on both kernels: lines are claimed safe, are safe at once and stay so until a decision."""
    with wired(strict=strict) as kitchen:
        deaths = Deaths(kitchen.start())
        kitchen.sim("set fryer.oil 150")
        try:
            end(deaths)
            wait_for("control decides again", lambda: kitchen.output("hood_fan")["driven"], 30.0)
        finally:
            report = Report.of(kitchen.lines(), deaths.all, SAFE_LEVELS, strict)
            keep(report.table(), tmp_path, f"{end.__name__}-{'strict' if strict else 'persisting'}.txt")
        assert report.problems() == []
        assert len(report.energised(1)) >= 3, "there was too little to make safe"
        killed = [number for number, death in enumerate(deaths.all, 1) if death.how == "SIGKILL"]
        late = {number: report.safe_us(number) for number in killed if report.safe_us(number) > SAFE_WITHIN_US}
        assert late == {}, "kill → µs until all lines were safe"
        wait_for("the log tells every line's level", partial(log_is_complete, kitchen), 5.0)


def log_is_complete(kitchen: Kitchen) -> bool:
    """Whether the last change of each output's line in the log is the level it has; one may change meanwhile."""
    logged = {row["line"]: row["level"] for row in kitchen.lines() if row["line"] in SAFE_LEVELS}
    levels = kitchen.sim("levels")["levels"]
    return logged == {line: levels[line] for line in logged}


def keep(table: str, directory: Path, name: str) -> None:
    """Write the report down, and print it for whoever sees this test fail; `make soak` collects it."""
    (directory / name).write_text(table)
    if reports := os.environ.get("KG_REPORTS"):
        Path(reports, name).write_text(table)
    print(table)
