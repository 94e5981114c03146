"""The output guard: leases, refusal to follow a stuck loop, safe at start and at stop."""

import itertools
import threading
from collections.abc import Iterator

import pytest

from gateway.control.guard import OutputGuard
from gateway.control.loop import Loop
from gateway.core.errors import NotConnected
from gateway.core.event import Event
from gateway.core.output import OutputPolicy
from gateway.core.reading import Reading, Value
from gateway.local.clock import SystemClock
from gateway.settings.model import Output
from rules.engine import Decisions
from tests.control.fakes import SECOND, FakeClock, FakeLine, output


class Rig:
    """A guard without its thread, on fake lines: `enforce` is called by the test."""

    def __init__(self, *outputs: Output) -> None:
        self.clock = FakeClock()
        self.lines: dict[str, FakeLine] = {}
        self.claimed: list[str] = []
        self.unclaimable: set[str] = set()
        self.events: list[Event] = []
        self.guard = OutputGuard(self.claim, self.events.append, self.clock)
        self.guard._adopt(outputs)

    def claim(self, wanted: Output) -> FakeLine:
        if wanted.name in self.unclaimable:
            raise NotConnected(f"no such chip for {wanted.name}")
        self.claimed.append(wanted.name)
        self.lines[wanted.name] = FakeLine(bool(wanted.policy.safe))
        return self.lines[wanted.name]

    def say(self, targets: dict[str, Value]) -> None:
        self.guard.refresh(targets, self.clock.now_ns())
        self.guard.enforce(self.clock.now_ns())

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.guard.enforce(self.clock.now_ns())


def test_outputs_are_claimed_at_their_safe_level() -> None:
    """Before the loop has said anything, every output is at its safe value."""
    rig = Rig(output("gas_valve"), output("vent", safe=True))
    assert {name: line.levels[-1] for name, line in rig.lines.items()} == {"gas_valve": False, "vent": True}
    assert rig.events == []


def test_targets_are_driven_and_held_while_refreshed() -> None:
    """The latest word of the loop is on the line; an unchanged one is not driven again."""
    rig = Rig(output("gas_valve"))
    for _ in range(20):
        rig.say({"gas_valve": True})
        rig.pass_time(1.0)
    assert rig.lines["gas_valve"].levels == [False, False, True]
    assert rig.guard.driven == {"gas_valve": True}


def test_a_lease_that_ends_is_safe_and_told_once() -> None:
    """No word for lease_s: safe, by the guard alone, with one event; the loop's next word is followed again."""
    rig = Rig(output("gas_valve", lease_s=3.0), output("siren", lease_s=10.0))
    rig.say({"gas_valve": True, "siren": True})
    rig.pass_time(2.9)
    assert rig.guard.driven == {"gas_valve": True, "siren": True}
    rig.pass_time(0.2)
    assert rig.guard.driven == {"gas_valve": False, "siren": True}
    rig.pass_time(1.0)
    assert [(event.subject, event.what) for event in rig.events] == [("gas_valve", "lease_lapsed")]
    rig.say({"gas_valve": True, "siren": True})
    assert rig.guard.driven == {"gas_valve": True, "siren": True}


def test_a_lapse_begins_the_minimum_off_time() -> None:
    """Nothing overrules minimum-off to energise: after a lapse a compressor rests, whatever the loop wants."""
    rig = Rig(output("compressor", lease_s=3.0, min_off_s=180.0))
    rig.say({"compressor": True})
    rig.pass_time(4.0)
    for _ in range(175):
        rig.say({"compressor": True})
        rig.pass_time(1.0)
        assert rig.guard.driven == {"compressor": False}
    for _ in range(8):
        rig.say({"compressor": True})
        rig.pass_time(1.0)
    assert rig.guard.driven == {"compressor": True}


@pytest.mark.parametrize("error", [OSError("EIO"), ZeroDivisionError("a driver's bug")])
def test_a_line_that_fails_is_tried_again_and_hinders_no_other(error: Exception) -> None:
    """Unknown level while it fails; claimed afresh and driven as soon as it works; told once each way."""
    rig = Rig(output("bad"), output("good"))
    rig.lines["bad"].broken = error
    rig.say({"bad": True, "good": True})
    assert rig.guard.driven == {"bad": None, "good": True}
    rig.pass_time(0.3)
    rig.say({"bad": True, "good": True})
    rig.pass_time(0.3)
    rig.say({"bad": True, "good": True})
    assert rig.claimed.count("bad") >= 2
    assert rig.guard.driven == {"bad": True, "good": True}
    assert [event.what for event in rig.events] == ["drive_failed", "drive_restored"]


def test_a_line_that_does_not_follow_is_a_failure() -> None:
    """Reading the line back shows a short circuit: its level is unknown then."""
    rig = Rig(output("gas_valve"))
    rig.lines["gas_valve"].level = lambda: False  # type: ignore[method-assign]  # a line held low from outside
    rig.say({"gas_valve": True})
    assert rig.guard.driven == {"gas_valve": None}


def test_an_absent_chip_is_no_crash() -> None:
    """An output that can't be claimed is claimed later."""
    rig = Rig()
    rig.unclaimable.add("gas_valve")
    rig.guard._adopt([output("gas_valve")])
    assert rig.guard.driven == {"gas_valve": None}
    rig.unclaimable.clear()
    rig.say({"gas_valve": True})
    rig.pass_time(0.3)
    assert rig.guard.driven == {"gas_valve": True}


def test_another_configuration_leaves_unchanged_outputs_alone() -> None:
    """A reload neither claims nor drives what stays; what goes is driven safe and closed."""
    stays, goes = output("stays"), output("goes")
    rig = Rig(stays, goes)
    rig.say({"stays": True, "goes": True})
    rig.guard._adopt([stays, output("comes")])
    assert rig.lines["stays"].levels == [False, False, True]
    assert rig.lines["goes"].levels[-1] is False
    assert rig.lines["goes"].closed
    assert rig.claimed == ["stays", "goes", "comes"]


class StuckEngine:
    """Wants its output on, and blocks in the step when told to."""

    def __init__(self) -> None:
        self.stuck = threading.Event()
        self.free = threading.Event()
        self.points: dict[str, Reading] = {}

    def step(self, now_ns: int, readings: object = (), commands: object = ()) -> Decisions:
        if self.stuck.is_set():
            self.free.wait(20.0)
        return Decisions({"gas_valve": True}, (), (), False, now_ns + SECOND // 50)

    def state(self) -> dict[str, object]:
        return {}


class Nothing:
    """Takes records and state, and keeps none."""

    def add(self, readings: object, events: object) -> None:
        pass

    def offer(self, state: object) -> None:
        pass


@pytest.fixture
def stuck_engine() -> Iterator[StuckEngine]:
    engine = StuckEngine()
    yield engine
    engine.free.set()


def test_a_stuck_loop_does_not_keep_the_gas_open(stuck_engine: StuckEngine) -> None:
    """The loop blocks in the middle of a step: the guard, in real time, has the output safe at its lease's end."""
    line, events, clock = FakeLine(False), [], SystemClock()
    lapsed = threading.Event()

    def tell(event: Event) -> None:
        events.append(event)
        lapsed.set()

    guard = OutputGuard(lambda _output: line, tell, clock)
    assert guard.start([output("gas_valve", lease_s=0.2)])
    loop = Loop(stuck_engine, guard, Nothing(), Nothing(), clock=clock, lease_s=0.2)  # type: ignore[arg-type]  # a stand-in
    threading.Thread(target=loop.run, daemon=True).start()
    line.await_level(True)
    stuck_engine.stuck.set()
    assert lapsed.wait(5.0)
    line.await_level(False)
    stuck_engine.stuck.clear()
    stuck_engine.free.set()
    line.await_level(True)
    assert guard.alive()
    assert guard.stop()
    assert line.levels[-1] is False
    assert line.closed


def test_stop_is_safe_even_when_the_loop_wanted_otherwise() -> None:
    """Whatever was wanted last, stopping drives every output safe; a line that fails makes stop say so."""
    lines: dict[str, FakeLine] = {}

    def claim(wanted: Output) -> FakeLine:
        return lines.setdefault(wanted.name, FakeLine(bool(wanted.policy.safe)))

    clock = SystemClock()
    guard = OutputGuard(claim, lambda _event: None, clock)
    assert guard.start([output("a"), output("b")])
    guard.refresh({"a": True, "b": True}, clock.now_ns())
    lines["b"].await_level(True)
    lines["a"].broken = OSError("EIO")
    assert not guard.stop()
    assert lines["b"].levels[-1] is False


def test_another_policy_does_not_touch_the_line() -> None:
    """A reload that changes limits, not wires, leaves the level alone; the new limits hold."""
    rig = Rig(output("pump", lease_s=3.0))
    rig.say({"pump": True})
    rig.guard._adopt([output("pump", lease_s=10.0, min_off_s=60.0)])
    assert rig.lines["pump"].levels == [False, False, True]
    assert rig.claimed == ["pump"]
    rig.pass_time(5.0)
    assert rig.guard.driven == {"pump": True}
    rig.pass_time(5.1)
    assert rig.guard.driven == {"pump": False}


def test_a_rewired_output_rests_before_it_starts_again() -> None:
    """On another line it was off for a moment: its minimum off time passes before it is energised there."""
    rig = Rig(output("pump", min_off_s=60.0, lease_s=100.0))
    rig.say({"pump": True})
    first = rig.lines["pump"]
    rig.guard._adopt([output("pump", min_off_s=60.0, lease_s=100.0, active="low")])
    assert (first.levels[-1], first.closed) == (False, True)
    rig.pass_time(59.9)
    assert rig.guard.driven == {"pump": False}
    rig.pass_time(0.2)
    assert rig.guard.driven == {"pump": True}


def test_it_says_whether_every_line_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The health point behind an alarm: false while any line can't be claimed or driven."""
    rig = Rig(output("gas_valve"), output("siren"))
    monkeypatch.setattr(rig.guard, "alive", lambda: True)  # this test is its thread
    told = [rig.guard.ok]
    rig.lines["siren"].broken = OSError("no chip")
    rig.say({"gas_valve": True, "siren": True})
    told.append(rig.guard.ok)
    rig.lines["siren"].broken = None
    rig.pass_time(0.3)
    told.append(rig.guard.ok)
    assert told == [True, False, True]


class Dimmer:
    """An analog output with steps of 0.4 %, which asks to be called every second while it is on."""

    def __init__(self) -> None:
        self.levels: list[float] = [0.0]
        self.served: list[int] = []
        self.broken: Exception | None = None

    def drive(self, level: float) -> None:
        self.levels.append(level)

    def level(self) -> float:
        return round(self.levels[-1] / 0.4) * 0.4

    def service(self, now_ns: int) -> int:
        if self.broken is not None:
            raise self.broken
        self.served.append(now_ns)
        return now_ns + SECOND


class DimmerRig(Rig):
    """A guard on one dimmer."""

    def claim(self, wanted: Output) -> Dimmer:  # type: ignore[override]  # another kind of line
        self.claimed.append(wanted.name)
        self.dimmer = Dimmer()
        return self.dimmer


def dimmer(min_off_s: float = 0.0) -> Output:
    """An output of 0 to 100 %."""
    return Output("fan", "pwm", "header", {}, OutputPolicy("fan", safe=0.0, min_off_s=min_off_s))


def test_percentages_are_driven_read_back_and_end_with_the_lease() -> None:
    """Every new level is driven, however near the old one; what is read back may be a step off; a lapse is safe."""
    rig = DimmerRig(dimmer())
    for level in (40.0, 40.3, 40.3, 99.9):
        rig.say({"fan": level})
        assert rig.guard.driven == {"fan": level}
    rig.pass_time(3.1)
    assert rig.dimmer.levels == [0.0, 0.0, 40.0, 40.3, 99.9, 0.0]
    assert rig.events[0].data == {"lease_s": 3.0, "safe": 0.0, "before": 99.9}


@pytest.mark.parametrize("seen", [40.6, 39.4, float("nan")])
def test_a_percentage_that_does_not_follow_is_a_failure(seen: float) -> None:
    """Half a percent beside what was driven, or no number at all: the level is unknown."""
    rig = DimmerRig(dimmer())
    rig.dimmer.level = lambda: seen  # type: ignore[method-assign]  # a part that does what it likes
    rig.say({"fan": 40.0})
    assert rig.guard.driven == {"fan": None}


def test_any_level_above_zero_is_on_for_the_minimum_off_time() -> None:
    """A lapse from 5 % begins the minimum off time as one from 100 % does; a lapse from 0 begins none."""
    rig = DimmerRig(dimmer(min_off_s=60.0))
    for level, after in ((0.0, 5.0), (5.0, 0.0)):
        rig.say({"fan": level})
        rig.pass_time(4.0)
        rig.say({"fan": 5.0})
        assert rig.guard.driven == {"fan": after}


def test_a_handle_is_called_when_it_asks_to_be() -> None:
    """Right after each drive, then when it said; not earlier because the guard happens to turn; safe goes on too."""
    rig = DimmerRig(dimmer())
    start_ns = rig.clock.now_ns()
    rig.say({"fan": 50.0})
    for _ in range(5):
        rig.pass_time(0.3)
    assert [(at_ns - start_ns) / SECOND for at_ns in rig.dimmer.served] == [0.0, 0.0, 1.2]
    assert 0 < rig.guard._rest_s() <= 0.5
    rig.pass_time(2.0)
    assert rig.dimmer.levels[-1] == 0.0
    assert len(rig.dimmer.served) == 4


def test_a_handle_that_finds_itself_lost_is_driven_again() -> None:
    """What a handle raises when it is called counts as a line that can't be driven: unknown, then driven anew."""
    rig = DimmerRig(dimmer())
    rig.say({"fan": 50.0})
    rig.dimmer.broken = NotConnected("the chip has lost its settings")
    rig.pass_time(1.0)
    assert rig.guard.driven == {"fan": None}
    rig.dimmer.broken = None
    rig.pass_time(0.3)
    assert rig.guard.driven == {"fan": 50.0}
    assert rig.dimmer.levels == [0.0, 0.0, 50.0, 50.0]
    assert [event.what for event in rig.events] == ["drive_failed", "drive_restored"]


def test_what_lost_its_level_rests_before_it_starts_again() -> None:
    """A board that was reset has dropped its relay: a compressor's minimum off time begins when that is found."""
    rig = Rig(output("compressor", lease_s=9.0, min_off_s=180.0))
    rig.say({"compressor": True})
    board = rig.lines["compressor"]
    board.levels.append(False)  # by itself
    rig.guard._lines["compressor"].service = _lost
    rig.guard._lines["compressor"].service_ns = rig.clock.now_ns()
    rig.say({"compressor": True})
    rig.guard._lines["compressor"].service = None
    for _ in range(178):
        rig.pass_time(1.0)
        rig.say({"compressor": True})
        assert board.levels[-1] is False
        assert rig.guard.driven == {"compressor": False}
    rig.pass_time(3.0)
    rig.say({"compressor": True})
    assert rig.guard.driven == {"compressor": True}


def _lost(_now_ns: int) -> int:
    raise NotConnected("the chip was reset")


def test_a_disturbed_wire_does_not_stop_a_compressor() -> None:
    """What still has its level after a failure goes on: only a lost level costs the minimum off time."""
    rig = Rig(output("compressor", min_off_s=180.0))
    rig.say({"compressor": True})
    rig.guard._lines["compressor"].service = _lost
    rig.guard._lines["compressor"].service_ns = rig.clock.now_ns()
    rig.say({"compressor": True})
    rig.guard._lines["compressor"].service = None
    rig.pass_time(0.3)
    assert rig.guard.driven == {"compressor": True}
    assert False not in rig.lines["compressor"].levels[2:]


def test_what_is_claimed_afresh_after_it_was_on_rests() -> None:
    """A claim drives the safe level: a compressor that was on must not be cut off and started at once."""
    rig = Rig(output("compressor", lease_s=9.0, min_off_s=180.0))
    rig.say({"compressor": True})
    first = rig.lines["compressor"]
    first.broken = NotConnected("pulled")
    first.level = lambda: (_ for _ in ()).throw(NotConnected("pulled"))  # type: ignore[method-assign]
    rig.guard._lines["compressor"].service = _lost
    rig.guard._lines["compressor"].service_ns = rig.clock.now_ns()
    for _ in range(4):
        rig.say({"compressor": True})
        rig.pass_time(0.3)
    assert rig.lines["compressor"] is not first
    for _ in range(178):
        rig.say({"compressor": True})
        rig.pass_time(1.0)
        assert rig.guard.driven == {"compressor": False}
    for _ in range(5):
        rig.say({"compressor": True})
        rig.pass_time(1.0)
    assert rig.guard.driven == {"compressor": True}


def test_a_slow_line_lets_no_stale_word_onto_the_next() -> None:
    """While one board keeps the guard, a lease may end and the loop may change its mind: the next line follows that."""
    rig = Rig(output("slow"), output("lapses"))
    slow, lapses = rig.lines["slow"], rig.lines["lapses"]
    drive = slow.drive

    def slowly(active: bool) -> None:
        rig.clock.advance(4.0)
        drive(active)

    slow.drive = slowly  # type: ignore[method-assign]
    rig.say({"slow": True, "lapses": True})
    assert lapses.levels == [False, False]


def test_a_slow_claim_lets_no_stale_word_onto_its_own_line() -> None:
    """The lease ends while a board is claimed: it is not driven on afterwards."""
    rig = Rig()
    claim = rig.guard._claim

    def slowly(wanted: Output) -> FakeLine:
        rig.clock.advance(4.0)
        made = claim(wanted)
        assert isinstance(made, FakeLine)
        return made

    rig.guard._claim = slowly
    rig.guard.refresh({"board": True}, rig.clock.now_ns())
    rig.guard._adopt([output("board")])
    assert True not in rig.lines["board"].levels


def test_a_line_that_comes_and_goes_is_no_flood() -> None:
    """Told once when it is lost; told to be restored when it has held for 10 s, not at every change."""
    rig = Rig(output("siren"))
    for _ in range(60):
        rig.say({"siren": True})
        rig.guard._lines["siren"].service = _lost
        rig.guard._lines["siren"].service_ns = rig.clock.now_ns()
        rig.say({"siren": True})
        rig.guard._lines["siren"].service = None
        rig.pass_time(1.0)
    assert [event.what for event in rig.events] == ["drive_failed", "drive_restored", "drive_failed"]
    for _ in range(11):
        rig.say({"siren": True})
        rig.pass_time(1.0)
    assert [event.what for event in rig.events][3:] == ["drive_restored"]
    rig.guard._lines["siren"].service = _lost
    rig.guard._lines["siren"].service_ns = rig.clock.now_ns()
    rig.say({"siren": True})
    assert [event.what for event in rig.events][4:] == ["drive_failed"]


def test_a_dead_unit_leaves_its_bus_to_others() -> None:
    """A unit that costs half a second at each try is tried again at once, and then for a fifth of the time at most."""
    rig = Rig(output("fan"))
    tried: list[float] = []

    def silent(_active: bool) -> None:
        tried.append(rig.clock.now_ns() / SECOND)
        rig.clock.advance(0.5)
        raise NotConnected("no answer")

    rig.lines["fan"].drive = silent  # type: ignore[method-assign, assignment]  # raises, so it returns nothing
    rig.guard._claim = lambda wanted: rig.lines[wanted.name]
    for _ in range(1000):
        rig.say({"fan": True})
        rig.clock.advance(0.05)
    gaps = [round(later - earlier, 2) for earlier, later in itertools.pairwise(tried)]
    assert 0.7 < gaps[0] < 0.9
    assert all(2.4 < gap < 2.7 for gap in gaps[1:])
