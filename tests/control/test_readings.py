"""Outcomes become exactly one Reading per channel."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.readings import ReadingMaker, health_readings
from gateway.core.driver import Channel
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Reading, Sample, Value
from gateway.local.polling import Outcome
from tests.control.fakes import device

TEMPERATURE = Channel("temperature", "Cel", -40, 125, 2)
DOOR = Channel("open")


def made(value: Value, channel: Channel = TEMPERATURE, offset: float = 0.0, reason: Reason = Reason.GOOD) -> Reading:
    maker = ReadingMaker([device("air", channel, offsets={channel.name: offset})])
    (reading,) = maker.make(Outcome("air", 5, (Sample(channel.name, value, reason),)))
    return reading


def test_a_good_value_has_its_offset_and_the_parts_digits() -> None:
    """Calibration is added, then rounded to what the part resolves."""
    assert made(3.71874, offset=-0.2) == Reading("air.temperature", 3.52, Reason.GOOD, 5)


@pytest.mark.parametrize("value", [-40.01, 125.01])
def test_outside_the_parts_range_is_uncertain_and_kept(value: float) -> None:
    """A value the part can't measure is not trusted and not hidden."""
    reading = made(value)
    assert (reading.value, reading.reason) == (value, Reason.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_bad(value: float) -> None:
    """NaN and infinities are BadOutOfRange without a value."""
    reading = made(value)
    assert (reading.value, reading.reason) == (None, Reason.BAD_OUT_OF_RANGE)


def test_a_channel_without_a_value_spoils_no_other() -> None:
    """A missing sample is a Bad reading with the driver's reason and words; its neighbours stay good."""
    maker = ReadingMaker([device("oven", TEMPERATURE, DOOR)])
    samples = (Sample.missing("temperature", Reason.BAD_SENSOR_FAILURE, "open probe"), Sample("open", True))
    assert maker.make(Outcome("oven", 5, samples)) == [
        Reading("oven.temperature", None, Reason.BAD_SENSOR_FAILURE, 5, "open probe"),
        Reading("oven.open", True, Reason.GOOD, 5),
    ]


def test_a_drivers_doubt_is_kept() -> None:
    """An Uncertain sample becomes an Uncertain reading."""
    assert made(20.0, reason=Reason.UNCERTAIN_SENSOR_NOT_ACCURATE).reason is Reason.UNCERTAIN_SENSOR_NOT_ACCURATE


@pytest.mark.parametrize(("channel", "value"), [(DOOR, 1.0), (TEMPERATURE, True)])
def test_the_wrong_kind_of_value_is_bad(channel: Channel, value: Value) -> None:
    """A number for a switch or a truth value for a quantity is a fault of the driver, told as such."""
    reading = made(value, channel)
    assert (reading.value, reading.reason) == (None, Reason.BAD_INTERNAL_ERROR)


def test_a_switch_keeps_its_truth_value() -> None:
    """Two-state channels are neither shifted nor rounded."""
    assert made(True, DOOR).value is True


@given(
    st.lists(st.sampled_from(["temperature", "humidity", "other"])),
    st.floats() | st.booleans(),
    st.sampled_from(list(Reason)),
)
def test_exactly_one_reading_per_channel(given: list[str], value: Value, bad: Reason) -> None:
    """Whatever samples come, or none: each channel of the device has one reading, and BAD means no value."""
    channels = (TEMPERATURE, Channel("humidity", "%{RH}", 0, 100, 2))
    maker = ReadingMaker([device("air", *channels)])
    samples = tuple(Sample(channel, value) for channel in given)
    for outcome in (Outcome("air", 1, samples), Outcome("air", 1, None, Reason.BAD_TIMEOUT, "late")):
        readings = maker.make(outcome)
        assert [reading.point for reading in readings] == ["air.temperature", "air.humidity"]
        assert all((reading.value is None) == (reading.quality is Quality.BAD) for reading in readings)


def test_a_device_that_is_not_ours_makes_no_readings() -> None:
    """After a reload a late outcome of a removed device is dropped."""
    assert ReadingMaker([]).make(Outcome("gone", 1, (Sample("temperature", 1.0),))) == []


def test_a_silent_process_has_no_health_values() -> None:
    """What nobody tells is BadNoCommunication."""
    (reading,) = health_readings({"gateway/recorder.store_ok": None}, 7)
    assert (reading.value, reading.reason) == (None, Reason.BAD_NO_COMMUNICATION)


def test_a_change_that_is_too_fast_is_uncertain_until_it_is_confirmed() -> None:
    """A channel with max_per_s: the value is told, with a doubt, and believed at the second confirmation."""
    maker = ReadingMaker([device("tank", Channel("level", "%", 0, 100, digits=1, max_per_s=2.0))])
    seen = []
    for second, value in enumerate((50.0, 51.9, 99.0, 99.5, 100.0, 99.0)):
        (reading,) = maker.make(Outcome("tank", second * 10**9, (Sample("level", value),)))
        seen.append((reading.value, reading.reason is Reason.GOOD))
        if second == 2:
            assert reading.detail.startswith(
                "from 51.9 to 99 % in 1 s, faster than 2 % per second: believed if it stays"
            )
            assert reading.reason is Reason.UNCERTAIN_SENSOR_NOT_ACCURATE
    assert seen == [(50.0, True), (51.9, True), (99.0, False), (99.5, False), (100.0, True), (99.0, True)]


def test_what_is_doubted_otherwise_does_not_set_the_pace() -> None:
    """A Bad or Uncertain value is neither judged by its pace nor what the next one is compared with."""
    maker = ReadingMaker([device("tank", Channel("level", "%", 0, 100, digits=1, max_per_s=2.0))])
    reasons = []
    outcomes = (
        (Sample("level", 50.0),),
        (Sample("level", 120.0),),
        (Sample("level", 90.0, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE),),
        None,
        (Sample("level", 51.0),),
    )
    for second, samples in enumerate(outcomes):
        reason = Reason.GOOD if samples else Reason.BAD_TIMEOUT
        (reading,) = maker.make(Outcome("tank", second * 10**9, samples, reason))
        reasons.append(reading.reason)
    assert reasons == [
        Reason.GOOD,
        Reason.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED,
        Reason.UNCERTAIN_SENSOR_NOT_ACCURATE,
        Reason.BAD_TIMEOUT,
        Reason.GOOD,
    ]
