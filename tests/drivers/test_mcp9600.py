"""MCP9600: registers, the part on the simulated wire, and Adafruit's driver beside ours."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mcp9600 import COLD_HIGH_C, COLD_LOW_C, RANGES_C, SPEC, Kind, Mcp9600, Options, check, decode
from gateway.core.driver import Channel
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure
from tests.drivers.wire import Wire, values

WANTED = b"\x00\x00"
CODES: dict[Kind, tuple[float, float]] = {
    "K": (-200, 1372),
    "J": (-150, 1200),
    "T": (-200, 400),
    "N": (-150, 1300),
    "S": (250, 1664),
    "E": (-200, 1000),
    "B": (1000, 1800),
    "R": (250, 1664),
}
"""The types in the order of their codes, and the range for which the data sheet gives the part's accuracy, °C."""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x01\x90\x01\x90", (25.0, 25.0)),
        (b"\xff\xff\xff\xfc", (-0.0625, -0.25)),
        (b"\x55\xc0\x07\xd0", (1372.0, 125.0)),
        (b"\xf3\x80\xfd\x80", (-200.0, -40.0)),
    ],
)
def test_decode(data: bytes, expected: tuple[float, float]) -> None:
    """Sixteenths of a degree in two's complement."""
    assert decode(data) == expected


def test_the_types_have_the_data_sheets_codes() -> None:
    """Bits 6 to 4 of the sensor's configuration: written before the first conversion."""
    for code, kind in enumerate(CODES):
        written = list[int]()

        class Bus:
            def transfer(self, _address: int, write: bytes, read: int = 0) -> bytes:
                written.extend(write[1:] if write[0] == 0x05 else b"")  # noqa: B023  # used within this turn
                return b"\xff" * read

        with pytest.raises(InvalidData):
            Mcp9600(Bus(), Options(thermocouple=kind), lambda _: None).read()
        assert written == [code << 4]


def test_what_goes_over_the_wire() -> None:
    """Settings looked at and written, two conversions, both junctions, identity and settings again; to the byte."""
    steps: list[object] = []
    held = {0x00: b"\x01\x90", 0x02: b"\x01\x80", 0x04: b"\x40", 0x05: b"\x00", 0x06: b"\x00", 0x20: b"\x41\x11"}

    class Bus:
        def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
            steps.append((address, write, read))
            if len(write) == 2 and write[0] != 0x04:
                held[write[0]] = write[1:]
            return held[write[0]][:read]

    hot, cold = Mcp9600(Bus(), Options(0x62, "T"), steps.append).read()
    assert (hot.value, cold.value) == (25.0, 24.0)
    settings: list[object] = [(0x62, b"\x05", 1), (0x62, b"\x06", 1)]
    update: list[object] = [(0x62, b"\x04\x00", 0), 0.05, (0x62, b"\x04", 1)]
    junctions: list[object] = [(0x62, b"\x00", 2), (0x62, b"\x02", 2), (0x62, b"\x20", 2)]
    written: list[object] = [(0x62, b"\x05\x20", 0), (0x62, b"\x06\x00", 0)]
    assert steps == [*settings, *written, *update, *update, *junctions, *settings]


def test_the_channels_are_what_the_type_can_measure() -> None:
    """Hot junction: the thermocouple's range; cold junction: the part's; no checksum, so both have a fastest pace."""
    for kind, (low, high) in CODES.items():
        assert SPEC.channels(Options(thermocouple=kind)) == (
            Channel("temperature", "Cel", low, high, digits=2, max_per_s=100.0),
            Channel("cold_junction", "Cel", -40.0, 125.0, digits=2, max_per_s=2.0),
        )


@given(st.binary(min_size=4, max_size=4))
def test_any_bytes_are_a_possible_cold_junction_or_refused(data: bytes) -> None:
    """What passes is a temperature that the part itself survives."""
    try:
        _, cold_c = decode(data)
    except InvalidData:
        return
    assert COLD_LOW_C <= cold_c <= COLD_HIGH_C


def test_identity_settings_and_flags() -> None:
    """Both chips are taken; anything else, and the chips' own flags, are errors."""
    check(0x40, WANTED, WANTED, 0x40)
    check(0x41, WANTED, WANTED, 0x4F)  # the alerts are nobody's concern here
    with pytest.raises(InvalidData, match="identity reads 0xff"):
        check(0xFF, WANTED, WANTED, 0x40)
    with pytest.raises(InvalidData, match="lost power"):
        check(0x40, b"\x00\x20", WANTED, 0x40)
    with pytest.raises(SensorFailure, match="touches"):
        check(0x41, WANTED, WANTED, 0x60)
    with pytest.raises(SensorFailure, match="is open"):
        check(0x41, WANTED, WANTED, 0x50)


@pytest.mark.parametrize("kind", list(RANGES_C))
def test_an_independent_driver_agrees(wire: Wire, kind: Kind) -> None:
    """Adafruit's MCP9600 and ours, every type, at both ends of its range and inside."""
    from adafruit_mcp9600 import MCP9600

    wire.place("mcp9600", address=0x63, thermocouple=kind)
    sensor = wire.open()
    low, high = RANGES_C[kind]
    for hot, cold in ((low + 1, -35.0), ((low + high) / 2, 24.1), (high - 1, 120.0)):
        wire.set(temperature=hot, cold_junction=cold)
        seen = values(sensor.read())
        oracle = MCP9600(wire.busio(), 0x63, kind)
        assert seen["temperature"] == pytest.approx(hot, abs=0.15)
        assert seen["cold_junction"] == pytest.approx(cold, abs=0.1)
        assert (seen["temperature"], seen["cold_junction"]) == (oracle.temperature, oracle.ambient_temperature)


def test_each_read_waits_for_a_conversion_of_its_own(wire: Wire) -> None:
    """What was measured before the call is not taken for new."""
    wire.place("mcp9600")
    sensor = wire.open()
    sensor.read()
    for truth in (50.0, 350.0):
        wire.set(temperature=truth)
        assert values(sensor.read())["temperature"] == pytest.approx(truth, abs=0.15)


def test_after_a_power_cut_it_is_set_up_again(wire: Wire) -> None:
    """The registers are as after power-on, type K: the first value is already one of the right type."""
    wire.place("mcp9600", thermocouple="T")
    sensor = wire.open()
    sensor.read()
    part: Any = wire.machine.bus("i2c", "/dev/i2c-1").part(0x67)
    wire.machine.do(part.power_off)
    assert values(sensor.read())["temperature"] == pytest.approx(200.0, abs=0.15)
    assert sensor._configuration() == b"\x20\x00"


def test_a_part_that_stands_still_is_a_timeout(wire: Wire) -> None:
    """No update flag: an error, not the last value."""
    wire.place("mcp9600")
    naps = list[float]()
    sensor = wire.open(sleep=naps.append)
    with pytest.raises(DeviceTimeout, match=r"no new value within 0\.80 s"):
        sensor.read()
    assert naps == [0.05] * 16


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("open", SensorFailure),
        ("short", SensorFailure),
        ("ones", InvalidData),
        ("nack", NotConnected),
        ("stuck", DeviceTimeout),
    ],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault ends in its own error, and in values again when it is over."""
    wire.place("mcp9600")
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    assert len(sensor.read()) == 2


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error that says where; plugged in again: values."""
    wire.place("mcp9600")
    sensor = wire.open()
    wire.plug(False)
    with pytest.raises(NotConnected, match="nothing answers at 0x67"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 2
