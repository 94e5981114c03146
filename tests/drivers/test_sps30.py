"""SPS30: decoding, its own faults, and Sensirion's driver beside ours."""

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sps30 import decode
from fake_hw.parts.crc import sensirion_words
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample
from tests.drivers.wire import NODE, Wire, values
from tests.oracle_i2c import SensirionTransceiver

HEALTHY = sensirion_words(0, 0)


def floats(*numbers: float) -> bytes:
    return sensirion_words(*struct.unpack(">20H", struct.pack(">10f", *numbers, *[0.0] * (10 - len(numbers)))))


def test_decode() -> None:
    """Big-endian IEEE 754 floats in two words each; the first four are the masses."""
    samples = decode(floats(1.5, 2.25, 3.0, 60_000.0), HEALTHY)
    assert samples == (Sample("pm1", 1.5), Sample("pm2_5", 2.25), Sample("pm4", 3.0), Sample("pm10", 60_000.0))


def test_more_than_any_dust_is_refused() -> None:
    """A float beyond 60,000 µg/m³ was never a mass: the part counts in whole numbers."""
    with pytest.raises(InvalidData, match="60001 µg/m³ is no mass: it was set to whole numbers"):
        decode(floats(60_001.0), HEALTHY)


@given(st.binary(min_size=40, max_size=40))
def test_any_floats_are_a_possible_value_or_refused(raw: bytes) -> None:
    """No NaN, infinity or negative mass comes out, though the checksums are right."""
    try:
        samples = decode(sensirion_words(*struct.unpack(">20H", raw)), HEALTHY)
    except InvalidData:
        return
    assert all(0 <= sample.value <= 60_000 for sample in samples)


@given(st.integers(0, 60 * 8 - 1))
def test_no_single_bit_error_passes(bit: int) -> None:
    """Each word has its CRC."""
    frame = floats(1.5, 2.25, 3.0, 4.0)
    with pytest.raises(InvalidData):
        decode((int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(60, "big"), HEALTHY)


@pytest.mark.parametrize(("broken", "words"), [("fan", "^the fan does not turn,"), ("laser", "^the laser is broken,")])
def test_the_parts_own_faults_end_all(wire: Wire, broken: str, words: str) -> None:
    """Without fan or laser no value is of the room; mended, there are values again."""
    wire.place("sps30")
    part = wire.machine.bus("i2c", NODE).part(0x69)
    wire.machine.do(lambda: part.broken.add(broken))
    with pytest.raises(SensorFailure, match=words):
        wire.open().read()
    wire.machine.do(part.broken.clear)
    wire.timer.sleep(1.1)
    assert len(wire.open().read()) == 4


def test_a_fan_off_its_speed_makes_values_uncertain(wire: Wire) -> None:
    """The speed warning is passed on as doubt."""
    wire.place("sps30")
    wire.machine.do(lambda: wire.machine.bus("i2c", NODE).part(0x69).broken.add("speed"))
    assert {sample.reason for sample in wire.open().read()} == {Reason.UNCERTAIN_SENSOR_NOT_ACCURATE}


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 100.0])
def test_an_independent_driver_agrees(wire: Wire, monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    """Sensirion's own driver and ours read the truth."""
    from sensirion_driver_adapters.i2c_adapter.i2c_channel import I2cChannel
    from sensirion_i2c_driver import CrcCalculator, I2cConnection
    from sensirion_i2c_sps30.device import Sps30Device

    wire.place("sps30")
    truth = {"pm1": 4 * scale, "pm2_5": 6.5 * scale, "pm4": 7.2 * scale, "pm10": 9.9 * scale}
    wire.set(**truth)
    seen = values(wire.open().read())
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    channel = I2cChannel(I2cConnection(SensirionTransceiver(wire.smbus())), 0x69, CrcCalculator(8, 0x31, 0xFF, 0x00))
    oracle = Sps30Device(channel).read_measurement_values_float()[:4]
    assert seen == pytest.approx(truth, abs=0.4)
    assert tuple(seen.values()) == pytest.approx(oracle, abs=0.8)


def test_after_power_on_it_is_started(wire: Wire) -> None:
    """A part that lost power is idle: the first poll starts it, the next has values; none comes twice."""
    wire.place("sps30")
    sensor = wire.open()
    wire.plug(False)
    with pytest.raises(NotConnected, match="nothing answers at 0x69"):
        sensor.read()
    wire.plug(True)
    with pytest.raises(DeviceError, match="no new values") as caught:
        sensor.read()
    assert caught.value.reason is Reason.BAD_WAITING_FOR_INITIAL_DATA
    wire.timer.sleep(1.5)
    assert len(sensor.read()) == 4
    with pytest.raises(DeviceError, match="no new values"):
        sensor.read()


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
    wire.place("sps30")
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    wire.timer.sleep(2.0)
    assert len(sensor.read()) == 4
