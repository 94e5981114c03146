"""What `bench.pipeline` measures: a gateway of real processes on simulated wires, and what loads or stalls it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from fake_hw import client as simulator
from gateway.core.errors import GatewayError
from gateway.local.client import Client, Connection
from tests.system.kitchen import KITCHEN, REPOSITORY, Broker, wait_for

HEADER_LINES = 54
OUTSTANDING = 20_000
"""Readings that may be on their way to the disk: two thirds of what control's ring holds, so nothing is dropped."""
_TICK = os.sysconf("SC_CLK_TCK")
_DISK_MIB = 512

Account = dict[str, int]


def cpu_s(pid: int) -> float:
    """User and system time of one process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def pss_mb(pid: int) -> float:
    """Proportional set size, MB. Raises LookupError when the kernel doesn't tell."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/{pid}/smaps_rollup has no Pss: run the benchmark as the same user or as root")


def written_bytes(pid: int) -> int:
    """Bytes of pages this process made the kernel write to a disk so far."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise LookupError(f"/proc/{pid}/io has no write_bytes: the kernel needs TASK_IO_ACCOUNTING")


def bench_site(port: int) -> tuple[str, int]:
    """config/kitchen.yaml as text, and how many field devices it has, of two readings each: one on every free line.

    The door and its light have no debounce and no delay, and the fastest parts are read less often, so that the wires
    make about 1,000 readings a minute.
    """
    text = KITCHEN.read_text().replace("mqtt://127.0.0.1:1883", f"mqtt://127.0.0.1:{port}")
    text = text.replace("channel: open}", "channel: open, debounce: 0 s}").replace("off_delay: 30 s", "off_delay: 0 s")
    text = text.replace("every: 1 s", "every: 3 s").replace("every: 200 ms", "every: 500 ms")
    kept = [line for line in text.splitlines() if "dht" not in line]
    free = [number for number in range(HEADER_LINES) if f"GPIO{number}," not in "\n".join(kept)]
    at = kept.index("devices:")
    feeders = [
        f"  feeder_{n}: {{driver: dht22, bus: wire_{n}, line: GPIO{line}, every: 5 min}}" for n, line in enumerate(free)
    ]
    kept[at + 1 : at + 1] = feeders
    kept[at:at] = [f"  wire_{n}: {{type: dht}}" for n in range(len(free))]
    return "\n".join(kept) + "\n", len(free)


class Stage:
    """Simulator, control and recorder, each started as systemd would; the benchmark itself plays the field process.

    state: the gateway's state directory; the simulator and the logs live beside it.
    """

    def __init__(self, broker: Broker, state: Path) -> None:
        self.state, self.root = state, state.parent / "sim"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        site, self.feeders = bench_site(broker.port)
        self._file = state.parent / "bench.yaml"
        self._file.write_text(site)
        self.began_s = 0.0  # wall clock
        self._asking: Client | None = None

    def __enter__(self) -> Stage:
        """Compile, start the simulator, then control and recorder at once; returns when both answer."""
        compiler = [sys.executable, "-m", "gateway", "check", str(self._file), "--compile", "--state", str(self.state)]
        subprocess.run(compiler, check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        self._spawn("simulator", "fake_hw", "--root", str(self.root), "--quiet")
        wait_for("the simulator", (self.root / "ready").exists)
        self.began_s = time.time()
        self._spawn("control", "gateway", "control", "--state", str(self.state), "--sim", str(self.root))
        self._spawn("recorder", "gateway", "recorder", "--state", str(self.state), "--sim")
        for process in ("control", "recorder"):
            path = self.state / f"{process}.sock"
            wait_for(process, lambda path=path: Connection(path, "bench", "viewer"))  # type: ignore[misc]  # default binds
        self._asking = Client(Connection(self.state / "recorder.sock", "bench", "viewer"))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, *names: str) -> None:
        """End these, or everything, control first."""
        for name in names or ("control", "recorder", "simulator"):
            if (process := self.processes.pop(name, None)) is not None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait(15)

    def pid(self, name: str) -> int:
        """The process id of simulator, control or recorder."""
        return self.processes[name].pid

    def cpu(self) -> dict[str, float]:
        """Process name → CPU seconds so far."""
        return {name: cpu_s(process.pid) for name, process in self.processes.items()}

    def telemetry(self) -> Account:
        """The recorder's account of telemetry, as of its last commit."""
        account: Account = self._outbox()["classes"]["telemetry"]
        return account

    def commit(self) -> Account:
        """The account right after the next commit."""
        before = self.telemetry()["captured"]
        while (account := self.telemetry())["captured"] == before:
            time.sleep(0.05)
        return account

    def connected(self) -> bool:
        """Whether the uplink has its CONNACK."""
        return bool(self._outbox()["uplink"]["connected"])

    def _outbox(self) -> dict[str, dict[str, Account]]:
        assert self._asking is not None
        answer: dict[str, dict[str, Account]] = self._asking.query("outbox")
        return answer

    def _spawn(self, name: str, *words: str) -> None:
        with (self.state.parent / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *words], cwd=REPOSITORY, stdout=log, stderr=log
            )


class Feeder:
    """Plays the field process: samples at the control socket, as slowly or as fast as asked."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._connection = Connection(stage.state / "control.sock", "bench", "field")
        self._names = [f"feeder_{n}" for n in range(stage.feeders)]
        self._turn = 0
        self.sent = 0

    def evenly(self, seconds: float, per_second: float, devices: int = 1) -> None:
        """`per_second` readings, two of each device; devices: in each frame, 1 as a field process sends its polls."""
        began_s, before = time.monotonic(), self.sent
        while (spent_s := time.monotonic() - began_s) < seconds:
            due_s = (self.sent - before) / per_second
            if due_s > spent_s:
                time.sleep(due_s - spent_s)
            at = self._turn * devices
            self._send([self._names[(at + n) % len(self._names)] for n in range(devices)])

    def flood(self, readings: int, stop: threading.Event | None = None) -> list[tuple[float, int]]:
        """All devices in each frame, never more than OUTSTANDING readings not yet durable, until all are.

        Returns (monotonic s, readings durable since the beginning) at each commit seen. Raises GatewayError when
        commits stay away for 15 s.
        """
        start, before = self._stage.telemetry()["captured"], self.sent
        seen = [(time.monotonic(), 0)]
        while seen[-1][1] < readings and not (stop is not None and stop.is_set()):
            while self.sent - before < min(readings, seen[-1][1] + OUTSTANDING):
                self._send(self._names)
            time.sleep(0.02)
            durable = self._stage.telemetry()["captured"] - start
            if durable != seen[-1][1]:
                seen.append((time.monotonic(), durable))
            elif time.monotonic() - seen[-1][0] > 15.0:
                raise GatewayError(f"{durable} of {self.sent - before} readings were stored, then none for 15 s")
        return seen

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _send(self, names: list[str]) -> None:
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._turn += 1
        values = f'{{"temperature":{18 + self._turn % 97 / 10},"humidity":{40 + self._turn % 89 / 10}}}'
        rows = ",".join([f'["{name}",{now_ns},{values}]' for name in names])
        self._connection.send({"kind": "samples"}, f"[{rows}]".encode())
        self.sent += 2 * len(names)


class Door:
    """The walk-in cooler's door and its light: one edge in, one level out, both stamped by the simulator."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._log = root / "lines.jsonl"
        self._at = self._log.stat().st_size
        self._open = False

    def reaction_s(self) -> float:
        """Move the door; the time from its edge on GPIO6 to the light's new level on GPIO10. Raises GatewayError."""
        self._rows()
        self._open = not self._open
        simulator.command(self._root, f"door walkin {'open' if self._open else 'close'}")
        edge_ns = 0
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            for row in self._rows():
                if row["line"] == "GPIO6" and row["why"] in ("drive", "pull"):  # pull: the contact opens and lets go
                    edge_ns = row["t_ns"]
                elif row["line"] == "GPIO10" and row["why"] == "set" and edge_ns:
                    return float(row["t_ns"] - edge_ns) / 1e9
            time.sleep(0.002)
        raise GatewayError("the light did not follow the door within 5 s: look at control's log")

    def sample(self, at_least: int, seconds: float = 0.0) -> list[float]:
        """That many reactions, and more until `seconds` have passed; in uneven steps, so that no period is favoured."""
        end = time.monotonic() + seconds
        reactions: list[float] = []
        while len(reactions) < at_least or time.monotonic() < end:
            reactions.append(self.reaction_s())
            time.sleep(random.uniform(0.005, 0.025))
        return reactions

    def _rows(self) -> list[dict[str, Any]]:
        with self._log.open("rb") as log:
            log.seek(self._at)
            whole, newline, _torn = log.read().rpartition(b"\n")
        self._at += len(whole) + len(newline)
        return [json.loads(line) for line in whole.splitlines()]


class Subscriber:
    """What the broker's independent subscriber gets from now on."""

    def __init__(self, received: Path) -> None:
        self._received = received
        self._from = received.stat().st_size

    def first_s(self) -> float:
        """Wall clock at which it got its first telemetry. Raises AssertionError when none came within 15 s."""
        return wait_for("a reading at the subscriber", self._look)

    def _look(self) -> float | None:
        with self._received.open("rb") as file:
            file.seek(self._from)
            for line in file:
                if b"/tm/" in line and b'"tst":"' in line:
                    stamp = line.split(b'"tst":"', 1)[1].split(b"Z", 1)[0].decode()
                    return datetime.fromisoformat(stamp + "+00:00").timestamp()
        return None


@contextmanager
def own_disk(directory: Path) -> Iterator[bool]:
    """An ext4 of its own at `directory`, made of a file beside it; False, and nothing there, where we may not."""
    image = directory.parent / "disk.img"
    directory.mkdir()
    tools = all(shutil.which(tool) for tool in ("mkfs.ext4", "mount", "fsfreeze"))
    mounted = False
    if os.geteuid() == 0 and tools:
        with image.open("wb") as file:
            file.truncate(_DISK_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        mounted = subprocess.run(["mount", "-o", "loop", str(image), str(directory)], check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(directory)], check=True)


@contextmanager
def stalled(stage: Stage, disk: bool) -> Iterator[None]:
    """Every write below the state directory hangs; without a disk of its own the recorder is stopped instead."""
    if disk:
        subprocess.run(["fsfreeze", "-f", str(stage.state)], check=True)
    else:
        os.kill(stage.pid("recorder"), signal.SIGSTOP)
    try:
        yield
    finally:
        if disk:
            subprocess.run(["fsfreeze", "-u", str(stage.state)], check=True)
        else:
            os.kill(stage.pid("recorder"), signal.SIGCONT)
