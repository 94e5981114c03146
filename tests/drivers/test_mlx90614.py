"""MLX90614: words with PEC, the part on the simulated wire, and Adafruit's driver beside ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mlx90614 import RAM_TOBJ1, Mlx90614, Options, check, decode, pec, through_emissivity
from fake_hw.parts.crc import smbus
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure
from tests.drivers.wire import Wire, values


def word(raw: int, address: int = 0x5A, command: int = RAM_TOBJ1) -> bytes:
    low_high = raw.to_bytes(2, "little")
    return low_high + bytes([smbus(bytes([address << 1, command, address << 1 | 1]) + low_high)])


def test_the_datasheets_example() -> None:
    """Read word 0x3AD2 of RAM 0x07 at 0x5A: PEC 0x30; that is 301.16 K."""
    assert pec(bytes.fromhex("b407b5d23a")) == 0x30
    assert decode(b"\xd2\x3a\x30", 0x5A, 0x07) == pytest.approx(301.16)


@given(st.integers(0, 0x7FFF), st.integers(0, 23), st.integers(1, 0x7F))
def test_no_single_bit_error_passes(raw: int, bit: int, address: int) -> None:
    """Any flipped bit is refused, at every address."""
    damaged = int.from_bytes(word(raw, address), "big") ^ 1 << bit
    with pytest.raises(InvalidData, match="PEC"):
        decode(damaged.to_bytes(3, "big"), address, RAM_TOBJ1)


@given(st.integers(1, 0x7F), st.integers(1, 0x7F), st.integers(0, 0x7FFF))
def test_a_foreign_answer_is_refused(address: int, other: int, raw: int) -> None:
    """The code covers the address: another part's word does not fit."""
    if address != other:
        with pytest.raises(InvalidData):
            decode(word(raw, other), address, RAM_TOBJ1)


@given(st.binary(max_size=4))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    """What passes is below the error flag."""
    try:
        kelvin = decode(data, 0x5A, RAM_TOBJ1)
    except (InvalidData, SensorFailure):
        return
    assert 0 <= kelvin <= 655.34


def test_the_error_flag_is_a_sensor_failure() -> None:
    """Bit 15, with a good code."""
    with pytest.raises(SensorFailure, match="0xbaf7"):
        decode(word(0xBAF7), 0x5A, RAM_TOBJ1)


@pytest.mark.parametrize("pair", [(0.0, 0.0), (300.0, 0.0), (300.0, 420.0), (120.0, 300.0), (750.0, 300.0)])
def test_what_it_can_not_measure_is_refused(pair: tuple[float, float]) -> None:
    """Zeros before the first value, and temperatures beyond the part."""
    with pytest.raises(InvalidData, match="not what the part can measure"):
        check(*pair)


def test_what_goes_over_the_wire() -> None:
    """RAM 0x07 for the surface and 0x06 for the case, three bytes each."""
    steps: list[object] = []

    class Bus:
        def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
            steps.append((address, write, read))
            return word({7: 15_000, 6: 14_900}[write[0]], address, write[0])

    surface, case = Mlx90614(Bus(), Options(0x5B)).read()
    assert (surface.value, case.value) == pytest.approx((26.85, 24.85))
    assert steps == [(0x5B, b"\x07", 3), (0x5B, b"\x06", 3)]


@pytest.mark.parametrize(
    ("object_c", "ambient_c", "good"),
    [
        (20.0, -40.0, True),
        (20.0, -40.02, False),
        (20.0, 125.0, True),
        (20.0, 125.02, False),
        (-120.0, 20.0, True),
        (-120.02, 20.0, False),
        (430.0, 20.0, True),
        (430.02, 20.0, False),
    ],
)
def test_the_ends_of_what_it_can_measure(object_c: float, ambient_c: float, good: bool) -> None:
    """The part's own range for its case; 50 °C more for a surface, which emissivity moves."""
    if good:
        assert check(object_c + 273.15, ambient_c + 273.15) == (object_c, ambient_c)
        return
    with pytest.raises(InvalidData, match="not what the part can measure"):
        check(object_c + 273.15, ambient_c + 273.15)


def test_emissivity() -> None:
    """A black surface is as it seems; a grey one is further from its surroundings than it seems."""
    assert through_emissivity(350.0, 300.0, 1.0) == pytest.approx(350.0)
    assert through_emissivity(300.0, 300.0, 0.5) == pytest.approx(300.0)
    assert through_emissivity(340.0, 300.0, 0.9) > 340.0
    assert through_emissivity(280.0, 300.0, 0.9) < 280.0
    assert through_emissivity(340.0, 300.0, 0.9) ** 4 == pytest.approx((340.0**4 - 0.1 * 300.0**4) / 0.9)
    assert through_emissivity(100.0, 300.0, 0.3) == 0.0  # a mirror of warm surroundings can't look that cold


@pytest.mark.parametrize(
    ("surface", "case"), [(-69.0, -38.0), (-18.0, 25.0), (74.5, 31.0), (200.0, 60.0), (379.0, 120.0)]
)
def test_an_independent_driver_agrees(wire: Wire, surface: float, case: float) -> None:
    """Adafruit's MLX90614 and ours read the truth of a black surface, corners included."""
    from adafruit_mlx90614 import MLX90614

    wire.place("mlx90614", emissivity=1.0)
    wire.set(object=surface, ambient=case)
    seen = values(wire.open().read())
    oracle = MLX90614(wire.busio())
    assert (seen["object"], seen["ambient"]) == pytest.approx((surface, case), abs=0.12)
    assert seen["object"] == pytest.approx(oracle.object_temperature, abs=0.24)
    assert seen["ambient"] == pytest.approx(oracle.ambient_temperature, abs=0.14)


@pytest.mark.parametrize("emissivity", [0.95, 0.6])
def test_a_grey_surface(wire: Wire, emissivity: float) -> None:
    """What the part takes for black is put right."""
    wire.place("mlx90614", emissivity=emissivity)
    wire.set(object=74.0, ambient=28.0)
    assert values(wire.open().read())["object"] == pytest.approx(74.0, abs=0.2)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("crc", InvalidData),
        ("flip", InvalidData),
        ("ones", InvalidData),
        ("error", SensorFailure),
        ("nack", NotConnected),
        ("stuck", DeviceTimeout),
    ],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault ends in its own error, and in values again when it is over."""
    wire.place("mlx90614")
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    assert len(sensor.read()) == 2


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error that says where; plugged in again: values."""
    wire.place("mlx90614")
    sensor = wire.open()
    wire.plug(False)
    with pytest.raises(NotConnected, match="nothing answers at 0x5a"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 2
