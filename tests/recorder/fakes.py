"""A control that only hands out records, batches to keep, and small ways to look."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.core.clock import Wall
from gateway.core.command import Command
from gateway.core.driver import Channel
from gateway.core.output import OutputPolicy
from gateway.core.record import Batch, Lane, RecordClass
from gateway.local.paths import StatePaths
from gateway.local.server import Peer, Reply, Server
from gateway.recorder import schema
from gateway.settings import snapshot
from gateway.settings.model import Access, Bus, Cloud, Configuration, Device, Output, Site, Store
from rules.definition import Rulebook

RUN = "ab" * 8
BOOT = "cd" * 16
WITHIN_S = 10.0


class FakeClock:
    """A clock that stands still unless told."""

    boot_id = BOOT

    def __init__(self) -> None:
        self.now = 1_000_000_000

    def now_ns(self) -> int:
        return self.now

    def wall(self) -> Wall:
        return Wall(1_795_470_000_000 + self.now // 1_000_000, True)


def eventually(what: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """The first true result of `what`; fails with its last result when there is none in time."""
    deadline = time.monotonic() + within_s
    waiter = threading.Event()
    while True:
        result = what()
        if result:
            return result
        assert time.monotonic() < deadline, f"still {result!r} after {within_s} s"
        waiter.wait(0.02)


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory with a path short enough for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def telemetry(first: int, count: int = 3, run: str = RUN, body: bytes | None = None) -> Batch:
    """A batch of readings of one device; the value is the record's number, so that rows are recognised."""
    rows = [{"d": "fridge", "m": "temperature", "t": i * 10, "v": first + i} for i in range(count)]
    packed = json.dumps(rows, separators=(",", ":")).encode() if body is None else body
    return Batch(
        run, Lane.TELEMETRY, RecordClass.TELEMETRY, first, count, BOOT, 1000 + first, 1_795_470_000_000 + first,
        True, True, packed,
    )  # fmt: skip


def event(first: int, kind: RecordClass = RecordClass.ALARM, count: int = 1, run: str = RUN) -> Batch:
    """A batch of events."""
    rows = [{"s": "walkin_warm", "w": "UNACK", "t": 0, "x": {"number": first + i}} for i in range(count)]
    body = json.dumps(rows, separators=(",", ":")).encode()
    return Batch(run, Lane.EVENTS, kind, first, count, BOOT, 1000 + first, 1_795_470_000_000 + first, True, True, body)


def configuration(cloud: Cloud | None = None, store: Store | None = None, **changes: Any) -> Configuration:
    """A site with one device and one output."""
    made = Configuration(
        version=1,
        site=Site("demo-site"),
        buses=(Bus("b", "i2c", "/dev/i2c-1"),),
        devices=(
            Device(
                "fridge", "sht4x", "b", "control", "polled", 1.0, 1.0, {},
                (Channel("temperature", "Cel", -40, 125), Channel("door")),
            ),
        ),
        outputs=(Output("gas_valve", "relay", "b", {}, OutputPolicy("gas_valve")),),
        rulebook=Rulebook({}, (), (), ()),
        cloud=cloud,
        store=store or Store(commit_s=0.1),
    )  # fmt: skip
    return snapshot.with_hash(replace(made, **changes))


class FakeControl:
    """Serves control.sock: holds records until they are acknowledged, as control's ring does.

    While the test runs, `add` appends; `acknowledged` has the last durable number of each lane.
    """

    def __init__(self, state: Path, run: str = RUN) -> None:
        self.run = run
        self.state = state
        self.changed = threading.Condition()
        self.batches: dict[Lane, list[Batch]] = {lane: [] for lane in Lane}
        self.acknowledged = dict.fromkeys(Lane, 0)
        self.sent = dict.fromkeys(Lane, 0)
        self.gaps: list[dict[str, Any]] = []
        self.commands: list[Command] = []
        self.health: list[dict[str, Any]] = []
        self.subscriptions: list[dict[str, Any]] = []
        self.answer: Callable[[Command, Reply], None] = lambda _command, reply: reply(True, "done")
        self.configuration = ""
        self.window = 256
        self._recorder: Peer | None = None
        self._server = Server(StatePaths(state).control_sock, self, Access())

    def start(self) -> "FakeControl":
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop()

    def add(self, *batches: Batch) -> None:
        with self.changed:
            for batch in batches:
                self.batches[batch.lane].append(batch)
        self._server.wake()

    def tell_gap(self, first: int, last: int) -> None:
        self.gaps.append(
            {"kind": "gap", "run": self.run, "lane": "telemetry", "class": "telemetry", "first": first, "last": last}
        )
        self._server.wake()

    def wait_acknowledged(self, lane: Lane, upto: int, within_s: float = WITHIN_S) -> None:
        eventually(lambda: self.acknowledged[lane] >= upto, within_s)

    def announce(self, configuration_hash: str) -> None:
        self.configuration = configuration_hash
        self._server.wake()

    # the server's handler

    def hello(self) -> dict[str, Any]:
        return {"process": "control", "run": self.run, "boot": BOOT, "sim": True}

    def command(self, peer: Peer, command: Command, reply: Reply) -> None:
        self.commands.append(command)
        self.answer(command, reply)

    def query(self, peer: Peer, what: str, arguments: dict[str, Any]) -> object:
        raise ValueError(what)

    def frame(self, peer: Peer, header: dict[str, Any], body: bytes | None) -> None:
        if header["kind"] == "health":
            self.health.append(header["points"])
        elif header["kind"] == "ack":
            lane = Lane(header["lane"])
            self.acknowledged[lane] = max(self.acknowledged[lane], header["upto"])
            self._server.wake()
        elif header["kind"] == "subscribe":
            self.subscriptions.append(header)
            same = header["run"] == self.run
            for lane in Lane:
                self.sent[lane] = header["have"][lane.value] if same else 0
            self._recorder = peer
            self._server.wake()

    def refused(self, peer: Peer, fields: dict[str, Any], message: str) -> None:
        raise AssertionError(message)

    def pump(self, peer: Peer) -> None:
        if peer is not self._recorder:
            return
        while self.gaps:
            peer.send(self.gaps.pop(0))
        if self.configuration:
            peer.send({"kind": "configuration", "hash": self.configuration})
            self.configuration = ""
        for lane in Lane:
            self._send_lane(peer, lane)

    def closed(self, peer: Peer) -> None:
        if peer is self._recorder:
            self._recorder = None

    def _send_lane(self, peer: Peer, lane: Lane) -> None:
        with self.changed:
            held = [batch for batch in self.batches[lane] if batch.last > self.acknowledged[lane]]
            self.batches[lane] = held
        in_flight = sum(batch.last <= self.sent[lane] for batch in held)
        for batch in held[in_flight : self.window]:
            if not peer.room:
                return
            peer.send(
                {
                    "kind": "records", "run": batch.run, "lane": lane.value, "class": batch.kind.value,
                    "first": batch.first, "count": batch.count, "boot": batch.boot, "mono": batch.mono,
                    "ts": batch.ts, "trusted": batch.trusted, "sim": batch.sim,
                },
                batch.body,
            )  # fmt: skip
            self.sent[lane] = batch.last


class RecorderProcess:
    """`gateway recorder` as a child process."""

    def __init__(self, state: Path, configured: Configuration, *wrapper: str) -> None:
        self.state = state
        snapshot.write(StatePaths(state).snapshot, configured)
        self._command = [*wrapper, sys.executable, "-m", "gateway", "recorder", "--state", str(state), "--sim"]
        self.process: subprocess.Popen[bytes] | None = None
        self.log = state / "recorder.log"

    def start(self) -> "RecorderProcess":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(15)


def count_from_rows(path: Path, settled: list[tuple[int, int]]) -> int:
    """Records of rows that no ledger calls settled: pending, counted the other way round."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT id, count FROM record WHERE id > 0 AND body IS NOT NULL").fetchall()
    finally:
        connection.close()
    return sum(count for row, count in rows if not any(first <= row <= last for first, last in settled))


def identities(path: Path) -> list[tuple[str, int]]:
    """(run, number) of every record in a file, in order of rows."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT run, first, count FROM record WHERE id > 0 AND body IS NOT NULL ORDER BY id"
        ).fetchall()
    finally:
        connection.close()
    return [(run, number) for run, first, count in rows for number in range(first, first + count)]


def new_file(directory: Path, lane: Lane) -> Path:
    """A migrated, empty file."""
    path = directory / schema.file_name(lane)
    schema.migrate([path])
    return path


def is_root() -> bool:
    """Whether we may mount."""
    return os.geteuid() == 0
