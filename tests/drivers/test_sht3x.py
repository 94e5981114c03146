"""SHT3x: decoding, the part on the simulated wire, and Adafruit's driver beside ours."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sht3x import decode
from fake_hw.parts.crc import sensirion_words
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected
from tests.drivers.wire import Wire, values


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [((0, 0), (-45.0, 0.0)), ((65535, 65535), (130.0, 100.0)), ((0x6666, 0x8000), (25.0, 50.0008))],
)
def test_decode(ticks: tuple[int, int], expected: tuple[float, float]) -> None:
    """Both formulas of the datasheet's section 4.13."""
    assert decode(sensirion_words(*ticks)) == pytest.approx(expected, abs=0.001)


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 47))
def test_words_are_exact_and_no_single_bit_error_passes(temperature: int, humidity: int, bit: int) -> None:
    """65535 ticks are the whole span; each word has its CRC."""
    frame = sensirion_words(temperature, humidity)
    assert decode(frame) == pytest.approx((temperature * 175 / 65535 - 45, humidity / 655.35), abs=1e-9)
    with pytest.raises(InvalidData):
        decode((int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(6, "big"))


@given(st.binary(max_size=8))
def test_any_bytes_are_a_possible_value_or_refused(data: bytes) -> None:
    """Nothing but an InvalidData or numbers that the part can send comes out."""
    try:
        temperature_c, humidity_pct = decode(data)
    except InvalidData:
        return
    assert -45 <= temperature_c <= 130
    assert 0 <= humidity_pct <= 100


@pytest.mark.parametrize(("temperature", "humidity"), [(-39.5, 2.0), (0.0, 50.0), (21.4, 61.7), (124.0, 99.0)])
def test_an_independent_driver_agrees(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, temperature: float, humidity: float
) -> None:
    """Adafruit's SHT31D and ours read the truth from the same part, corners included."""
    from adafruit_sht31d import SHT31D

    wire.place("sht3x", address=0x45)
    wire.set(temperature=temperature, humidity=humidity)
    seen = values(wire.open().read())
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    oracle = SHT31D(wire.busio(), 0x45)
    assert (seen["temperature"], seen["humidity"]) == pytest.approx((temperature, humidity), abs=0.6)
    assert seen["temperature"] == pytest.approx(oracle.temperature, abs=2 * wire.quantities["temperature"].tolerance)
    assert seen["humidity"] == pytest.approx(oracle.relative_humidity, abs=2 * wire.quantities["humidity"].tolerance)


def test_the_wait_is_as_long_as_the_conversion(wire: Wire) -> None:
    """The part refuses a read before its 15.5 ms are over; the driver waits them out without stretching the clock."""
    wire.place("sht3x")
    bus = wire.open()._bus
    bus.transfer(0x44, b"\x24\x00")
    wire.timer.sleep(0.0154)
    with pytest.raises(NotConnected):
        bus.transfer(0x44, b"", 6)
    wire.timer.sleep(0.0002)
    assert len(bus.transfer(0x44, b"", 6)) == 6
    assert len(wire.open().read()) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("crc", InvalidData),
        ("flip", InvalidData),
        ("ones", InvalidData),
        ("garbage", InvalidData),
        ("nack", NotConnected),
        ("stuck", DeviceTimeout),
    ],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault of the wire ends in its own error, and in values again when it is over."""
    wire.place("sht3x")
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    assert len(sensor.read()) == 2


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error that says where; plugged in again: values, without opening anything anew."""
    wire.place("sht3x")
    sensor = wire.open()
    wire.plug(False)
    with pytest.raises(NotConnected, match=r"nothing answers at 0x44 on /dev/i2c-1"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 2
