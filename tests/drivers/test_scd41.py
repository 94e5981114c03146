"""SCD41: decoding, its rhythm on the simulated wire, and Adafruit's driver beside ours."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.scd41 import decode
from fake_hw.parts.crc import sensirion_words
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.quality import Reason
from tests.drivers.wire import NODE, Wire, values


def test_the_data_sheets_example() -> None:
    """0x01F4, 0x6667, 0x5EB9 are 500 ppm, 25 °C and 37 %RH (section 3.5.2)."""
    data = bytes.fromhex("01 F4 33 66 67 A2 5E B9 3C")
    assert decode(data) == pytest.approx((500, 25.0, 37.0), abs=0.005)


@given(st.integers(1, 65535), st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 71))
def test_no_single_bit_error_passes(co2: int, temperature: int, humidity: int, bit: int) -> None:
    """Each word has its CRC."""
    frame = sensirion_words(co2, temperature, humidity)
    assert decode(frame) == pytest.approx((co2, temperature * 175 / 65535 - 45, humidity / 655.35), abs=1e-9)
    with pytest.raises(InvalidData):
        decode((int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(9, "big"))


@given(st.binary(max_size=10))
def test_any_bytes_are_a_possible_value_or_refused(data: bytes) -> None:
    """Nothing but numbers that the part can send, or an error of ours, comes out."""
    try:
        co2_ppm, temperature_c, humidity_pct = decode(data)
    except DeviceError:
        return
    assert 0 < co2_ppm <= 65535
    assert -45 <= temperature_c <= 130
    assert 0 <= humidity_pct <= 100


def test_air_without_carbon_dioxide_is_a_failure() -> None:
    """The value 0 has a good checksum and is none."""
    with pytest.raises(SensorFailure, match="0 ppm"):
        decode(sensirion_words(0, 0x6667, 0x5EB9))


@pytest.mark.parametrize(("co2", "temperature", "humidity"), [(420, 21.0, 45.0), (1000, -9.5, 2.0), (4980, 59.0, 97.0)])
def test_an_independent_driver_agrees(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, co2: float, temperature: float, humidity: float
) -> None:
    """Adafruit's SCD4X and ours read the truth from the same part."""
    from adafruit_scd4x import SCD4X

    wire.place("scd41")
    wire.set(co2=co2, temperature=temperature, humidity=humidity)
    seen = values(wire.open().read())
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    oracle = SCD4X(wire.busio())
    oracle.start_periodic_measurement()
    wire.timer.sleep(5.1)
    assert oracle.data_ready
    near = {name: quantity.tolerance for name, quantity in wire.quantities.items()}
    assert seen["co2"] == pytest.approx(co2, abs=near["co2"])
    assert seen["co2"] == pytest.approx(oracle.CO2, abs=2 * near["co2"])
    assert seen["temperature"] == pytest.approx(oracle.temperature, abs=2 * near["temperature"])
    assert seen["humidity"] == pytest.approx(oracle.relative_humidity, abs=2 * near["humidity"])


def test_no_measurement_comes_twice(wire: Wire) -> None:
    """Between two measurements there is no value; five seconds later there is the next."""
    wire.place("scd41")
    sensor = wire.open()
    sensor.read()
    wire.timer.sleep(4.9)
    with pytest.raises(DeviceError, match="no new measurement") as caught:
        sensor.read()
    assert caught.value.reason is Reason.BAD_WAITING_FOR_INITIAL_DATA
    wire.set(co2=1500)
    wire.timer.sleep(0.2)
    assert values(sensor.read())["co2"] == pytest.approx(1500, abs=13)


def test_after_power_on_it_is_started_and_told_the_pressure(wire: Wire) -> None:
    """A part that comes back from a power cut is idle: the first poll starts it, the next has its value."""
    wire.place("scd41", pressure_hpa=870.0)
    wire.open().read()
    assert wire.machine.bus("i2c", NODE).part(0x62).pressure_hpa == 870
    wire.plug(False)
    with pytest.raises(NotConnected, match=r"nothing answers at 0x62"):
        wire.open().read()
    wire.plug(True)
    assert wire.machine.bus("i2c", NODE).part(0x62).pressure_hpa == 1013
    with pytest.raises(DeviceError, match="no new measurement"):
        wire.open().read()
    wire.timer.sleep(6.0)
    assert len(wire.open().read()) == 3
    assert wire.machine.bus("i2c", NODE).part(0x62).pressure_hpa == 870


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
    wire.place("scd41")
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    wire.timer.sleep(6.0)
    assert len(sensor.read()) == 3
