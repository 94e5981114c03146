"""How fast a value may change: jumps are doubted, then confirmed or forgotten."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.plausibility import CONFIRMATIONS, Pace

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
