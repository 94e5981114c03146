"""The gas index beside Sensirion's own implementation."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.decoding.gas_index import BLACKOUT_S, NOX, VOC, Gas, GasIndex, _Normal

Trace = Callable[[int, random.Random], int]


def calm(second: int, chance: random.Random) -> int:
    return round(30000 + 200 * math.sin(second / 900) + chance.gauss(0, 15))


def cooking(second: int, chance: random.Random) -> int:
    """Half an hour of frying each hour and a half: fewer VOC ticks."""
    return round(30000 - (4000 if second % 5400 > 3600 else 0) + chance.gauss(0, 40))


def flame(second: int, chance: random.Random) -> int:
    """NOx ticks that rise for ten minutes in each hour."""
    return round(15500 + (6000 if second % 3600 > 3000 else 0) + chance.gauss(0, 10))


def wild(second: int, chance: random.Random) -> int:
    return chance.randrange(65536)


def long_event(second: int, chance: random.Random) -> int:
    """An event longer than the gate's patience."""
    return round((30000 if second < 9000 else 22000) + chance.gauss(0, 20))


def long_flame(second: int, chance: random.Random) -> int:
    """Twelve hours and more of an event, after the normal is learnt: the gate gives up."""
    return round((15500 if second < 30000 else 24000) + chance.gauss(0, 10))


@pytest.mark.parametrize(
    ("gas", "oracle_name", "trace", "seconds"),
    [
        (VOC, "VocAlgorithm", calm, 9000),
        (VOC, "VocAlgorithm", cooking, 15000),
        (VOC, "VocAlgorithm", wild, 3000),
        (VOC, "VocAlgorithm", long_event, 24000),
        (NOX, "NoxAlgorithm", flame, 24000),
        (NOX, "NoxAlgorithm", wild, 3000),
        (NOX, "NoxAlgorithm", long_flame, 75000),
    ],
)
def test_sensirions_implementation_agrees(gas: Gas, oracle_name: str, trace: Trace, seconds: int) -> None:
    """Hours of ordinary, busy and wild air: the same index second by second, and the same normal learnt, to a tick."""
    from sensirion_gas_index_algorithm import nox_algorithm, voc_algorithm

    oracle = {"VocAlgorithm": voc_algorithm.VocAlgorithm, "NoxAlgorithm": nox_algorithm.NoxAlgorithm}[oracle_name]()
    ours, chance = GasIndex(gas), random.Random(3)
    worst, highest = 0, 0
    # In single precision twelve hours end some ten seconds off: the long event's normal is compared at its end.
    compared, near = (range(seconds - 1, seconds), 5.0) if trace is long_flame else (range(48, seconds), 1.0)
    for second in range(seconds):
        ticks = trace(second, chance)
        index = ours.feed(ticks)
        worst = max(worst, abs(index - oracle.process(ticks)))
        if second in compared:
            mean, deviation = oracle._algorithm.get_states()  # whole numbers, of single precision
            assert ours._normal.mean == pytest.approx(mean + 0.5, abs=near)
            assert ours._normal.deviation == pytest.approx(deviation + 0.5, abs=near)
        highest = max(highest, index)
    assert worst <= 1
    assert trace is calm or highest > (20 if gas is NOX else 250)


def test_the_ends_of_the_scale_are_no_ticks() -> None:
    """0 and 65000 are not taken in: the index goes on with what was before, as Sensirion's does."""
    from sensirion_gas_index_algorithm.voc_algorithm import VocAlgorithm

    for end in (0, 1, 64999, 65000):
        ours, oracle = GasIndex(VOC), VocAlgorithm()
        for second in range(1500):
            ticks = end if second < 60 or 700 < second < 760 else 30000 - 8000 * (400 < second < 700)
            assert abs(ours.feed(ticks) - oracle.process(ticks)) <= 1, (end, second)


def test_the_gates_patience() -> None:
    """It recovers at 0.3 of the pace of an event, never below none, and begins anew when it is used up."""
    normal = _Normal(VOC, _gating_age_s=900.0)
    normal._count_gating(1.0)
    assert normal._gated_min == 0.0
    normal._count_gating(0.0)
    normal._count_gating(1.0)
    assert normal._gated_min == pytest.approx(0.7 / 60)
    assert normal._gating_age_s == 900.0
    normal._gated_min = 180.0
    normal._count_gating(0.0)
    assert normal._gated_min == pytest.approx(180 + 1 / 60)
    assert normal._gating_age_s == 0.0


def test_learning_ends_with_the_data_sheets_second() -> None:
    """Uncertain for 3600 seconds (VOC) and 21600 (NOx), not one more or less."""
    for gas, seconds in ((VOC, 3600), (NOX, 21600)):
        index = GasIndex(gas, fed=seconds - 1)
        assert index.learning
        index.feed(30000)
        assert not index.learning


def test_nothing_is_claimed_in_the_first_seconds() -> None:
    """45 seconds without an index, then one; learning ends when the datasheet says."""
    index = GasIndex(VOC)
    seen = [index.feed(30000) for _ in range(BLACKOUT_S + 2)]
    assert seen[:-1] == [0] * (BLACKOUT_S + 1)
    assert seen[-1] > 0
    assert index.learning
    for _ in range(3600):
        index.feed(30000)
    assert not index.learning


@settings(max_examples=30)
@given(st.sampled_from([VOC, NOX]), st.lists(st.integers(0, 65535), min_size=47, max_size=120))
def test_the_index_stays_on_its_scale(gas: Gas, ticks: list[int]) -> None:
    """Whatever the part sends, the index is 1 to 500."""
    index = GasIndex(gas)
    assert all(1 <= value <= 500 for value in [index.feed(each) for each in ticks][BLACKOUT_S + 1 :])
