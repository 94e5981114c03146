"""How fast a value may change: jumps are doubted, then confirmed or forgotten."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import registry
from gateway.control.plausibility import CONFIRMATIONS, Pace
from gateway.control.readings import ReadingMaker
from gateway.core.output import OutputPolicy
from gateway.core.quality import Reason
from gateway.core.reading import Reading, Sample
from gateway.local.polling import Outcome
from rules.definition import BadInput, Interlock, Rule, SetOutput
from rules.engine import Engine
from tests.control.fakes import device
from tests.rules.stage import rulebook

S = 10**9


def believed(pace: Pace, *values: float) -> list[bool]:
    """Whether each of these values, a second apart, is believed."""
    return [pace.doubt(value, second * S) is None for second, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((20, 22, 20, 18), [1, 1, 1, 1]),  # as fast as it may
        ((20, 22.2, 20), [1, 0, 1]),  # a glitch, and the truth again
        ((20, 80, 80, 80, 80), [1, 0, 0, 1, 1]),  # a new level
        ((20, 80, 81.9, 83.8, 85.7), [1, 0, 0, 1, 1]),  # a new level that goes on changing
        ((20, 80, 20, 80, 20), [1, 0, 1, 0, 1]),  # never twice the same
        ((20, 80, 50, 20, 80, 50), [1, 0, 0, 1, 0, 0]),  # garbage
        ((20, 80, 50, 50, 50), [1, 0, 0, 0, 1]),  # a jump within a jump begins anew
    ],
)
def test_a_level_is_believed_when_it_stays(values: tuple[float, ...], expected: list[int]) -> None:
    """Two per second is believed; a jump when two more readings are where it led."""
    assert believed(Pace(2.0, 0.01), *values) == [bool(each) for each in expected]


def test_the_doubt_says_from_where_and_since_when() -> None:
    """The last believed value and its age, for the person who reads it."""
    pace = Pace(2.0, 0.01)
    pace.doubt(20.0, 0)
    assert pace.doubt(80.0, 3 * S) == (20.0, 3.0)


def test_after_a_long_silence_much_may_have_changed() -> None:
    """The time between two readings counts, so a device that comes back is not doubted."""
    pace = Pace(2.0, 0.01)
    pace.doubt(20.0, 0)
    assert pace.doubt(80.0, 30 * S) is None


def test_the_least_digit_may_change_at_any_time() -> None:
    """Two readings of the same instant may differ by the resolution."""
    pace = Pace(2.0, 0.1)
    assert pace.doubt(20.0, 5) is None
    assert pace.doubt(20.1, 5) is None
    assert pace.doubt(20.3, 5) is not None


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(0.1, 50))
def test_believed_values_never_jump_unconfirmed(values: list[float], max_per_s: float) -> None:
    """Between two believed values next to each other the change is slow; a faster one took its confirmations."""
    flags = believed(Pace(max_per_s, 0.0), *values)
    accepted = [index for index, flag in enumerate(flags) if flag]
    for one, other in pairwise(accepted):
        slow = abs(values[other] - values[one]) <= (other - one) * max_per_s * (1 + 1e-9)
        assert slow or other - one > CONFIRMATIONS


@pytest.mark.parametrize("every_s", [0.1, 0.5, 2.0])
def test_a_doubt_never_holds_a_trip_back(every_s: float) -> None:
    """Gas from 2 to 60 %LEL between two polls of a 4-20 mA detector, faster than is believed: it trips in that step."""
    options = {"address": 0x48, "input": 0, "channel": "concentration", "unit": "%{LEL}", "at_low": 0, "at_high": 100}
    spec = registry.load("ads1115")
    (channel,) = spec.channels(spec.options_of({**options, "signal": "4-20 mA", "shunt_ohm": 150.0}))
    leak = Interlock("leak", "trip", "gas.concentration > 20 %{LEL}", {"valve": False}, BadInput("hold", 30.0))
    cooking = Rule("cooking", "fan.closed", (SetOutput("valve", True),))
    site = Engine(rulebook(interlocks=(leak,), rules=(cooking,)), (OutputPolicy("valve"),))
    maker = ReadingMaker([device("gas", channel, every_s=every_s)])
    for number, (value, drive) in enumerate([(2.0, True), (60.0, False)]):
        now_ns = round(number * every_s * S)
        readings = maker.make(Outcome("gas", now_ns, (Sample("concentration", value),)))
        readings.append(Reading("fan.closed", True, Reason.GOOD, now_ns))
        assert site.step(now_ns, readings, ()).drive == {"valve": drive}
    assert (readings[0].reason is Reason.GOOD) == (every_s > 0.5)
