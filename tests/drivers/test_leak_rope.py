"""Leak rope: dry, damp, wet, broken, short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.divider import resistance_ohm
from drivers.leak_rope import SPEC, Options, decode
from gateway.core.driver import Channel
from gateway.core.errors import SensorFailure
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Sample
from tests.drivers.wire import Wire

ROPE = Options(0x49, 1)


def volts_of(ohm: float) -> float:
    return 3.3 * ohm / (ohm + 47_000)


@pytest.mark.parametrize(
    ("ohm", "wet"), [(119_000, False), (100_000, False), (81_000, False), (49_000, True), (210, True)]
)
def test_wet_and_dry(ohm: float, wet: bool) -> None:
    """The end resistor within its tolerance is dry, a good deal less is water; the resistance is graded."""
    state, resistance = decode(volts_of(ohm), ROPE)
    assert (state.value, state.reason) == (wet, Reason.GOOD)
    assert resistance.value == pytest.approx(ohm)


def test_damp_is_uncertain() -> None:
    """Between dry and wet nobody knows, and both samples say what to do."""
    detail = "65.00 kOhm is neither dry nor wet: damp or dirt; dry and clean the rope"
    doubt = Reason.UNCERTAIN_SENSOR_NOT_ACCURATE
    wet, resistance = decode(volts_of(65_000), ROPE)
    assert wet == Sample("wet", False, doubt, detail)
    assert resistance == Sample("resistance", resistance.value, doubt, detail)


@pytest.mark.parametrize(
    ("ohm", "wet", "quality"),
    [
        (120_000.0, False, Quality.GOOD),
        (80_000.0, False, Quality.GOOD),
        (79_999.0, False, Quality.UNCERTAIN),
        (50_000.0, False, Quality.UNCERTAIN),
        (49_999.0, True, Quality.GOOD),
        (200.0, True, Quality.GOOD),
    ],
)
def test_limits_belong_to_the_better_state(ohm: float, wet: bool, quality: Quality) -> None:
    """Each limit to the ohm: half the supply is the pull-up's own resistance."""
    state, resistance = decode(1.0, Options(0x49, 1, pull_ohm=ohm, supply_v=2.0))
    assert (state.channel, state.value, state.reason.quality) == ("wet", wet, quality)
    assert (resistance.channel, resistance.value, resistance.reason) == ("resistance", ohm, state.reason)
    assert bool(state.detail) is bool(resistance.detail) is (quality is Quality.UNCERTAIN)


@pytest.mark.parametrize(
    ("ohm", "words"), [(121_000, "broken or off"), (1e9, "broken or off"), (190, "short-circuited"), (0, "short")]
)
def test_a_rope_that_can_not_see_water_says_so(ohm: float, words: str) -> None:
    """A broken rope is not dry, a shorted one not wet."""
    with pytest.raises(SensorFailure, match=words):
        decode(volts_of(ohm), ROPE)


@given(st.floats(-0.5, 6.2))
def test_any_voltage_is_a_state_or_a_failure(volts: float) -> None:
    """A Good state stands only for a resistance that a whole rope can have."""
    ohm = resistance_ohm(volts, 3.3, 47_000)
    try:
        state, _ = decode(volts, ROPE)
    except SensorFailure:
        assert ohm > 119_999 or ohm < 200
        return
    if state.reason is Reason.GOOD:
        assert (ohm < 50_000) if state.value else (79_999 < ohm < 120_001)


def test_the_channels() -> None:
    """A state, and a resistance that says how much water it is."""
    assert SPEC.channels(ROPE) == (Channel("wet"), Channel("resistance", "Ohm", 200.0, 200_000, digits=0))


def test_thresholds_must_be_in_order() -> None:
    """Wet must be below dry and above short."""
    for short_ohm, wet_ohm in ((200.0, 95_000.0), (200.0, 80_000.0), (5000.0, 5000.0), (5000.0, 4000.0)):
        with pytest.raises(ValueError, match="must be below wet_below"):
            Options(0x49, 1, wet_below_ohm=wet_ohm, short_below_ohm=short_ohm)


def test_the_rope_on_the_simulated_wire(wire: Wire) -> None:
    """Dry, wet, broken, mended."""
    wire.place("leak_rope")
    rope = wire.open()
    assert rope.read()[0].value is False
    wire.set(wet=1.0)
    wet, resistance = rope.read()
    assert wet.value is True
    assert resistance.value == pytest.approx(7407, rel=0.01)
    for fault in ("cut", "short"):
        wire.fault(fault)
        with pytest.raises(SensorFailure):
            rope.read()
    wire.fault("none")
    assert rope.read()[0].value is True
