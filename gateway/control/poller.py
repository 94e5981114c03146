"""The poller: one worker per bus, edges, and what field sends; exactly one Reading per channel per poll."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from gateway.control.field_events import FieldEvents
from gateway.control.readings import ReadingMaker, edge_reading
from gateway.control.silence import FieldWatch
from gateway.control.wires import Wires
from gateway.core.clock import Clock
from gateway.core.driver import Driver
from gateway.core.event import Event
from gateway.core.reading import Reading
from gateway.local.letters import Letter
from gateway.local.polling import BusWorker, Outcome, PolledDevice
from gateway.settings.model import Bus, Configuration, Device

INPUT_EVERY_NS = 1_000_000_000
"""How often the level of an input is read besides its edges."""
INPUT_DEADLINE_NS = 500_000_000
"""How long reading a level may take."""
STOP_S = 1.0

Sink = Callable[[Sequence[Reading]], None]
_Group = tuple[Bus, tuple[Device, ...]]
_log = logging.getLogger(__name__)


class Poller:
    """Reads everything a configuration names.

    sink takes readings, tell what has happened at devices, both from many threads: they must only enqueue.
    """

    def __init__(self, wires: Wires, sink: Sink, tell: Callable[[Event], None], clock: Clock) -> None:
        self._wires = wires
        self._sink = sink
        self._tell = tell
        self._clock = clock
        self._maker = ReadingMaker(())
        self._field = FieldWatch((), 0)
        self._field_events = FieldEvents(tell)
        self._field_devices: tuple[Device, ...] = ()
        self._workers: dict[str, tuple[_Group, BusWorker]] = {}

    def apply(self, configuration: Configuration) -> None:
        """Read what this configuration names from now on; buses that did not change are not disturbed.

        Not for the loop's thread: waits up to 1 s for each worker that must end.
        """
        wanted = _groups(configuration)
        for name, (group, worker) in list(self._workers.items()):
            if wanted.get(name) != group:
                worker.stop(STOP_S)
                self._workers = {other: value for other, value in self._workers.items() if other != name}
        self._maker = ReadingMaker(configuration.devices)
        self._watch_field(tuple(device for device in configuration.devices if device.process == "field"))
        self._wires.configure(configuration.buses)
        for name, group in wanted.items():
            if name not in self._workers:
                worker = self._worker(group)
                worker.start()  # before the overseer knows it: a worker without a thread counts as dead
                self._workers = {**self._workers, name: (group, worker)}

    def heard(self, outcomes: Iterable[Outcome]) -> None:
        """What field sends; each device at most once per poll, only devices that are field's."""
        accepted = self._field.accept(outcomes, self._clock.now_ns())
        readings = [reading for outcome in accepted for reading in self._maker.make(outcome)]
        if readings:
            self._sink(readings)

    def heard_events(self, letter: Letter) -> int:
        """What field says has happened, each once; the number up to which everything is taken."""
        own = {device.name for device in self._field_devices}
        return self._field_events.take(letter, own, self._clock.now_ns())

    def check(self, now_ns: int) -> None:
        """For the overseer: deadlines of reads, dead workers, silence of field."""
        for _, worker in self._workers.values():
            worker.check(now_ns)
        for outcome in self._field.overdue(now_ns):
            self._finish(outcome)

    def buses(self) -> Mapping[str, bool]:
        """bus → whether it works: at least one of its devices answers."""
        works = {name: not worker.dead for name, (_, worker) in self._workers.items()}
        answers = self._field.answers()
        for device in self._field_devices:
            works[device.bus] = works.get(device.bus, False) or answers[device.name]
        return works

    def alive(self) -> bool:
        """Whether every worker runs and edges are being read."""
        return all(worker.alive() for _, worker in self._workers.values()) and not self._wires.silent_edges()

    def stop(self) -> None:
        """Take no new poll; waits at most 1 s for all workers together."""
        for _, worker in self._workers.values():
            worker.stop()
        deadline_ns = self._clock.now_ns() + round(STOP_S * 1e9)
        for _, worker in self._workers.values():
            worker.stop(max(0.0, (deadline_ns - self._clock.now_ns()) / 1e9))

    def _watch_field(self, devices: tuple[Device, ...]) -> None:
        if devices != self._field_devices:
            self._field = FieldWatch(devices, self._clock.now_ns())
            self._field_devices = devices

    def _finish(self, outcome: Outcome) -> None:
        self._sink(self._maker.make(outcome))

    def _worker(self, group: _Group) -> BusWorker:
        bus, devices = group
        polled = [self._polled(device) for device in devices]
        return BusWorker(
            bus.name, polled, self._finish, self._clock, lambda: self._wires.reopen(bus.name), happened=self._tell
        )

    def _polled(self, device: Device) -> PolledDevice:
        if device.direction == "input":
            return PolledDevice(device.name, INPUT_EVERY_NS, INPUT_DEADLINE_NS, lambda: self._open_input(device))
        every_ns, deadline_ns = round(device.every_s * 1e9), round(device.deadline_s * 1e9)
        return PolledDevice(device.name, every_ns, deadline_ns, lambda: self._wires.device(device))

    def _open_input(self, device: Device) -> Driver:
        def on_change(active: bool, time_ns: int) -> None:
            self._sink((edge_reading(device, active, time_ns),))

        return self._wires.input(device, on_change)


def _groups(configuration: Configuration) -> dict[str, _Group]:
    """bus → the bus and control's devices on it, for every bus that has any."""
    groups = {}
    for bus in configuration.buses:
        devices = tuple(
            device for device in configuration.devices if device.bus == bus.name and device.process == "control"
        )
        if devices:
            groups[bus.name] = (bus, devices)
    return groups
