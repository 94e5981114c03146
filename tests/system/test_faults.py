"""Kills, stalls, outages, full disks: nothing in the kitchen notices, nothing acknowledged is lost."""

import os
import signal
import sqlite3
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from tests.system.kitchen import Broker, Kitchen, wait_for

SOAK = os.environ.get("KG_SOAK") == "1"
KILLS = 50 if SOAK else 5
STALL_S = 60.0 if SOAK else 10.0
OUTAGE_S = 60.0 if SOAK else 10.0
SAFE_LEVELS = {"GPIO17": 0, "GPIO22": 0, "GPIO23": 0, "GPIO24": 0, "GPIO27": 0, "GPIO25": 0, "GPIO18": 0, "GPIO10": 1}
SAFE_WITHIN_NS = 100_000_000

pytestmark = pytest.mark.timeout(1800 if SOAK else 120)


def fast(text: str) -> str:
    """The kitchen under load: everything an order of magnitude more often."""
    return (
        text.replace("every: 200 ms", "every: 100 ms")
        .replace("every: 2 s", "every: 200 ms")
        .replace("every: 1 s", "every: 500 ms")
    )


def stored(kitchen: Kitchen) -> dict[tuple[str, str], set[int]]:
    """(run, lane) → the record numbers committed in the recorder's files, read independently of its code."""
    numbers: dict[tuple[str, str], set[int]] = {}
    for name, lane in (("outbox.db", "telemetry"), ("critical.db", "events")):
        with sqlite3.connect(f"file:{kitchen.state}/recorder/{name}?mode=ro", uri=True, timeout=10) as database:
            for run, first, count in database.execute("SELECT run, first, count FROM record WHERE first IS NOT NULL"):
                numbers.setdefault((run, lane), set()).update(range(first, first + count))
    return numbers


def arrived(broker: Broker, kept: set[int], run: str, lane: str) -> bool:
    """Whether the independent subscriber has seen every one of these numbers."""
    return kept <= set(broker.numbers(lane).get(run, ()))


def prove_nothing_lost(kitchen: Kitchen, broker: Broker) -> None:
    """All that is stored arrives, without a hole per run and lane; nothing counts twice; the accounts add up."""
    before = stored(kitchen)
    accounts = wait_for("the recorder's accounts", kitchen.accounts)  # it may have been killed a moment ago
    after = stored(kitchen)
    for (run, lane), kept in before.items():
        wait_for(
            f"all {len(kept)} stored {lane} of run {run} received",
            partial(arrived, broker, kept, run, lane),
            60.0,
        )
        received = set(broker.numbers(lane)[run])
        assert received == set(range(1, max(received) + 1)), f"a hole in {lane} of run {run}"
    for name, account in accounts.items():
        assert account["captured"] == sum(v for k, v in account.items() if k != "captured"), (name, account)
    for lane in ("telemetry", "events"):
        least, most = (sum(len(n) for (_run, of), n in seen.items() if of == lane) for seen in (before, after))
        captured = sum(a["captured"] for name, a in accounts.items() if (name == "telemetry") == (lane == "telemetry"))
        assert least <= captured <= most, f"{lane}: captured {captured}, distinct identities {least} to {most}"


@pytest.mark.parametrize("process", ["control", "field", "recorder"])
def test_kill_9_under_load_loses_nothing_acknowledged(process: str, broker: Broker) -> None:
    """kill -9, again and again, with a real broker and an independent subscriber: no hole, no loss, no double count."""
    with Kitchen(broker, edit=fast) as kitchen:
        wait_for("telemetry flows", lambda: broker.numbers("telemetry"), 20.0)
        for _ in range(KILLS):
            run = kitchen.ask().connection.hello["run"]
            wait_for("this run's readings at the broker", partial(arrived, broker, {1}, run, "telemetry"), 30.0)
            pid = kitchen.pid(process)
            os.kill(pid, signal.SIGKILL)
            wait_for(f"a new {process}", partial(kitchen.successor, process, pid))
            wait_for("readings go on", kitchen.points)
            before = kitchen.point("fryer_oil.temperature")["time"]
            wait_for("a fresh reading", partial(kitchen.fresh, "fryer_oil.temperature", before))
        run = kitchen.ask().connection.hello["run"]
        wait_for("the last run's readings at the broker", partial(arrived, broker, {1}, run, "telemetry"), 30.0)
        prove_nothing_lost(kitchen, broker)
        assert len(broker.numbers("telemetry")) == (KILLS + 1 if process == "control" else 1)


def test_control_killed_every_line_is_safe_at_once(broker: Broker) -> None:
    """When control dies the safe-state program has every line safe within 0.1 s, on a kernel that keeps levels."""
    with Kitchen(broker) as kitchen:
        kitchen.sim("set fryer.oil 150")
        for _ in range(KILLS):
            wait_for("gas and light are on", lambda: light_and_gas(kitchen), 30.0)
            pid = kitchen.pid("control")  # looked up before: a search through /proc is not the gateway's time
            killed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            os.kill(pid, signal.SIGKILL)
            wait_for("the lines are safe", partial(safe_after, kitchen, killed_ns), 5.0)
            assert safe_after(kitchen, killed_ns) - killed_ns <= SAFE_WITHIN_NS
            wait_for("control again", kitchen.points)


def light_and_gas(kitchen: Kitchen) -> bool:
    """True while two outputs of opposite polarity are energised; asks for the light."""
    light = kitchen.output("walkin_light")
    if not light["value"]:
        kitchen.command("set", "walkin_light", value=True, for_s=600.0, reason="test")
    return bool(light["value"] and kitchen.output("gas_valve")["value"])


def safe_after(kitchen: Kitchen, since_ns: int) -> int:
    """When the last line reached its safe level after `since_ns` (CLOCK_BOOTTIME); 0 while one is not safe."""
    levels: dict[str, tuple[int, int]] = {}
    for row in kitchen.lines():
        levels[row["line"]] = (row["level"], row["t_ns"])
        if row["t_ns"] > since_ns and all(levels.get(n, (safe, 0))[0] == safe for n, safe in SAFE_LEVELS.items()):
            return int(row["t_ns"])
    return 0


def reactions(kitchen: Kitchen, count: int) -> list[float]:
    """Seconds from the door contact's edge on the wire to the light's line, `count` times."""
    seen = []
    for _ in range(count):
        kitchen.sim("door walkin open")
        wait_for("the light goes on", lambda: kitchen.output("walkin_light")["driven"], 5.0)
        rows = kitchen.lines()
        opened = max(row["t_ns"] for row in rows if row["line"] == "GPIO6")
        lit = max(row["t_ns"] for row in rows if row["line"] == "GPIO10")
        seen.append((lit - opened) / 1e9)
        kitchen.sim("door walkin close")
        wait_for("the light goes off", lambda: not kitchen.output("walkin_light")["driven"], 5.0)
    return seen


def lively(text: str) -> str:
    """The light follows the door at once."""
    return fast(text).replace("off_delay: 30 s", "off_delay: 0 s")


@pytest.mark.parametrize("stalled", ["recorder", "log reader"])
def test_a_stalled_neighbour_changes_nothing_in_control(stalled: str, broker: Broker, tmp_path: Path) -> None:
    """SIGSTOP of the recorder or of whoever reads the logs: outputs still follow in time, nothing is missing later."""
    with Kitchen(broker, edit=lively) as kitchen:
        wait_for("telemetry flows", lambda: broker.numbers("telemetry"), 20.0)
        run = kitchen.run
        assert run is not None
        victim = kitchen.pid("recorder") if stalled == "recorder" else run.pid
        os.kill(victim, signal.SIGSTOP)
        deadline = time.monotonic() + STALL_S
        try:
            while time.monotonic() < deadline:
                assert max(reactions(kitchen, 3)) < 0.5, "an output waited for a stalled neighbour"
        finally:
            os.kill(victim, signal.SIGCONT)
        prove_nothing_lost(kitchen, broker)


def test_broker_outage_everything_arrives_in_order(broker: Broker) -> None:
    """Broker away, then back: all arrives, the backlog in order; control reacts as before meanwhile."""
    with Kitchen(broker, edit=lively) as kitchen:
        wait_for("telemetry flows", lambda: broker.numbers("telemetry"), 20.0)
        broker.stop()
        deadline = time.monotonic() + OUTAGE_S
        while time.monotonic() < deadline:
            assert max(reactions(kitchen, 3)) < 0.5
        assert kitchen.accounts()["telemetry"]["pending"] > 0
        broker.start()
        prove_nothing_lost(kitchen, broker)
        backlog = [p["n"] for _t, p in broker.messages("tm/backlog")]
        assert backlog, "what waited goes to tm/backlog"
        assert backlog == sorted(backlog), "oldest first"


def test_full_disk_control_goes_on_and_the_recorder_recovers(broker: Broker, tmp_path: Path) -> None:
    """A full disk: its alarm at once; outputs go on even with every reserve used up; the store recovers by itself."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], check=True)
    try:
        with Kitchen(broker, edit=lively, state=disk / "s") as kitchen:
            wait_for("telemetry flows", lambda: broker.numbers("telemetry"), 20.0)
            filler = disk / "filler"
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"\0" * 65536)
                except OSError:
                    pass
            wait_for("the alarm", lambda: kitchen.alarm("gateway/disk_full")["active"], 10.0)
            wait_for("the failed store is told", lambda: flooded(kitchen), 40.0)
            wait_for("its alarm", lambda: kitchen.alarm("gateway/store_failing")["active"], 5.0)
            assert max(reactions_by_command(kitchen, 3)) < 1.0
            filler.unlink()
            wait_for("stored again", lambda: kitchen.point("gateway/recorder.store_ok")["value"] is True, 30.0)
            prove_nothing_lost(kitchen, broker)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def flooded(kitchen: Kitchen) -> bool:
    """100 more commands, each an event to be kept, until every reserve is used up; True once the store fails."""
    client = kitchen.ask()
    for number in range(100):
        client.command("set", "siren", value=number % 2 == 0, for_s=5.0, reason="x" * 400)
    client.close()
    return kitchen.point("gateway/recorder.store_ok")["value"] is False


def driven(kitchen: Kitchen, value: bool) -> bool:
    """Whether the guard has put the light's line at `value`."""
    return kitchen.output("walkin_light")["driven"] is value


def reactions_by_command(kitchen: Kitchen, count: int) -> list[float]:
    """Seconds until a commanded output is driven: needs no simulator log, which lies on the full disk too."""
    seen = []
    for value in [True, False] * count:
        begin = time.monotonic()
        kitchen.command("set", "walkin_light", value=value, for_s=60.0, reason="test")
        wait_for("driven", partial(driven, kitchen, value), 5.0)
        seen.append(time.monotonic() - begin)
    return seen
