"""SHT4x: decoding, and the part on the simulated wire."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.sensirion import crc8
from drivers.sht4x import MEASURE_HIGH_PRECISION, Options, Sht4x, decode
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected
from gateway.core.quality import Reason

Tell = Callable[[str], dict[str, Any]]


def words(temperature: int, humidity: int) -> bytes:
    return b"".join(w.to_bytes(2, "big") + bytes([crc8(w.to_bytes(2, "big"))]) for w in (temperature, humidity))


def test_the_datasheets_checksum_example() -> None:
    """CRC-8 as the datasheet defines it: 0xBEEF has 0x92."""
    assert crc8(b"\xbe\xef") == 0x92


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [((0, 0), (-45.0, 0.0)), ((65535, 65535), (130.0, 100.0)), ((0x6666, 0x7FFF), (25.0, 56.499))],
)
def test_decode(ticks: tuple[int, int], expected: tuple[float, float]) -> None:
    """Both formulas of the datasheet, with humidity cropped to what is possible."""
    assert decode(words(*ticks)) == pytest.approx(expected, abs=0.001)


@given(st.integers(0, 65535))
def test_decode_is_exact(ticks: int) -> None:
    """65535 ticks are the whole span, not 65536, and the crop is no narrower than 0 to 100 %RH."""
    temperature_c, humidity_pct = decode(words(ticks, ticks))
    assert temperature_c == pytest.approx(ticks * 175 / 65535 - 45, abs=1e-9)
    assert humidity_pct == pytest.approx(min(max(ticks * 125 / 65535 - 6, 0), 100), abs=1e-9)


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 47))
def test_no_single_bit_error_passes(temperature: int, humidity: int, bit: int) -> None:
    """Any flipped bit is refused: this is the part for food-safety readings."""
    damaged = int.from_bytes(words(temperature, humidity), "big") ^ 1 << bit
    with pytest.raises(InvalidData):
        decode(damaged.to_bytes(6, "big"))


@pytest.mark.parametrize("data", [b"", b"\xff" * 6, words(1, 2)[:5]])
def test_an_absent_answer_is_no_value(data: bytes) -> None:
    """A floating bus reads all ones, a cut transfer is short: both are refused."""
    with pytest.raises(InvalidData, match="CRC"):
        decode(data)


def test_each_read_measures_and_waits() -> None:
    """A read orders a measurement of its own, waits for it, and only then fetches."""
    steps: list[object] = []

    class Bus:
        def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
            steps.append((address, write, read))
            return words(0x6666, 0x7FFF) if read else b""

    Sht4x(Bus(), Options(0x45), steps.append).read()
    assert steps == [(0x45, bytes([MEASURE_HIGH_PRECISION]), 0), 0.010, (0x45, b"", 6)]


def test_reads_the_simulated_air(device: Callable[..., Any], tell: Tell) -> None:
    """From the wire to two samples in the order of the channels."""
    tell("set walkin.air 7.5")
    temperature, humidity = device("sht4x").read()
    assert (temperature.channel, humidity.channel) == ("temperature", "humidity")
    assert temperature.value == pytest.approx(7.5, abs=0.3)
    assert 60 < humidity.value < 90


def test_an_unplugged_sensor_says_where(device: Callable[..., Any], tell: Tell) -> None:
    """Unplugged: an error with address and bus; plugged in again: values, without opening anything anew."""
    sensor = device("sht4x")
    tell("unplug walkin_air")
    with pytest.raises(NotConnected, match=r"nothing answers at 0x44 on /dev/i2c-1: check SDA/SCL"):
        sensor.read()
    tell("plug walkin_air")
    assert len(sensor.read()) == 2


@pytest.mark.parametrize("fault", ["crc", "flip", "ones"])
def test_damaged_bytes_are_refused(device: Callable[..., Any], tell: Tell, fault: str) -> None:
    """Disturbance on the cable gives an error, never a number."""
    sensor = device("sht4x")
    tell(f"fault walkin_air {fault}")
    with pytest.raises(InvalidData):
        sensor.read()


def test_a_stuck_bus_is_a_timeout(device: Callable[..., Any], tell: Tell) -> None:
    """SDA held low ends with the adapter's timeout and its own reason."""
    sensor = device("sht4x")
    tell("fault walkin_air stuck")
    with pytest.raises(DeviceTimeout) as caught:
        sensor.read()
    assert caught.value.reason is Reason.BAD_TIMEOUT
