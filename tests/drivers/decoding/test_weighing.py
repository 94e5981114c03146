"""Weighing: scale, stillness and counting by unit weight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.weighing import Settling, channels, count, mass_kg, refuse_saturated, samples
from gateway.core.driver import Channel
from gateway.core.errors import InvalidData
from gateway.core.quality import Reason


def test_counts_become_kilograms() -> None:
    """Tare is subtracted; a cell that hangs the other way round has a negative slope."""
    assert mass_kg(31_000, 10_000, 21_000.0) == pytest.approx(1.0)
    assert mass_kg(-11_000, 10_000, -21_000.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("raw", "refused"), [(-8, True), (-7, False), (0, False), (6, False), (7, True), (9, True)])
def test_the_ends_of_the_range_are_no_weight(raw: int, refused: bool) -> None:
    """At its limit a converter only says 'beyond'."""
    if refused:
        with pytest.raises(InvalidData, match="at its limit"):
            refuse_saturated(raw, -8, 7)
    else:
        refuse_saturated(raw, -8, 7)


def test_stillness_needs_enough_agreeing_weights() -> None:
    """Not before three have come, not while one of them is off, and anew after a gap."""
    settling = Settling(3, 0.010)
    assert [settling.is_still(each) for each in (1.0, 1.005, 1.009, 1.012, 1.013)] == [False, False, True, True, True]
    assert [settling.is_still(each) for each in (2.0, 2.0, 2.0)] == [False, False, True]
    settling.forget()
    assert [Settling(2, 0.25).is_still(each) for each in (1.0, 1.25)] == [False, False]  # each scale has its own
    at_the_limit = Settling(2, 0.25)
    assert [at_the_limit.is_still(each) for each in (1.0, 1.25, 0.99)] == [False, True, False]
    assert [settling.is_still(each) for each in (2.0, 2.0, 2.0)] == [False, False, True]


@pytest.mark.parametrize(
    ("weight_kg", "stable", "pieces", "good"),
    [
        (0.0, True, 0, True),
        (1.0, True, 40, True),
        (1.006, True, 40, True),  # 40.24 pieces
        (1.007, True, 40, False),  # 40.28 pieces
        (1.0125, True, 41, False),  # half a piece: either
        (1.0, False, 40, False),
        (-0.025, True, -1, True),  # outside the channel's range: that flags it
    ],
)
def test_counting(weight_kg: float, stable: bool, pieces: int, good: bool) -> None:
    """The nearest whole number; certain within a quarter of a piece and when still."""
    sample = count(weight_kg, stable, 25.0)
    assert (sample.channel, sample.value) == ("count", pieces)
    assert (sample.reason is Reason.GOOD) == good
    at_the_limit, beyond = count(40.25, True, 1000.0), count(40.251, True, 1000.0)
    assert (at_the_limit.reason, beyond.reason) == (Reason.GOOD, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE)
    assert good or sample.reason is Reason.UNCERTAIN_SENSOR_NOT_ACCURATE


@given(st.integers(0, 2000), st.floats(0.5, 5000), st.floats(-0.24, 0.24))
def test_what_is_certain_is_right(pieces: int, unit_weight_g: float, off: float) -> None:
    """Within a quarter of a piece no count is wrong and none is refused."""
    sample = count((pieces + off) * unit_weight_g / 1000, True, unit_weight_g)
    assert (sample.value, sample.reason) == (pieces, Reason.GOOD)


def test_channels_and_samples_go_together() -> None:
    """The count is there when a piece's weight is known."""
    weighed = Channel("weight", "kg", -50.0, 50.0, digits=4), Channel("stable")
    assert channels(50.0, 0.0) == weighed
    assert channels(50.0, 25.0) == (*weighed, Channel("count", "1", 0, 2000, digits=0))
    assert [each.channel for each in samples(1.0, True, 0.0)] == ["weight", "stable"]
    assert [each.channel for each in samples(1.0, True, 25.0)] == ["weight", "stable", "count"]
