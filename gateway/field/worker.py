"""The field process: polls what may hang or needs the network, and sends control what it saw and what happened."""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from drivers import registry
from gateway.core.clock import Clock
from gateway.core.driver import Driver
from gateway.core.errors import ConfigurationError, Refused
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
KEPT = 1000
"""Outcomes that wait for control; older ones are dropped, because control has judged them silent by then."""

Opener = Callable[[Bus], Any]
_log = logging.getLogger(__name__)


class FieldPolling:
    """One worker per bus (per device on a bus kind where each has a wire of its own), all putting into one queue."""

    def __init__(
        self, opener: Opener, clock: Clock, sink: Callable[[Outcome], None], happened: Callable[[Event], None]
    ) -> None:
        self._opener = opener
        self._clock = clock
        self._sink = sink
        self._happened = happened
        self._workers: list[BusWorker] = []
        self._overseer: Overseer | None = None

    def start(self, configuration: Configuration) -> None:
        """Poll field's devices of this configuration."""
        groups = _groups(configuration)
        self._workers = [self._worker(bus, devices) for bus, devices in groups]
        self._overseer = Overseer(self._clock, [worker.check for worker in self._workers])
        for worker in self._workers:
            worker.start()
        self._overseer.start()

    def stop(self) -> None:
        """Take no new poll; a worker that hangs is left behind."""
        if self._overseer is not None:
            self._overseer.stop()
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def hanging(self) -> int:
        """How many workers are past the deadline of a read."""
        return sum(worker.hanging for worker in self._workers)

    def _worker(self, bus: Bus, devices: list[Device]) -> BusWorker:
        wire = _Wire(bus, self._opener)
        polled = [
            PolledDevice(device.name, round(device.every_s * 1e9), round(device.deadline_s * 1e9), wire.opening(device))
            for device in devices
        ]
        return BusWorker(bus.name, polled, self._sink, self._clock, wire.close, happened=self._happened)


class _Wire:
    """One bus, opened when it is first needed, by its worker only."""

    def __init__(self, bus: Bus, opener: Opener) -> None:
        self._bus = bus
        self._opener = opener
        self._handle: Any = None

    def opening(self, device: Device) -> Callable[[], Driver]:
        """How to open a device on this bus. Raises DeviceError."""

        def opened() -> Driver:
            if self._handle is None:
                self._handle = self._opener(self._bus)
            spec = registry.load(device.driver)
            bus = self._handle if device.mux is None else self._handle.behind(device.mux.address, device.mux.channel)
            driver: Driver = spec.open(bus, spec.options_of(device.options))
            return driver

        return opened

    def close(self) -> None:
        """The next use opens it afresh."""
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
        rows = []
        while self._outcomes:
            rows.append(sample_row(self._outcomes.popleft()))
        if rows:
            connection.send({"kind": "samples"}, json.dumps(rows, separators=(",", ":")).encode())

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
        self._polling.stop()
        self._polling.start(configuration)
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


def _groups(configuration: Configuration) -> Iterable[tuple[Bus, list[Device]]]:
    """What shares a worker: the devices of one bus, but each DHT on its own, because each has its own wire."""
    for bus in configuration.buses:
        devices = [device for device in configuration.devices if device.bus == bus.name and device.process == "field"]
        if bus.type == "dht":
            yield from ((bus, [device]) for device in devices)
        elif devices:
            yield bus, devices
