"""Time-proportioning in virtual time, and on the simulated chip."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import ssr
from drivers.buses import open_bus
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from fake_hw.parts.ssr import conducted_s
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, WrongOption

BOOT_NS = 123_456_789_012_345
LEVELS = st.one_of(st.sampled_from([0.0, 100.0, 0.01, 99.99, 50.0, 1.0]), st.floats(0.0, 100.0, allow_nan=False))


@dataclass(slots=True)
class Line:
    """A line in virtual time that notes its changes; `stuck`: it shorted to this level."""

    now_ns: int = BOOT_NS
    on: bool = False
    stuck: bool | None = None
    changes: list[tuple[int, bool]] = field(default_factory=list)

    def drive(self, active: bool) -> None:
        if active is not self.on:
            self.changes.append((self.now_ns, active))
        self.on = active

    def level(self) -> bool:
        return self.on if self.stuck is None else self.stuck


class Bench:
    """The relay, served as the guard serves it: after each `drive`, and when it asked for it, `late` ns too late."""

    def __init__(self, late: Callable[[], int] = lambda: 0, safe: float = 0.0, **changes: Any) -> None:
        self.options = ssr.Options(**{"line": 23, "active": "high", **changes})
        self.line = Line(on=safe >= 100)
        self.relay = ssr.Ssr(self.line, self.options, safe >= 100)
        self.per_s = 2 * self.options.mains
        self.period_ns = round(self.options.period_s * 1e9)
        self._late, self._due_ns = late, BOOT_NS

    def drive(self, level: float) -> None:
        self.relay.drive(level)
        assert self.relay.level() == level
        self._serve(self.line.now_ns)

    def run(self, for_ns: int) -> float:
        """Let time pass; for how many half-cycles the line was on meanwhile."""
        begin_ns, end_ns = self.line.now_ns, self.line.now_ns + for_ns
        was_on = self.line.on
        self.line.changes.clear()
        while self._due_ns < end_ns:
            self._serve(max(self.line.now_ns, min(self._due_ns + self._late(), end_ns)))
        self.line.now_ns = end_ns
        at_ns, on_ns = begin_ns, 0
        for change_ns, on in [*self.line.changes, (end_ns, False)]:
            on_ns += (change_ns - at_ns) * was_on
            at_ns, was_on = change_ns, on
        return on_ns * self.per_s / 1e9

    def pulses(self) -> list[float]:
        """The half-cycles between two changes of the last run."""
        times = [time_ns for time_ns, _ in self.line.changes]
        return [(after - before) * self.per_s / 1e9 for before, after in pairwise(times)]

    def _serve(self, now_ns: int) -> None:
        self.line.now_ns = now_ns
        self._due_ns = self.relay.service(now_ns)
        assert self._due_ns > now_ns
        assert self._due_ns <= now_ns + self.period_ns + 1_000_000_000 // self.per_s + 1


@settings(max_examples=150, deadline=None)
@given(
    level=LEVELS,
    period_s=st.sampled_from([0.2, 1.0, 2.0, 7.77]),
    mains=st.sampled_from([50, 60]),
    least_s=st.sampled_from([0.0, 0.02, 0.1]),
    begin_ns=st.integers(0, 20_000_000),
)
def test_the_mean_is_exact(level: float, period_s: float, mains: int, least_s: float, begin_ns: int) -> None:
    """After any number of periods the load had its share, to a half-cycle or the shortest pulse; nothing adds up."""
    bench = Bench(period_s=period_s, mains=mains, min_pulse_s=least_s)
    bench.run(begin_ns)
    bench.drive(level)
    period = round(period_s * bench.per_s)
    bench.run(-(-(bench.line.now_ns * bench.per_s // 10**9 + 1) * 10**9 // bench.per_s) - bench.line.now_ns)
    due = given_in_all = 0.0
    for _ in range(12):
        now = bench.line.now_ns * bench.per_s // 10**9 + period
        on = bench.run(-(-now * 10**9 // bench.per_s) - bench.line.now_ns)
        due += period * level / 100
        given_in_all += on
        assert abs(given_in_all - due) <= max(1, math.ceil(least_s * bench.per_s)) + 1e-4
        assert on == pytest.approx(round(on), abs=1e-5)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.tuples(LEVELS, st.integers(1, 3_000_000_000)), min_size=1, max_size=12), data=st.data())
def test_any_sequence_of_levels_is_given_in_whole(steps: list[tuple[float, int]], data: st.DataObject) -> None:
    """Off within the call at 0 and never on there; on without a break at 100; no short pulse but one that 0 cuts;
    in between, however late the guard comes, never more than a period's worth is owed."""
    late = st.integers(0, 30_000_000)
    bench = Bench(late=lambda: data.draw(late))
    for level, for_ns in steps:
        bench.drive(level)
        if round(level * 1e6) == 0:
            assert bench.line.on is False
            assert bench.run(for_ns) == 0.0
        elif round(level * 1e6) == 100_000_000:
            bench.run(60_000_000)  # the half-cycle, a pause that must be long enough, and the guard's lateness
            assert bench.line.on is True
            assert bench.run(for_ns) == pytest.approx(for_ns * bench.per_s / 1e9)
        else:
            on = bench.run(for_ns)
            due = for_ns * bench.per_s / 1e9 * level / 100
            assert abs(on - due) <= 2 * bench.options.period_s * bench.per_s


@settings(max_examples=50, deadline=None)
@given(level=st.floats(1.0, 99.0), data=st.data())
def test_a_late_guard_is_made_up_for(level: float, data: st.DataObject) -> None:
    """Each switching up to 30 ms late: the mean of 50 periods is still right, within what one lateness can cost."""
    bench = Bench(late=lambda: data.draw(st.integers(0, 30_000_000)), period_s=2.0)
    bench.drive(level)
    on = bench.run(50 * bench.period_ns)
    assert on == pytest.approx(50 * 200 * level / 100, abs=200 * 0.01 * level + 8)


@pytest.mark.parametrize("level", [30.0, 70.0])
def test_a_changed_level_waits_for_the_half_cycle(level: float) -> None:
    """Neither at once nor later than one half-cycle, seen from rest."""
    bench = Bench()
    bench.run(3_000_000)
    bench.drive(level)
    assert bench.line.on is False
    bench.run(12_000_000)
    ((at_ns, on),) = bench.line.changes
    assert on is True
    assert 0 < at_ns - (BOOT_NS + 3_000_000) <= 10_000_000
    assert at_ns % 10_000_000 == 0


def test_zero_is_at_once_and_leaves_no_debt() -> None:
    """In the middle of a pulse, without a service; what the load did not get is forgotten."""
    bench = Bench()
    bench.drive(50.0)
    bench.run(300_000_000)
    assert [on for _, on in bench.line.changes] == [True]
    bench.relay.drive(0.0)
    assert [on for _, on in bench.line.changes] == [True, False]
    bench.drive(0.0)
    assert bench.run(10_000_000_000) == 0.0
    bench.drive(10.0)
    assert bench.run(2_000_000_000) == pytest.approx(20.0)


def test_a_level_that_moves_a_little_makes_no_pulses_of_its_own() -> None:
    """A regulator's new level ten times a second: one pulse in a period, as long as their mean says, none short."""
    bench = Bench()
    total, lengths, switchings = 0.0, [], 0
    for step in range(400):
        bench.drive(40.0 + step % 5)
        total += bench.run(100_000_000)
        lengths += bench.pulses()
        switchings += len(bench.line.changes)
    assert total == pytest.approx(4000 * 0.42, abs=10)
    assert switchings <= 2 * 20 * 2
    assert all(length >= 2 - 1e-3 for length in lengths)


def test_pulses_and_pauses_are_long_enough() -> None:
    """1 % and 99 % of a second with 50 ms at least: no shorter ones, but fewer."""
    for level in (1.0, 99.0):
        bench = Bench(period_s=1.0, min_pulse_s=0.05)
        bench.drive(level)
        on = bench.run(100_000_000_000)
        assert on == pytest.approx(100 * level, abs=5)
        assert min(bench.pulses()) >= 5 - 1e-3


def test_a_changed_level_does_not_cut_a_pulse_short() -> None:
    """A pulse that has begun lasts `min_pulse`, and so does the pause after it."""
    bench = Bench(min_pulse_s=0.1)
    bench.drive(50.0)
    begun = bench.run(20_000_000)
    assert 0 < begun < 2
    bench.drive(0.1)
    assert begun + bench.run(2_000_000_000) == pytest.approx(10.0, abs=1e-6)
    bench = Bench(min_pulse_s=0.1)
    bench.drive(10.0)
    bench.run(220_000_000)
    bench.drive(90.0)
    bench.run(2_000_000_000)
    assert bench.line.changes[0][0] - (BOOT_NS + 210_000_000) == pytest.approx(100_000_000, abs=10_000_000)


def test_what_is_read_back_is_what_was_driven_unless_the_line_is_elsewhere() -> None:
    """In a pause too; a shorted line reads 0 or 100, and a switching that does not happen is an error."""
    bench = Bench()
    bench.drive(40.0)
    bench.run(1_500_000_000)
    assert (bench.line.on, bench.relay.level()) == (False, 40.0)
    bench.line.stuck = True
    assert bench.relay.level() == 100.0
    bench.line.stuck = False
    with pytest.raises(DeviceError, match="does not go on: check for a short circuit"):
        bench.run(2_000_000_000)
    bench.line.stuck = None
    bench.drive(40.0)
    assert bench.run(20_000_000_000) == pytest.approx(800, abs=200)


def test_a_safe_level_of_100_is_claimed_on() -> None:
    """And goes on without a break; the safe-state program does the same, and anything less is off."""
    bench = Bench(safe=100.0)
    bench.drive(100.0)
    assert bench.run(5_000_000_000) == pytest.approx(500)
    bus = Bus("header", "gpio", "/dev/gpiochip0")
    for active, safe, level in (("high", 100.0, 1), ("high", 40.0, 0), ("low", 0.0, 1), ("low", 100.0, 0)):
        options = ssr.Options(23, active)  # type: ignore[arg-type]  # two of its words
        assert ssr.SPEC.safe_state(bus, options, safe) == (f"gpio /dev/gpiochip0 23 {level}",)


def test_pulses_must_fit_into_the_period() -> None:
    """The option to correct is named."""
    with pytest.raises(WrongOption, match="don't fit into a period of 1 s"):
        ssr.Options(23, "high", period_s=1.0, min_pulse_s=0.6)


def test_the_heater_conducts_from_zero_to_zero() -> None:
    """The fake's relay waits for the mains at both edges."""
    switched = [(0.0, False), (0.001, True), (0.0101, False), (0.032, True)]
    assert conducted_s(switched, 0.0, 0.05, 100) == pytest.approx(0.02)
    assert conducted_s(switched, 0.015, 0.05, 100) == pytest.approx(0.015)
    assert conducted_s([(0.0, True)], 0.5, 0.75, 100) == pytest.approx(0.25)


@pytest.fixture
def machine(root: str) -> Iterator[Machine]:
    """A machine to place loads on; this process finds its nodes below `root`."""
    made = Machine(root)
    undo = install(root)
    yield made
    undo()
    made.stop()


@pytest.mark.parametrize("active", ["high", "low"])
def test_the_heater_gets_its_share_on_the_wire(machine: Machine, active: Any) -> None:
    """The production line and the part, on the part's clock: what was driven, and all or nothing when it failed."""
    now = [1000.0]
    machine.clock = lambda: now[0]
    options = ssr.Options(23, active, period_s=0.2)
    plain = {name: getattr(options, name) for name in ssr.Options.__slots__}
    machine.place("ssr", "heater", Wiring("gpio", "/dev/gpiochip0", plain))
    machine.start()
    bus: Any = open_bus(Bus("header", "gpio", "/dev/gpiochip0"), machine.root)
    relay: Any = ssr.SPEC.open(bus, options, 0.0)
    assert machine.truths["heater.on"] == 0.0
    for level in (30.0, 100.0, 0.0, 55.0):
        relay.drive(level)
        due_ns, end = relay.service(round(now[0] * 1e9)), now[0] + 1.0
        while due_ns < end * 1e9:
            now[0] = due_ns / 1e9
            due_ns = relay.service(due_ns)
        now[0] = end
        machine.do()
        assert machine.truths["heater.level"] == pytest.approx(level, abs=5.1)  # a half-cycle of twenty
    for fault, level in (("welded", 100.0), ("cut", 0.0)):
        machine.fault("heater", fault)
        now[0] += 1.0
        machine.do()
        assert machine.truths["heater.level"] == pytest.approx(level)
    bus.close()
