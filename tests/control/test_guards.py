"""One guard per bus: what hangs on one bus is lost there and nowhere else."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from gateway.control import guards
from gateway.control.guards import OutputGuards
from gateway.core.driver import Bus
from gateway.core.event import Event
from gateway.local.clock import SystemClock
from gateway.settings.model import Output
from tests.control.fakes import FakeLine, output

HEADER, BOARD, PANEL = Bus("header", "gpio"), Bus("board", "i2c"), Bus("panel", "modbus_rtu")
BUSES = (HEADER, BOARD, PANEL)


class HangingLine(FakeLine):
    """A line on a bus that does not come back from a call while `hangs` is set."""

    def __init__(self, safe: bool) -> None:
        super().__init__(safe)
        self.hangs = threading.Event()
        self.free = threading.Event()

    def drive(self, active: bool) -> None:
        if self.hangs.is_set():
            self.free.wait(20.0)
        super().drive(active)


class Rig:
    """Guards with their threads, in real time."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.lines: dict[str, HangingLine] = {}
        self.made: list[tuple[str, str]] = []
        self.events: list[Event] = []
        self.guards = OutputGuards(self.claim, self.events.append, self.clock)

    def claim(self, wanted: Output) -> HangingLine:
        self.made.append((wanted.name, wanted.bus))
        line = HangingLine(bool(wanted.policy.safe))
        self.lines[wanted.name] = line
        return line

    def say(self, **targets: bool) -> None:
        self.guards.refresh(targets, self.clock.now_ns())

    def told(self, name: str) -> list[str]:
        return [event.what for event in self.events if event.subject == name]


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Guards that count as hanging after 0.7 s on buses other than GPIO."""
    monkeypatch.setattr(guards, "SLOW_SILENT_NS", 700_000_000)
    made = Rig()
    yield made
    for line in made.lines.values():
        line.free.set()
    made.guards.stop()


def on(bus: Bus, name: str, lease_s: float = 3.0, min_off_s: float = 0.0) -> Output:
    return replace(output(name, lease_s=lease_s, min_off_s=min_off_s), bus=bus.name)


def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait for a condition."""
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.002)


@pytest.mark.parametrize("slow", [BOARD, PANEL], ids=lambda bus: str(bus.type))
def test_a_bus_that_hangs_delays_no_other(rig: Rig, slow: Bus) -> None:
    """The gas valve follows within milliseconds and its lease ends on time while a relay board hangs."""
    assert rig.guards.start([on(slow, "lamp"), on(HEADER, "gas_valve", lease_s=0.3)], BUSES)
    until(lambda: rig.guards.ok)
    rig.lines["lamp"].hangs.set()
    rig.say(lamp=True, gas_valve=False)
    for level in (True, False, True):
        began = time.monotonic()
        rig.say(lamp=True, gas_valve=level)
        rig.lines["gas_valve"].await_level(level)
        assert time.monotonic() - began < 0.05
    began = time.monotonic()
    rig.lines["gas_valve"].await_level(False)
    assert 0.2 < time.monotonic() - began < 0.4
    assert rig.told("gas_valve") == ["lease_lapsed"]


def test_what_hangs_is_not_driven_and_told_while_control_lives_on(rig: Rig) -> None:
    """Unknown level, one event each way, the health point false; the watchdog is fed, and fed no more without GPIO."""
    assert rig.guards.start([on(BOARD, "lamp"), on(BOARD, "fan"), on(HEADER, "gas_valve")], BUSES)
    until(lambda: rig.guards.ok)
    rig.lines["lamp"].hangs.set()
    rig.say(lamp=True, fan=False, gas_valve=True)
    until(lambda: rig.guards.driven == {"gas_valve": True, "lamp": None, "fan": None})
    for _ in range(3):
        rig.guards.check(rig.clock.now_ns())
    assert (rig.guards.alive(), rig.guards.ok) == (True, False)
    assert rig.told("lamp") == rig.told("fan") == ["drive_failed"]
    rig.lines["lamp"].free.set()
    until(lambda: rig.guards.ok)
    rig.guards.check(rig.clock.now_ns())
    assert rig.guards.driven == {"gas_valve": True, "lamp": True, "fan": False}
    assert rig.told("lamp") == rig.told("fan") == ["drive_failed", "drive_restored"]
    assert rig.told("gas_valve") == []


def test_control_is_as_alive_as_the_guard_of_its_gpio_lines(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPIO line that hangs must end in a restart."""
    monkeypatch.setattr(guards, "SILENT_NS", 700_000_000)
    assert rig.guards.start([on(BOARD, "lamp"), on(HEADER, "gas_valve")], BUSES)
    rig.lines["gas_valve"].hangs.set()
    rig.say(lamp=True, gas_valve=True)
    until(lambda: not rig.guards.alive())


def test_a_board_that_hangs_in_its_first_claim_is_not_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control starts at once; the outputs of that board are unknown."""
    free = threading.Event()
    claim = rig.claim

    def slow_claim(wanted: Output) -> HangingLine:
        if wanted.bus == "board":
            free.wait(20.0)
        return claim(wanted)

    monkeypatch.setattr(rig, "claim", slow_claim)
    rig.guards = OutputGuards(rig.claim, rig.events.append, rig.clock)
    began = time.monotonic()
    assert rig.guards.start([on(BOARD, "lamp"), on(HEADER, "gas_valve")], BUSES)
    assert time.monotonic() - began < 0.3
    assert rig.guards.driven == {"gas_valve": False, "lamp": None}
    free.set()
    until(lambda: rig.guards.ok)


def test_a_reload_adds_removes_and_moves_outputs(rig: Rig) -> None:
    """What stays is not touched, what goes is safe and closed, what moves is safe before it is claimed elsewhere."""
    before = [on(HEADER, "stays"), on(HEADER, "moves", min_off_s=60.0), on(HEADER, "goes"), on(PANEL, "ends")]
    assert rig.guards.start(before, BUSES)
    until(lambda: rig.guards.ok)
    rig.say(stays=True, moves=True, goes=True, ends=True)
    until(lambda: all(rig.guards.driven.values()))
    old = dict(rig.lines)
    assert rig.guards.configure([before[0], on(BOARD, "moves", min_off_s=60.0), on(BOARD, "comes")], BUSES)
    for name in ("moves", "goes", "ends"):
        assert (old[name].levels[-1], old[name].closed) == (False, True)
    assert rig.lines["stays"].levels == [False, False, True]
    rig.say(stays=True, moves=True, comes=True)
    until(lambda: rig.guards.driven == {"stays": True, "moves": False, "comes": True})
    assert sorted(rig.made[-2:]) == [("comes", "board"), ("moves", "board")]
    assert rig.guards.configure([before[0]], BUSES)
    assert rig.lines["comes"].closed
    assert rig.guards.driven == {"stays": True}


def test_stop_is_safe_on_every_bus_and_says_which_was_not(rig: Rig) -> None:
    """All at once within the time; a bus that hangs makes stop say no, and the others are safe nevertheless."""
    assert rig.guards.start([on(BOARD, "lamp"), on(HEADER, "gas_valve")], BUSES)
    until(lambda: rig.guards.ok)
    rig.say(lamp=True, gas_valve=True)
    until(lambda: all(rig.guards.driven.values()))
    rig.lines["lamp"].hangs.set()
    assert not rig.guards.stop(0.3)
    assert rig.lines["gas_valve"].levels[-1] is False
    assert rig.lines["gas_valve"].closed
    rig.lines["lamp"].free.set()
    assert rig.guards.stop()


def test_a_guard_that_ends_by_our_will_does_not_hang(rig: Rig) -> None:
    """While a reload or a stop waits for a slow board, nothing is told of guards that have ended, nor are they dead."""
    before = [on(BOARD, "lamp"), on(PANEL, "ends"), on(HEADER, "gas_valve")]
    assert rig.guards.start(before, BUSES)
    until(lambda: rig.guards.ok)
    old = dict(rig.lines)
    old["lamp"].hangs.set()
    threads = [threading.Thread(target=rig.guards.configure, args=([on(PANEL, "new")], BUSES, 0.4))]
    threads[0].start()
    until(lambda: old["ends"].closed and old["gas_valve"].closed)
    while threads[0].is_alive():
        rig.guards.check(rig.clock.now_ns())
        assert rig.guards.alive()
        time.sleep(0.01)
    old["lamp"].free.set()
    assert rig.guards.configure(before, BUSES)
    until(lambda: rig.guards.ok)
    rig.lines["lamp"].hangs.set()
    threads.append(threading.Thread(target=rig.guards.stop, args=(0.4,)))
    threads[1].start()
    until(lambda: rig.lines["gas_valve"].closed)
    while threads[1].is_alive():
        rig.guards.check(rig.clock.now_ns())
        time.sleep(0.01)
    assert rig.events == []
