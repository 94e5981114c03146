"""Transmitter signals: every row of NAMUR NE 43's table, every standard signal, and a failure over time."""

import csv
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding import transmitter
from drivers.decoding.transmitter import Band, Scaling, SignalName, Transmitter, scaling
from gateway.core.driver import Channel
from gateway.core.errors import SensorFailure
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Sample

ORACLE = Path(__file__).parents[2] / "oracles" / "ne43_and_ne107.csv"
ROWS = list(csv.DictReader(ORACLE.read_text(encoding="utf-8").splitlines()))
BANDS = [row for row in ROWS if row["item"] == "NE43 mA"]
LOOP = scaling("4-20 mA", 0.0, 100.0, shunt_ohm=250.0, divider=1.0)
STEP_MA = 0.01


def quality_of(signal_ma: float, **rest: Any) -> Quality:
    """What a loop current becomes."""
    try:
        return Transmitter(LOOP, "level", "input 0", **rest).sample(signal_ma * 0.25).reason.quality
    except SensorFailure as error:
        return error.reason.quality


@pytest.mark.parametrize("row", BANDS, ids=lambda row: row["meaning"])
def test_every_band_of_the_table_has_its_quality(row: dict[str, str]) -> None:
    """Each row from end to end: failure is Bad, the margins are Uncertain, the measurement is Good."""
    meaning = row["meaning"]
    wanted = Quality.BAD if "failure" in meaning else Quality.UNCERTAIN if "margin" in meaning else Quality.GOOD
    low, high = float(row["low"] or 0.0), float(row["high"] or 24.0)
    # The table gives its limits to failure and to measurement; a margin lies strictly between them.
    ends = (low + STEP_MA, high - STEP_MA) if wanted is Quality.UNCERTAIN else (low, high)
    for signal_ma in (*ends, (low + high) / 2):
        assert quality_of(signal_ma) is wanted, signal_ma


def test_the_table_has_no_row_that_is_not_tested() -> None:
    """Four limits and the time stand in the table as in the code; NE 107's states belong to field buses."""
    limits = {float(row[end]) for row in BANDS for end in ("low", "high") if row[end]}
    ours = {getattr(transmitter, f"{name}_MA") for name in ("FAILURE_LOW", "VALID_LOW", "VALID_HIGH", "FAILURE_HIGH")}
    assert limits == ours
    (persists,) = [row for row in ROWS if row["item"] == "NE43 debounce s"]
    assert float(persists["low"]) == transmitter.FAILURE_PERSISTS_S
    assert {row["item"] for row in ROWS} == {"NE43 mA", "NE43 debounce s", "NE107"}


@pytest.mark.parametrize("signal_ma", [0.0, 3.6, 21.0, 24.0])
def test_a_failure_is_declared_when_it_has_persisted_and_is_never_good(signal_ma: float) -> None:
    """NE 43's 4 s: until then Uncertain with the signal's own value, then Bad, also when opened anew."""
    now = [100.0]

    def opened() -> Transmitter:
        return Transmitter(LOOP, "level", "input 0", transmitter.FAILURE_PERSISTS_S, lambda: now[0])

    loop = opened()
    assert loop.sample(3.0).reason is Reason.GOOD
    for now[0] in (101.0, 103.0, 104.9):
        sample = loop.sample(signal_ma * 0.25)
        assert sample.reason is Reason.UNCERTAIN_SENSOR_NOT_ACCURATE
        assert sample.value == pytest.approx((signal_ma - 4) / 16 * 100)
    now[0] = 105.0
    for each in (loop, loop, opened()):  # the poller opens a driver anew after each failure
        with pytest.raises(SensorFailure, match="input 0 has"):
            each.sample(signal_ma * 0.25)
    assert loop.sample(3.0).reason is Reason.GOOD


def test_a_short_disturbance_does_not_add_up() -> None:
    """A transmitter that works in between begins its time again."""
    now = [0.0]
    loop = Transmitter(LOOP, "level", "input 0", 4.0, lambda: now[0])
    for now[0] in range(20):
        volts = 3.0 if now[0] % 4 == 0 else 0.0
        assert loop.sample(volts).reason is (Reason.GOOD if volts else Reason.UNCERTAIN_SENSOR_NOT_ACCURATE)


def test_without_patience_a_failure_is_bad_at_once() -> None:
    """The default: what a trip depends on fails with the first conversion that shows it."""
    loop = Transmitter(LOOP, "level", "input 3")
    loop.sample(3.0)
    with pytest.raises(SensorFailure, match=r"input 3 has 0\.000 mA, below the live zero of 4 mA: broken wire"):
        loop.sample(0.0)
    with pytest.raises(SensorFailure, match=r"has 22\.000 mA, above the range's 20 mA: short circuit"):
        loop.sample(5.5)


@pytest.mark.parametrize("signal", get_args(SignalName))
def test_every_standard_signal_reaches_both_ends(signal: SignalName) -> None:
    """The signal's name is its range; shunt and divider bring it to the converter."""
    low, high = (float(text) for text in signal.split()[0].split("-"))
    is_current = signal.endswith("mA")
    line = scaling(signal, -50.0, 150.0, shunt_ohm=150.0 if is_current else 0.0, divider=1.0 if is_current else 3.0)
    at_converter = 0.15 if is_current else 1 / 3
    assert line.told(1.0) == ("6.667 mA" if is_current else "3.000 V")
    assert line.value(low * at_converter) == pytest.approx(-50.0)
    assert line.value(high * at_converter) == pytest.approx(150.0)
    assert line.highest_v == pytest.approx((high + (high - low) / 16) * at_converter)
    assert line.band(high * at_converter) is line.band(low * at_converter) is Band.VALID


def test_a_signal_without_a_span_is_refused() -> None:
    """Equal ends would divide by nothing; swapped ones are written by at_low and at_high."""
    for high in (1.0, 0.5):
        with pytest.raises(ValueError, match=r"must be above low \(1\.0 V\)"):
            Scaling(1.0, high, 0.0, 100.0)


def test_limits_are_met_exactly() -> None:
    """The signal is rounded to the ninth decimal of its span: a float's last bit does not decide over a failure."""
    line = Scaling(0.0, 1.0, 0.0, 1.0)
    assert [line.part(volts) for volts in (0.1234567894, 0.1234567896)] == [0.123456789, 0.12345679]
    assert [line.band(volts) for volts in (-0.025, -0.0249, -0.0125, 1.03125, 1.0313, 1.0625)] == [
        Band.FAILURE_LOW,
        Band.BELOW,
        Band.VALID,
        Band.VALID,
        Band.ABOVE,
        Band.FAILURE_HIGH,
    ]


def test_the_channel_is_the_valid_range() -> None:
    """NE 43's 3.8 to 20.5 mA of the span, two decimals unless told otherwise, the whole span in a second."""
    line = Scaling(4.0, 20.0, 100.0, -60.0)
    assert line.channel("level", "%") == Channel("level", "%", -65.0, 102.0, digits=2, max_per_s=160.0)
    assert line.channel("level", "%", 4).digits == 4


def test_a_doubtful_sample_says_why() -> None:
    """Its detail has the input, the signal in its own unit and the band."""
    line = scaling("4-20 mA", 0.0, 100.0, shunt_ohm=250.0, divider=1.0)
    loop = Transmitter(line, "level", "input 2", 4.0, lambda: 0.0)
    assert loop.sample(3.0) == Sample("level", 50.0)
    told = [(sample.reason, sample.detail) for sample in (loop.sample(0.925), loop.sample(5.2), loop.sample(5.5))]
    assert told == [
        (Reason.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, "input 2 has 3.700 mA, below the range: no failure yet"),
        (Reason.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, "input 2 has 20.800 mA, above the range: no failure yet"),
        (Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, "input 2 has 22.000 mA: a failure if it stays so"),
    ]


def test_without_a_live_zero_only_swapped_wires_show() -> None:
    """0 V of a 0-10 V signal is a value; a negative one is none."""
    line = scaling("0-10 V", 0.0, 100.0, shunt_ohm=0.0, divider=2.0)
    assert Transmitter(line, "level", "input 0").sample(0.0).reason is Reason.GOOD
    with pytest.raises(SensorFailure, match=r"has -1\.000 V, below 0 V: its wires are swapped"):
        Transmitter(line, "level", "input 0").sample(-0.5)


@pytest.mark.parametrize(
    ("signal", "shunt_ohm", "divider", "words"),
    [
        ("4-20 mA", 0.0, 1.0, "needs the key 'shunt'"),
        ("0-10 V", 250.0, 1.0, "has no shunt"),
        ("4-20 mA", 250.0, 2.0, "has no divider"),
    ],
)
def test_a_signal_is_brought_to_the_converter_in_its_own_way(
    signal: SignalName, shunt_ohm: float, divider: float, words: str
) -> None:
    """A wrong or missing resistor would be a wrong value: it is refused."""
    with pytest.raises(ValueError, match=words):
        scaling(signal, 0.0, 1.0, shunt_ohm=shunt_ohm, divider=divider)


@given(
    st.floats(-10, 30, allow_nan=False),
    st.floats(-1000, 1000),
    st.floats(-1000, 1000),
)
def test_no_signal_is_good_outside_the_channels_range(volts: float, at_low: float, at_high: float) -> None:
    """Whatever the wire shows: a Good value lies within the channel's limits, rising or falling."""
    if abs(at_low - at_high) < 1e-3:
        return
    line = Scaling(1.0, 5.0, at_low, at_high)
    channel = line.channel("level", "%")
    try:
        sample = Transmitter(line, "level", "input 0").sample(volts)
    except SensorFailure:
        assert not 0.9 < volts < 5.25
        return
    assert 0.9 < volts < 5.25
    slack = 1e-6 * (abs(at_low) + abs(at_high))
    if sample.reason is Reason.GOOD:
        assert channel.low - slack <= sample.value <= channel.high + slack
