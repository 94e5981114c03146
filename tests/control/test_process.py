"""The real process on the simulated kitchen: pins, sockets, signals, files."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from fake_hw import client as simulator
from gateway.app.control import load_snapshot
from gateway.core.errors import ConfigurationError
from gateway.core.role import Role
from gateway.local.client import Client, Connection
from gateway.local.paths import StatePaths
from gateway.settings import snapshot
from gateway.settings.compiler import compile_files
from gateway.settings.model import Cloud

REPOSITORY = Path(__file__).resolve().parents[2]
SAFE = {"GPIO17": 0, "GPIO22": 0, "GPIO23": 0, "GPIO24": 0, "GPIO27": 0, "GPIO25": 0, "GPIO18": 0, "GPIO10": 1}
T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], T | None], within_s: float = 10.0) -> T:
    """The first true answer of `probe`."""
    deadline, last = time.monotonic() + within_s, None
    while time.monotonic() < deadline:
        try:
            if last := probe():
                return last
        except (OSError, LookupError):
            pass
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {within_s} s, last {last!r}")


class Site:
    """A simulator and a state directory; `control` starts the process under test."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
        self.paths = StatePaths(self.state)
        self.root = self.state / "sim"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = dict(os.environ)
        self.text = (REPOSITORY / "config" / "kitchen.yaml").read_text().replace("off_delay: 30 s", "off_delay: 0 s")
        self.compile(self.text)
        self.spawn("-m", "fake_hw", "--root", str(self.root))
        wait_for("the simulator", (self.root / "ready").exists)

    def compile(self, text: str) -> None:
        file = self.state / "site.yaml"
        file.write_text(text)
        snapshot.write(self.paths.snapshot, compile_files(file))

    def spawn(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self.state / "log").open("ab")
        process = subprocess.Popen(
            [sys.executable, *words], stdout=log, stderr=log, cwd=REPOSITORY, env=self.environment
        )
        self.processes.append(process)
        return process

    def control(self) -> subprocess.Popen[bytes]:
        process = self.spawn("-m", "gateway", "control", "--state", str(self.state), "--sim", str(self.root))
        wait_for("the door is read", lambda: self.point("walkin_door.open")["quality"] == "Good")
        return process

    def ask(self, what: str, **arguments: Any) -> Any:
        with Client(Connection(self.paths.control_sock, "test")) as client:
            return client.query(what, **arguments)

    def command(self, verb: str, target: str = "", **fields: Any) -> dict[str, Any]:
        with Client(Connection(self.paths.control_sock, "test", Role.INSTALLER)) as client:
            return client.command(verb, target, **fields)

    def row(self, what: str, key: str, name: str) -> dict[str, Any]:
        return next(dict(row) for row in self.ask(what) if row[key] == name)

    def point(self, name: str) -> dict[str, Any]:
        return self.row("points", "point", name)

    def output(self, name: str) -> dict[str, Any]:
        return self.row("outputs", "output", name)

    def interlock(self, name: str) -> dict[str, Any]:
        return self.row("interlocks", "interlock", name)

    def sim(self, line: str) -> None:
        assert simulator.command(str(self.root), line)["ok"]

    def transitions(self, line: str) -> list[int]:
        return [row["level"] for row in simulator.read_log(str(self.root)) if row["line"] == line]

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait(10)
        shutil.rmtree(self.state, ignore_errors=True)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def stop(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(10)


def test_it_reads_everything_decides_and_holds_nothing_it_must_not(site: Site) -> None:
    """Every wired device is good, an edge reaches its output, and the process is free of network, database and TLS."""
    process = site.control()
    field = [row["point"] for row in site.ask("points") if row["point"].startswith(("gateway/", "dry_store_air"))]
    wait_for(
        "every device good",
        lambda: all(row["quality"] == "Good" for row in site.ask("points") if row["point"] not in field),
    )
    assert set(site.transitions("GPIO18")) == {0}, "the siren sounded while its sensors had not been asked yet"
    site.sim("door walkin open")
    wait_for("the light", lambda: site.output("walkin_light")["driven"] is True)
    assert site.transitions("GPIO10")[-1] == 0, "the relay board is active low"
    health = site.ask("health")
    assert health["forbidden_modules"] == []
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert not any(library in maps for library in ("_ssl", "libssl", "_sqlite3", "libsqlite", "_yaml"))
    wait_for("the answer why", lambda: site.ask("why", target="walkin_light"))
    assert site.ask("why", target="walkin_light")[0]["data"]["value"] is True
    assert all(health["buses"][bus] for bus in ("sensors", "probes", "meters", "scales", "header"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_is_safe_and_its_last_event_reaches_the_recorder(site: Site, number: signal.Signals) -> None:
    """Exit 0, every line at its safe level, `stopped` delivered, the socket gone."""
    process = site.control()
    site.command("set", "walkin_light", value=True, for_s=60)
    wait_for("an output is on", lambda: site.output("walkin_light")["driven"])
    with Connection(site.paths.control_sock, "test recorder", Role.RECORDER) as recorder:
        recorder.send({"kind": "health", "points": {"store_ok": True}})
        recorder.send({"kind": "subscribe", "run": "", "have": {}})
        wait_for("recorder is known", lambda: site.point("gateway/recorder.connected")["value"])
        process.send_signal(number)
        seen = wait_for("stopped", lambda: taken(recorder, "stopped"))
    assert process.wait(10) == 0
    assert seen == {"system"}
    levels = {row["line"]: row["level"] for row in simulator.read_log(str(site.root))}
    assert {line: levels[line] for line in SAFE} == SAFE
    assert not site.paths.control_sock.exists()


def taken(recorder: Connection, what: str) -> set[str]:
    """Acknowledge one frame as the recorder does; the classes of those events in it that are `what`."""
    frame = recorder.receive(1.0)
    if frame is None or frame[0]["kind"] != "records":
        return set()
    header, body = frame
    upto = header["first"] + header["count"] - 1
    recorder.send({"kind": "ack", "run": header["run"], "lane": header["lane"], "upto": upto})
    return {header["class"] for row in json.loads(body or b"") if row.get("w") == what}


def test_a_trip_survives_kill_9_and_resets_only_when_its_cause_is_gone(site: Site) -> None:
    """A latch is durable, also when its cause has gone meanwhile; so is the reset that ends it."""
    process = site.control()
    site.sim("gas_leak on")
    site.sim("set gas.concentration 80")
    wait_for("the trip", lambda: site.interlock("gas_leak")["tripped"])
    refused = site.command("reset", "gas_leak")
    assert (refused["ok"], "gas.concentration" in refused["message"]) == (False, True)
    site.sim("gas_leak off")
    site.sim("set gas.concentration 0")
    wait_for("clean air", lambda: site.point("gas.concentration")["value"] < 15)
    assert stop(process, signal.SIGKILL) != 0
    process = site.control()
    wait_for("clean air", lambda: site.point("gas.concentration")["value"] < 15)
    assert site.interlock("gas_leak")["tripped"]
    assert site.output("siren")["driven"] is True
    assert site.command("reset", "gas_leak")["ok"]
    assert stop(process, signal.SIGKILL) != 0
    site.control()
    wait_for("clean air", lambda: site.point("gas.concentration")["value"] < 15)
    assert not site.interlock("gas_leak")["tripped"]


def test_a_reload_keeps_outputs_and_a_bad_snapshot_keeps_the_old(site: Site) -> None:
    """No edge on an output that stays, no new run; what is wrong with a snapshot is answered and changes nothing."""
    site.control()
    site.command("set", "walkin_light", value=True, for_s=600)
    wait_for("the light", lambda: site.output("walkin_light")["driven"])
    before, edges = site.output("walkin_light"), site.transitions("GPIO10")
    site.paths.snapshot.write_text("{")
    refused = site.command("reload")
    assert (refused["ok"], "snapshot" in refused["message"]) == (False, True)
    site.compile(site.text.replace("gas.concentration > 20", "gas.concentration > 15"))
    accepted = site.command("reload")
    assert accepted["ok"], accepted
    assert site.output("walkin_light") == before
    assert site.transitions("GPIO10") == edges
    point = site.point("fryer_oil.temperature")["time"]
    wait_for("readings go on", lambda: site.point("fryer_oil.temperature")["time"] > point)


def test_an_input_more_leaves_the_other_inputs_and_outputs_of_its_chip_alone(site: Site) -> None:
    """A contact added to a bus that carries everything: all contacts are read again, no output moves."""
    contact = next(line for line in site.text.splitlines() if line.startswith("  walkin_door:"))
    site.control()
    wait_for("the oven is on", lambda: site.output("oven_contactor")["driven"])
    before = {line: site.transitions(line) for line in SAFE}
    hatch = contact.replace("walkin_door", "hatch").replace("GPIO6", "GPIO11")
    site.compile(site.text.replace(contact, f"{contact}\n{hatch}"))
    assert site.command("reload")["ok"]
    wait_for("the hatch is read", lambda: site.point("hatch.open")["quality"] == "Good")
    since = site.point("walkin_door.open")["time"]
    wait_for("the door is read on", lambda: site.point("walkin_door.open")["time"] > since)
    assert site.point("walkin_door.open")["quality"] == "Good"
    assert {line: site.transitions(line) for line in SAFE} == before


def test_hangup_reloads_and_drops_what_is_gone(site: Site) -> None:
    """SIGHUP swaps the snapshot too; a removed output is left safe and released, a removed device has no points."""
    process = site.control()
    site.command("set", "walkin_light", value=True, for_s=600)
    wait_for("the light", lambda: site.output("walkin_light")["driven"])
    lines = [line for line in site.text.splitlines() if not line.startswith(("  walkin_light", "  stock_scale"))]
    site.compile("\n".join(lines))
    process.send_signal(signal.SIGHUP)
    wait_for("the scale is gone", lambda: all(row["point"] != "stock_scale.weight" for row in site.ask("points")))
    wait_for("the light is off", lambda: site.transitions("GPIO10")[-1] == 1)
    wait_for("it is told", lambda: site.ask("why", target="configuration"))
    assert process.poll() is None


def test_a_second_control_is_refused(site: Site) -> None:
    """One process per state directory; the first goes on."""
    site.control()
    second = subprocess.run(
        [sys.executable, "-m", "gateway", "control", "--state", str(site.state), "--sim", str(site.root)],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
        cwd=REPOSITORY,
    )
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert site.ask("outputs")


def test_systemd_hears_ready_watchdog_and_stopping(site: Site) -> None:
    """READY once everything runs, WATCHDOG from the loop, STOPPING at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(site.state / "n"))
        manager.settimeout(10.0)
        site.environment["NOTIFY_SOCKET"] = str(site.state / "n")
        process = site.control()
        assert manager.recv(100) == b"READY=1"
        assert {manager.recv(100) for _ in range(2)} == {b"WATCHDOG=1"}
        process.send_signal(signal.SIGTERM)
        wait_for("stopping", lambda: manager.recv(100) == b"STOPPING=1")
        assert process.wait(10) == 0


def test_a_damaged_state_file_is_no_reason_not_to_start(site: Site) -> None:
    """Control starts from defaults, says so in an event, and keeps the damaged file."""
    site.paths.control_dir.mkdir(exist_ok=True)
    site.paths.control_state.write_text('{"state":{}}\n')
    site.control()
    started = wait_for("started", lambda: site.ask("why", target="control"))[-1]
    assert (started["what"], started["data"]["state"]) == ("started", "damaged")
    assert (site.paths.control_dir / "state.damaged").exists()


def test_simulation_never_reaches_a_real_cloud(site: Site) -> None:
    """Credentials and --sim together are refused, unless the configuration says so itself."""
    plain = snapshot.read(site.paths.snapshot)
    secret = replace(plain, cloud=Cloud("mqtts://cloud.example", "acme", "kitchen-01", key="gateway.key"))
    snapshot.write(site.paths.snapshot, snapshot.with_hash(secret))
    assert load_snapshot(site.paths, sim=False)
    with pytest.raises(ConfigurationError, match="credentials"):
        load_snapshot(site.paths, sim=True)
    snapshot.write(site.paths.snapshot, snapshot.with_hash(replace(secret, allow_sim_with_cloud=True)))
    assert load_snapshot(site.paths, sim=True)
