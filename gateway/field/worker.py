"""The field process: polls what may hang or needs the network, and sends control what it saw and what happened."""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers import registry
from gateway.core.clock import Clock
from gateway.core.driver import Driver
from gateway.core.errors import ConfigurationError, NotConnected, Refused
from gateway.core.event import Event
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Sample
from gateway.core.role import Role
from gateway.field.mailbox import Mailbox
from gateway.local.client import Connection
from gateway.local.frames import Header
from gateway.local.letters import write_letter
from gateway.local.polling import BusWorker, Outcome, Overseer, PolledDevice
from gateway.settings.model import Bus, Configuration, Device

GATHER_S = 0.05
"""How long outcomes are gathered into one frame."""
HEALTH_S = 2.0
"""How often control hears that we are alive (docs/local-protocol.md)."""
RECONNECT_S = 0.5
STOP_S = 2.0
"""How long a stop waits for the reads under way; one that hangs longer is left behind."""
SHARED = frozenset({"mqtt"})
"""Kinds of bus that several workers use at once: each device has its own worker, and connections are shared."""
KEPT = 1000
"""Outcomes that wait for control; older ones are dropped, because control has judged them silent by then."""
FRAME_CHARACTERS = 256 * 1024
"""A frame of samples is sent when it has so many, so that one more row still fits (docs/local-protocol.md)."""

Opener = Callable[[Bus], Any]
_Group = tuple[Bus, tuple[tuple[Device, ...], ...]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Share:
    """One bus, its devices and what polls them."""

    group: _Group
    workers: tuple[BusWorker, ...]
    wires: tuple["_Wire", ...]


class FieldPolling:
    """One worker per bus (per device where each waits for its own wire or messages), all putting into one queue."""

    def __init__(
        self, opener: Opener, clock: Clock, sink: Callable[[Outcome], None], happened: Callable[[Event], None]
    ) -> None:
        self._opener = opener
        self._clock = clock
        self._sink = sink
        self._happened = happened
        self._shares: tuple[_Share, ...] = ()  # replaced as a whole: the overseer reads it
        self._overseer = Overseer(clock, [self._check])

    def start(self) -> None:
        """Begin to watch the deadlines of whatever is polled."""
        self._overseer.start()

    def follow(self, configuration: Configuration) -> None:
        """Poll field's devices of this configuration; a bus on which nothing has changed is not disturbed.

        What is left is closed first; waits STOP_S at most.
        """
        wanted = _groups(configuration)
        kept = [share for share in self._shares if share.group in wanted]
        self._end([share for share in self._shares if share.group not in wanted])
        known = [share.group for share in kept]
        new = [self._share(group) for group in wanted if group not in known]
        for share in new:
            for worker in share.workers:
                worker.start()
        self._shares = (*kept, *new)  # now that they run: a worker without a thread would count as dead

    def stop(self) -> None:
        """Poll nothing more and close every bus; waits STOP_S at most."""
        self._overseer.stop()
        shares, self._shares = self._shares, ()
        self._end(shares)

    def hanging(self) -> int:
        """How many workers are past the deadline of a read."""
        return sum(worker.hanging for share in self._shares for worker in share.workers)

    def _check(self, now_ns: int) -> None:
        for share in self._shares:
            for worker in share.workers:
                worker.check(now_ns)

    def _end(self, shares: Sequence[_Share]) -> None:
        """Take no new poll, end the reads that only wait for messages, close the buses; waits STOP_S for the others."""
        workers = [worker for share in shares for worker in share.workers]
        for worker in workers:
            worker.stop()
        for share in shares:
            for wire in share.wires:
                if wire.bus.type in SHARED:
                    wire.end()
        deadline = time.monotonic() + STOP_S
        for worker in workers:
            worker.stop(max(0.0, deadline - time.monotonic()))

    def _share(self, group: _Group) -> _Share:
        bus, together = group
        if bus.type in SHARED:
            wires = (_Wire(bus, self._opener),) * len(together)
        else:
            wires = tuple(_Wire(bus, self._opener) for _ in together)
        workers = tuple(self._worker(wire, devices) for wire, devices in zip(wires, together, strict=True))
        return _Share(group, workers, wires)

    def _worker(self, wire: "_Wire", devices: Sequence[Device]) -> BusWorker:
        polled = [
            PolledDevice(device.name, round(device.every_s * 1e9), round(device.deadline_s * 1e9), wire.opening(device))
            for device in devices
        ]
        if wire.bus.type in SHARED:  # it connects again by itself, and is not closed because of one of its devices
            return BusWorker(wire.bus.name, polled, self._sink, self._clock, happened=self._happened)
        return BusWorker(
            wire.bus.name, polled, self._sink, self._clock, wire.close, happened=self._happened, ended=wire.end
        )


class _Wire:
    """One bus, opened when it is first needed; by its worker only, unless it is shared."""

    def __init__(self, bus: Bus, opener: Opener) -> None:
        self.bus = bus
        self._opener = opener
        self._lock = threading.Lock()
        self._handle: Any = None
        self._is_over = False

    def opening(self, device: Device) -> Callable[[], Driver]:
        """How to open a device on this bus. Raises DeviceError."""

        def opened() -> Driver:
            with self._lock:
                if self._is_over:
                    raise NotConnected(f"bus {self.bus.name} is no longer configured")
                if self._handle is None:
                    self._handle = self._opener(self.bus)
                handle = self._handle
            spec = registry.load(device.driver)
            driver: Driver = spec.open(handle, spec.options_of(device.options))
            return driver

        return opened

    def end(self) -> None:
        """Close it for good."""
        with self._lock:
            self._is_over = True
        try:
            self.close()
        except OSError as error:
            _log.debug("closing bus %s: %s", self.bus.name, error)

    def close(self) -> None:
        """The next use opens it afresh."""
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()


class FieldLink:
    """Sends samples, events and health to control for as long as the process runs; reconnects when control is back.

    load: reads the snapshot. Runs in the main thread.
    """

    def __init__(
        self, socket: Path, load: Callable[[], Configuration], opener: Opener, clock: Clock, name: str = "gateway field"
    ) -> None:
        self._socket = socket
        self._load = load
        self._name = name
        self._outcomes: deque[Outcome] = deque(maxlen=KEPT)
        self._mailbox = Mailbox()
        self._polling = FieldPolling(opener, clock, self._outcomes.append, self._mailbox.put)
        self._stopping = threading.Event()
        self._hash = ""
        self._lost = False
        self.beat: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """End `run` soon. For signal handlers."""
        self._stopping.set()

    def run(self) -> None:
        """Poll and send until told to stop. Raises ConfigurationError when there is no snapshot to begin with."""
        self._follow(self._load())
        self._polling.start()
        while not self._stopping.is_set():
            self.beat()
            try:
                with Connection(self._socket, self._name, Role.FIELD) as connection:
                    self._connected(connection)
            except (ConnectionError, Refused) as error:
                if not self._lost:
                    _log.warning("control is not reached: %s", error)
                self._lost = True
                self._stopping.wait(RECONNECT_S)
        self._polling.stop()

    def _connected(self, connection: Connection) -> None:
        """Serve one connection until it ends. Raises ConnectionError."""
        if self._lost:
            _log.info("control is reached again")
        self._lost = False
        self._perhaps_follow(str(connection.hello.get("configuration", "")))
        self._mailbox.reconnected()
        told_s = 0.0
        while not self._stopping.is_set():
            if time.monotonic() - told_s >= HEALTH_S:
                told_s = time.monotonic()
                connection.send({"kind": "health", "points": {"hanging": self._polling.hanging()}})
                self.beat()
            frame = connection.receive(GATHER_S)
            if frame is not None:
                self._heard(frame[0])
            self._send(connection)

    def _heard(self, header: Header) -> None:
        """What control says. Raises ConnectionError when it hangs up."""
        if header["kind"] == "error":
            raise ConnectionError(str(header.get("message", "hung up without a reason")))
        if header["kind"] == "configuration":
            self._perhaps_follow(str(header.get("hash", "")))
        elif header["kind"] == "ack" and header.get("run") == self._mailbox.run:
            self._mailbox.acknowledge(int(header.get("upto", 0)))

    def _send(self, connection: Connection) -> None:
        while (letter := self._mailbox.take()) is not None:
            connection.send(*write_letter(letter))
        while body := self._samples():
            connection.send({"kind": "samples"}, body)

    def _samples(self) -> bytes:
        """The rows of the next frame as JSON, empty when nothing waits."""
        rows: list[str] = []
        while self._outcomes and sum(map(len, rows)) < FRAME_CHARACTERS:
            rows.append(json.dumps(sample_row(self._outcomes.popleft()), separators=(",", ":")))
        return f"[{','.join(rows)}]".encode() if rows else b""

    def _perhaps_follow(self, announced: str) -> None:
        """Control runs another configuration than we do: read the snapshot again."""
        if announced == self._hash:
            return
        try:
            self._follow(self._load())
        except ConfigurationError as error:
            _log.error("the announced configuration can't be read, the old one goes on: %s", error)

    def _follow(self, configuration: Configuration) -> None:
        if configuration.hash == self._hash:
            return
        self._polling.follow(configuration)
        self._hash = configuration.hash


def sample_row(outcome: Outcome) -> list[object]:
    """One poll as docs/local-protocol.md's samples row."""
    if outcome.samples is None:
        return [outcome.device, outcome.time_ns, None, outcome.reason.value, outcome.detail]
    return [outcome.device, outcome.time_ns, {sample.channel: _entry(sample) for sample in outcome.samples}]


def _entry(sample: Sample) -> object:
    """A good value by itself; otherwise with its reason and words, null for a Bad one."""
    if sample.reason is Reason.GOOD:
        return sample.value
    value = None if sample.reason.quality is Quality.BAD else sample.value
    return [value, sample.reason.value, sample.detail]


def _groups(configuration: Configuration) -> list[_Group]:
    """Each bus with what shares a worker: its devices, but each DHT and each MQTT device alone: its reads wait."""
    groups: list[_Group] = []
    for bus in configuration.buses:
        devices = tuple(each for each in configuration.devices if each.bus == bus.name and each.process == "field")
        alone = bus.type == "dht" or bus.type in SHARED
        if devices:
            groups.append((bus, tuple((device,) for device in devices) if alone else (devices,)))
    return groups
