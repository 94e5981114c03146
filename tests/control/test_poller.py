"""The poller on its buses: edges, unchanged buses at a reload, field's devices."""

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from drivers import registry
from gateway.control.poller import Poller
from gateway.control.wires import Wires
from gateway.core.driver import BusKind, Channel, Spec
from gateway.core.errors import NotConnected
from gateway.core.event import Event, EventClass
from gateway.core.quality import Reason
from gateway.core.reading import Occurrence, Reading, Sample
from gateway.local.clock import SystemClock
from gateway.local.letters import Letter
from gateway.local.polling import Outcome
from gateway.settings.model import Bus, Configuration, Device, Site
from rules.definition import Rulebook
from tests.control.fakes import device


class FakeBus:
    """A bus that counts its openings; `dead` makes every use fail."""

    def __init__(self) -> None:
        self.dead = False
        self.closed = False
        self.inputs: list[FakeInput] = []

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


class FakeInput:
    """A contact whose edges the test makes."""

    def __init__(self, bus: FakeBus) -> None:
        self.active = False
        self.closed = False
        self.on_change: Callable[[bool, int], None] = lambda _active, _ns: None
        bus.inputs.append(self)

    def is_active(self) -> bool:
        return self.active

    def watch(self, on_change: Callable[[bool, int], None]) -> None:
        self.on_change = on_change

    def close(self) -> None:
        self.closed = True


class Thermometer:
    """Reads 20 °C as long as its bus lives."""

    def __init__(self, bus: FakeBus) -> None:
        self.bus = bus

    def read(self) -> Sequence[Sample]:
        if self.bus.dead:
            raise NotConnected("nothing answers")
        return (Sample("temperature", 20.0),)


def spec(name: str, bus: BusKind, opened: Callable[[Any, Any], Any], **rest: Any) -> Spec:
    return Spec(
        name=name,
        title=name,
        bus=bus,
        options=dict,
        open=opened,
        channels=lambda _options: (),
        claims=lambda _options: (),
        sample="",
        datasheet="",
        **rest,
    )


SPECS = {
    "sht4x": spec("sht4x", "i2c", lambda bus, _options: Thermometer(bus)),
    "contact": spec("contact", "gpio", lambda bus, _options: FakeInput(bus), direction="input"),
}


class Rig:
    """A poller on fake buses in real time; `next_of` waits for a point's next reading."""

    def __init__(self) -> None:
        self.buses: list[tuple[Bus, FakeBus]] = []
        self.readings: SimpleQueue[Sequence[Reading]] = SimpleQueue()
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.poller = Poller(Wires(self.open), self.readings.put, self.events.put, SystemClock())

    def open(self, bus: Bus) -> FakeBus:
        self.buses.append((bus, FakeBus()))
        return self.buses[-1][1]

    def next_of(self, point: str, accept: Callable[[Reading], bool] = lambda _reading: True) -> Reading:
        while True:
            try:
                batch = self.readings.get(timeout=5.0)
            except Empty:
                raise AssertionError(f"no such reading of {point}") from None
            for reading in batch:
                if reading.point == point and accept(reading):
                    return reading


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(registry, "load", SPECS.__getitem__)
    rig = Rig()
    yield rig
    rig.poller.stop()


def configuration(*devices: Device, buses: tuple[Bus, ...] = ()) -> Configuration:
    wires = buses or (Bus("sensors", "i2c", "/dev/i2c-1"), Bus("header", "gpio", "/dev/gpiochip0"))
    return Configuration(1, Site("t"), wires, devices, (), Rulebook({}, (), (), ()))


AIR = device("air", every_s=0.05)
DOOR = device("door", Channel("open"), driver="contact", bus="header", direction="input")
DHT = device("dht", every_s=0.1, deadline_s=0.1, process="field")


def test_devices_are_polled_and_edges_come_at_once(rig: Rig) -> None:
    """A polled value, a level at the start, and an edge with its own time stamp."""
    rig.poller.apply(configuration(AIR, DOOR))
    assert rig.next_of("air.temperature").value == 20.0
    assert rig.next_of("door.open").value is False
    (line,) = rig.buses[-1][1].inputs or rig.buses[0][1].inputs
    line.on_change(True, 12345)
    assert rig.next_of("door.open", lambda reading: reading.value is True).time_ns == 12345
    assert rig.poller.alive()
    assert rig.poller.buses() == {"sensors": True, "header": True}


def test_a_lost_edge_is_caught_by_the_next_level(rig: Rig) -> None:
    """Levels are read again every second."""
    rig.poller.apply(configuration(DOOR))
    rig.next_of("door.open")
    rig.buses[0][1].inputs[0].active = True
    assert rig.next_of("door.open").value is True


def test_a_dead_bus_is_told_and_recovers(rig: Rig) -> None:
    """Every device of it is bad, its health point false; both return by themselves."""
    rig.poller.apply(configuration(AIR))
    rig.next_of("air.temperature")
    rig.buses[0][1].dead = True
    bad = rig.next_of("air.temperature", lambda reading: reading.value is None)
    assert bad.reason is Reason.BAD_NOT_CONNECTED
    assert rig.poller.buses() == {"sensors": False}
    rig.buses[0][1].dead = False
    rig.next_of("air.temperature", lambda reading: reading.value is not None)
    assert rig.poller.buses() == {"sensors": True}


def test_a_reload_disturbs_only_what_changed(rig: Rig) -> None:
    """An unchanged bus keeps its handle and its worker; a changed one is opened afresh; a removed one is closed."""
    rig.poller.apply(configuration(AIR, DOOR))
    rig.next_of("air.temperature")
    rig.next_of("door.open")
    worker = rig.poller._workers["header"][1]
    handles = {bus.name: handle for bus, handle in rig.buses}
    other = Bus("sensors", "i2c", "/dev/i2c-7")
    rig.poller.apply(configuration(AIR, DOOR, buses=(other, Bus("header", "gpio", "/dev/gpiochip0"))))
    rig.next_of("air.temperature")
    assert {name: handle.closed for name, handle in handles.items()} == {"sensors": True, "header": False}
    assert rig.poller._workers["header"][1] is worker
    assert [bus.device for bus, _ in rig.buses].count("/dev/gpiochip0") == 1
    rig.poller.apply(configuration(buses=(other,)))
    assert handles["header"].closed
    assert rig.poller.buses() == {}


def test_what_field_sends_becomes_readings_and_silence_becomes_bad(rig: Rig) -> None:
    """Control makes the readings of field's devices, also when field says nothing."""
    rig.poller.apply(configuration(DHT))
    now_ns = SystemClock().now_ns()
    rig.poller.heard([Outcome("dht", now_ns, (Sample("temperature", 3.519),)), Outcome("air", now_ns, None)])
    assert rig.next_of("dht.temperature").value == 3.52
    assert rig.poller.buses() == {"sensors": True}
    rig.poller.check(now_ns + 10**10)
    assert rig.next_of("dht.temperature").reason is Reason.BAD_NO_COMMUNICATION
    assert rig.poller.buses() == {"sensors": False}


def test_what_happens_at_a_device_is_an_event(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's occurrence is told once, about its device; the samples beside it become readings as always."""

    class Reader:
        def __init__(self) -> None:
            self.cards = ["1a2b"]

        def read(self) -> list[Sample | Occurrence]:
            presented = [Occurrence("presented", {"uid": self.cards.pop()})] if self.cards else []
            return [Sample("present", True), *presented]

    reader = Reader()
    specs = {"reader": spec("reader", "i2c", lambda _bus, _options: reader)}
    monkeypatch.setattr(registry, "load", specs.__getitem__)
    rig.poller.apply(configuration(device("door_reader", Channel("present"), driver="reader", every_s=0.05)))
    for _ in range(3):
        assert rig.next_of("door_reader.present").value is True
    event = rig.events.get(timeout=5.0)
    assert (event.kind, event.subject, event.what) == (EventClass.DEVICE, "door_reader", "presented")
    assert event.data == {"uid": "1a2b"}
    assert rig.events.empty()


def told(rig: Rig) -> list[tuple[str, str, object]]:
    events = [rig.events.get_nowait() for _ in range(rig.events.qsize())]
    return [(event.subject, event.what, event.data.get("n", event.data.get("count"))) for event in events]


def letter(run: str, after: int, first: int, last: int, device_name: str = "dht") -> Letter:
    numbers = range(first, last + 1)
    events = (Event(EventClass.DEVICE, device_name, "scanned", 5, {"n": number}) for number in numbers)
    return Letter(run, after, first, tuple(events))


def test_events_of_field_are_taken_once(rig: Rig) -> None:
    """However often a letter comes and however letters overlap, each event is told once, however old it is."""
    rig.poller.apply(configuration(DHT))
    assert rig.poller.heard_events(letter("a", 0, 1, 2)) == 2
    assert rig.poller.heard_events(letter("a", 0, 1, 2)) == 2
    assert rig.poller.heard_events(letter("a", 1, 2, 3)) == 3
    assert told(rig) == [("dht", "scanned", 1), ("dht", "scanned", 2), ("dht", "scanned", 3)]
    assert rig.poller.heard_events(letter("b", 0, 1, 1)) == 1
    assert told(rig) == [("dht", "scanned", 1)]


def test_events_that_field_lost_are_told(rig: Rig) -> None:
    """Numbers that are missing become one event that counts them, also for a control that has just begun."""
    rig.poller.apply(configuration(DHT))
    rig.poller.heard_events(letter("a", 4, 7, 7))
    assert told(rig) == [("field", "events_lost", 2), ("dht", "scanned", 7)]
    rig.poller.heard_events(letter("a", 4, 10, 10))
    assert told(rig) == [("field", "events_lost", 2), ("dht", "scanned", 10)]
    rig.poller.heard_events(letter("a", 4, 10, 10))
    assert told(rig) == []


def test_field_speaks_for_its_own_devices_only(rig: Rig) -> None:
    """An event about a device of control's is no event of field's; that it came is told."""
    rig.poller.apply(configuration(DHT, AIR))
    assert rig.poller.heard_events(letter("a", 0, 1, 1, "air")) == 1
    assert told(rig) == [("field", "events_lost", 1)]


def test_a_bus_that_is_slow_to_open_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one bus is being opened, the loop's question and another bus are answered at once."""
    monkeypatch.setattr(registry, "load", SPECS.__getitem__)
    opening, go_on = threading.Event(), threading.Event()

    def opened(bus: Bus) -> FakeBus:
        if bus.type == "i2c":
            opening.set()
            go_on.wait(10.0)
        return FakeBus()

    wires = Wires(opened)
    wires.configure(configuration().buses)
    slow = threading.Thread(target=wires.device, args=(AIR,), daemon=True)
    slow.start()
    assert opening.wait(5.0)
    done = threading.Event()

    def ask() -> None:
        wires.silent_edges()
        wires.input(DOOR, lambda _active, _ns: None)
        done.set()

    threading.Thread(target=ask, daemon=True).start()
    quick = done.wait(2.0)
    go_on.set()
    slow.join(5.0)
    assert quick


def test_a_bus_opened_after_it_went_is_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was left behind while it opened its bus leaves nothing open."""
    monkeypatch.setattr(registry, "load", SPECS.__getitem__)
    handles: list[FakeBus] = []

    def opened(_bus: Bus) -> FakeBus:
        wires.configure(())
        handles.append(FakeBus())
        return handles[-1]

    wires = Wires(opened)
    wires.configure(configuration().buses)
    with pytest.raises(NotConnected):
        wires.device(AIR)
    assert handles[0].closed


def test_reopening_never_touches_a_chip_with_output_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead inputs are no reason to let go of outputs; a GPIO chip finds its lines again by itself."""
    monkeypatch.setattr(registry, "load", SPECS.__getitem__)
    handles: dict[str, FakeBus] = {}
    wires = Wires(lambda bus: handles.setdefault(bus.name, FakeBus()))
    wires.configure(configuration().buses)
    wires.device(AIR)
    wires.input(DOOR, lambda _active, _ns: None)
    wires.reopen("sensors")
    wires.reopen("header")
    assert {name: handle.closed for name, handle in handles.items()} == {"sensors": True, "header": False}


def test_a_changed_bus_gives_its_inputs_back_first(rig: Rig) -> None:
    """When a device is added to a bus, the lines the old worker held are free for the new one."""
    rig.poller.apply(configuration(DOOR))
    rig.next_of("door.open")
    other = device("hatch", Channel("open"), driver="contact", bus="header", direction="input")
    rig.poller.apply(configuration(DOOR, other))
    rig.next_of("hatch.open")
    assert [line.closed for line in rig.buses[0][1].inputs] == [True, False, False]
