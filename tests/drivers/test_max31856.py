"""MAX31856: registers, the part on the simulated chip select, and Adafruit's driver beside ours."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.max31856 import RANGES_C, SPEC, Kind, Max31856, Options, decode, settings
from gateway.core.driver import Channel
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure
from tests.drivers.wire import Wire, values

SPI = "/dev/spidev0.0"
WANTED = settings(Options())
CODES: dict[Kind, tuple[float, float]] = {
    "B": (250, 1820),
    "E": (-200, 1000),
    "J": (-210, 1200),
    "K": (-200, 1372),
    "N": (-200, 1300),
    "R": (-50, 1768),
    "S": (-50, 1768),
    "T": (-200, 400),
}
"""The types in the order of their codes, and what the data sheet's table 1 says that the part linearises, °C."""


def registers(hot: int, cold: int, status: int = 0) -> bytes:
    return WANTED + cold.to_bytes(2, "big") + hot.to_bytes(3, "big") + bytes([status])


def opened(wire: Wire, **options: Any) -> Any:
    wire.place("max31856", "spi", SPI, **options)
    return wire.open(sleep=wire.timer.sleep)


@pytest.mark.parametrize(
    ("hot", "cold", "expected"),
    [
        (0x640000, 0x7D00, (1600.0, 125.0)),
        (0x3E8000, 0x1900, (1000.0, 25.0)),
        (0x064F00, 0x0004, (100.9375, 0.015625)),
        (0x000020, 0xFFFC, (0.0078125, -0.015625)),
        (0xFFF000, 0xE700, (-1.0, -25.0)),
        (0xF06000, 0xC900, (-250.0, -55.0)),
    ],
)
def test_decode(hot: int, cold: int, expected: tuple[float, float]) -> None:
    """The rows of the datasheet's tables for both junctions."""
    assert decode(registers(hot, cold), WANTED) == expected


@pytest.mark.parametrize("unused", [0x01, 0x10, 0x1F])
def test_the_hot_junctions_unused_bits_say_nothing(unused: int) -> None:
    """The data sheet has an X there: they may be anything, above and below zero."""
    assert decode(registers(0x064F00 | unused, 0x1900), WANTED) == (100.9375, 25.0)
    assert decode(registers(0xFFF000 | unused, 0x1900), WANTED) == (-1.0, 25.0)


def test_a_cold_junction_beyond_the_part_is_refused() -> None:
    """127 °C fits into the register, and not into the part."""
    with pytest.raises(InvalidData, match="outside what the part can measure"):
        decode(registers(0, 0x7F00), WANTED)


@pytest.mark.parametrize(("bit", "words"), [(0x01, "is open"), (0x02, "short"), (0x40, "hot"), (0x80, "cold")])
def test_the_fault_register_is_a_sensor_failure(bit: int, words: str) -> None:
    """Each of its bits has its sentence; an open thermocouple also trips others and comes first."""
    with pytest.raises(SensorFailure, match=words):
        decode(registers(0x064F00, 0x1900, bit), WANTED)
    with pytest.raises(SensorFailure, match="is open"):
        decode(registers(0x064F00, 0x1900, 0x01 | bit), WANTED)


@pytest.mark.parametrize(("place", "bits"), [(15, 0x04), (15, 0x08), (15, 0x10), (15, 0x20), (11, 0x01), (11, 0x02)])
def test_bits_that_no_part_sets_are_refused(place: int, bits: int) -> None:
    """The four thresholds that are off, and the low bits of the cold junction, which are 0 in the data sheet."""
    damaged = bytearray(registers(0x064F00, 0x1900))
    damaged[place] |= bits
    with pytest.raises(InvalidData, match="bits are set that no MAX31856 sets"):
        decode(bytes(damaged), WANTED)


@pytest.mark.parametrize(("mains", "cr0"), [(50, 0x11), (60, 0x10)])
def test_what_goes_over_the_wire(mains: Any, cr0: int) -> None:
    """All ten settings with the one-shot bit, 0.21 s, one read of 16 registers; bit 0 is the 50 Hz filter."""
    steps: list[object] = []
    held = bytes([cr0, 7]) + b"\xff\x7f\xc0\x7f\xff\x80\x00\x00"

    class Bus:
        def transfer(self, data: bytes, *, mode: int, speed_hz: int) -> bytes:
            steps.append((data, mode, speed_hz))
            return b"\x00" + held + b"\x19\x00\x06\x4f\x00\x00"

    hot, cold = Max31856(Bus(), Options("T", mains), steps.append).read()
    assert (hot.value, cold.value) == (100.9375, 25.0)
    order = bytes([0x80, cr0 | 0x40]) + held[1:]
    assert steps == [(order, 1, 1_000_000), 0.21, (bytes(17), 1, 1_000_000)]


def test_the_types_have_the_data_sheets_codes() -> None:
    """TC TYPE of CR1, bits 3 to 0: B to T in the order of the alphabet."""
    assert [settings(Options(thermocouple=kind))[1] for kind in CODES] == list(range(8))


def test_the_channels_are_what_the_type_can_measure() -> None:
    """Hot junction: the thermocouple's range; cold junction: the part's; no checksum, so both have a fastest pace."""
    for kind, (low, high) in CODES.items():
        assert SPEC.channels(Options(thermocouple=kind)) == (
            Channel("temperature", "Cel", low, high, digits=2, max_per_s=100.0),
            Channel("cold_junction", "Cel", -55.0, 125.0, digits=2, max_per_s=2.0),
        )


@given(st.binary(max_size=16))
def test_bytes_without_the_settings_are_refused(data: bytes) -> None:
    """No checksum, but ten registers that must read as written: garbage does not pass."""
    if data[:10] != WANTED:
        with pytest.raises(DeviceError):
            decode(data, WANTED)


@given(st.binary(min_size=6, max_size=6))
def test_any_values_are_possible_or_refused(data: bytes) -> None:
    """Behind right settings: a cold junction that the part survives and 19 bits of a hot one, or an error of ours."""
    try:
        hot_c, cold_c = decode(WANTED + data, WANTED)
    except DeviceError:
        return
    assert -55 <= cold_c <= 125
    assert -2048 <= hot_c < 2048
    assert data[5] == 0


@given(st.integers(0, 79), st.binary(min_size=6, max_size=6))
def test_a_flipped_setting_is_refused(bit: int, rest: bytes) -> None:
    """Any single bit of the first ten registers."""
    damaged = int.from_bytes(WANTED, "big") ^ 1 << bit
    with pytest.raises(InvalidData, match="lost power"):
        decode(damaged.to_bytes(10, "big") + rest, WANTED)


@pytest.mark.parametrize("kind", list(RANGES_C))
def test_an_independent_driver_agrees(wire: Wire, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    """Adafruit's MAX31856 and ours, every type, at both ends of its range and inside."""
    import adafruit_max31856

    sensor = opened(wire, thermocouple=kind)
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    monkeypatch.setattr(adafruit_max31856, "sleep", wire.timer.sleep)
    spi = wire.spi()
    low, high = RANGES_C[kind]
    for hot, cold in ((low + 1, -20.0), ((low + high) / 2, 23.4), (high - 1, 85.0)):
        wire.set(temperature=hot, cold_junction=cold)
        seen = values(sensor.read())
        oracle = adafruit_max31856.MAX31856(spi, spi, getattr(adafruit_max31856.ThermocoupleType, kind))
        assert seen["temperature"] == pytest.approx(hot, abs=0.12)
        assert seen["temperature"] == pytest.approx(oracle.temperature, abs=0.24)
        assert seen["cold_junction"] == pytest.approx(oracle.reference_temperature, abs=0.16)
        assert not any(oracle.fault.values())


@pytest.mark.parametrize("mains", [50, 60])
def test_it_waits_for_the_conversion(wire: Wire, mains: int) -> None:
    """The value is of a conversion that began in the call, for both filters."""
    sensor = opened(wire, mains=mains)
    for truth in (100.0, 250.0):
        wire.set(temperature=truth)
        assert values(sensor.read())["temperature"] == pytest.approx(truth, abs=0.12)


def test_a_part_that_never_finishes(wire: Wire) -> None:
    """A conversion that does not end is a timeout, not the old value."""
    wire.place("max31856", "spi", SPI)
    naps = list[float]()
    sensor = wire.open(sleep=naps.append)
    with pytest.raises(DeviceTimeout, match="still converting"):
        sensor.read()
    assert naps == [0.21, 0.02, 0.02, 0.02]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("open", SensorFailure),
        ("overvoltage", SensorFailure),
        ("zeros", NotConnected),
        ("ones", NotConnected),
        ("garbage", InvalidData),
        ("hang", DeviceTimeout),
    ],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault ends in its own error, and in values again when it is over."""
    sensor = opened(wire)
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    assert len(sensor.read()) == 2


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error; plugged in again: values, without opening anything anew."""
    sensor = opened(wire)
    wire.plug(False)
    with pytest.raises(NotConnected, match="check MISO"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 2
