"""MAX31855: frames, the part on the simulated chip select, and Adafruit's driver beside ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.thermocouple import RANGES_C, Kind
from drivers.max31855 import COLD_HIGH_C, COLD_LOW_C, SPEC, Max31855, Options, decode
from gateway.core.driver import Channel
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure
from tests.drivers.wire import Wire, values

SPI = "/dev/spidev0.0"


def frame(hot_c: float, cold_c: float, bits: int = 0) -> bytes:
    number = round(hot_c * 4) % (1 << 14) << 18 | round(cold_c * 16) % (1 << 12) << 4 | bits
    return number.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("data", "hot_c", "cold_c"),
    [
        (frame(1000.0, 0.0625), 1000.0, 0.0625),  # at 1000 °C the line meets type K's curve
        (frame(25.0, 25.0), 25.0, 25.0),  # no voltage, no correction
        (frame(177.75, 0.0625), 179.9, 0.0625),  # 7.337 mV by the slope, 179.9 °C by NIST's table
        (frame(-1.0, -20.0), 0.17, -20.0),
    ],
)
def test_decode(data: bytes, hot_c: float, cold_c: float) -> None:
    """Tables 4 and 5 of the datasheet for the bits; NIST's table for the curve."""
    assert decode(data, "K") == pytest.approx((hot_c, cold_c), abs=0.08)


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (1, "the thermocouple is open: broken wire or loose terminal"),
        (2, "the thermocouple touches ground: check its insulation"),
        (4, "the thermocouple touches the supply: check its insulation"),
        (6, "the thermocouple touches the supply: check its insulation"),
        (7, "the thermocouple is open: broken wire or loose terminal"),
    ],
)
def test_fault_bits_are_a_sensor_failure(bits: int, words: str) -> None:
    """The part itself says what is wrong with its thermocouple."""
    with pytest.raises(SensorFailure, match=f"^{words}$"):
        decode(frame(0.0, 25.0, 1 << 16 | bits), "K")


@pytest.mark.parametrize(
    "bits", [1 << 17, 1 << 3, 1 << 16, 1, 2, 4, 1 << 17 | 1 << 16 | 1], ids=lambda bits: f"{bits:x}"
)
def test_bits_that_no_part_sends_are_refused(bits: int) -> None:
    """Reserved bits, and a fault bit without the summary or the other way round, are disturbance."""
    with pytest.raises(InvalidData, match="no MAX31855 sends"):
        decode(frame(100.0, 25.0, bits), "K")


@pytest.mark.parametrize("data", [bytes(4), b"\xff" * 4])
def test_an_idle_wire_is_no_temperature(data: bytes) -> None:
    """All zeros or ones: MISO is driven by nobody."""
    with pytest.raises(NotConnected, match="nothing drives MISO"):
        decode(data, "K")


def test_what_goes_over_the_wire() -> None:
    """Four bytes are clocked in mode 0 at 1 MHz; nothing is said to the part."""
    steps: list[object] = []

    class Bus:
        def transfer(self, data: bytes, *, mode: int, speed_hz: int) -> bytes:
            steps.append((data, mode, speed_hz))
            return frame(25.0, 25.0)

    hot, cold = Max31855(Bus(), Options()).read()
    assert (hot.channel, cold.channel, cold.value) == ("temperature", "cold_junction", 25.0)
    assert steps == [(bytes(4), 0, 1_000_000)]


@pytest.mark.parametrize(("cold_c", "good"), [(-40.0625, False), (-40.0, True), (125.0, True), (125.0625, False)])
def test_the_ends_of_the_cold_junction(cold_c: float, good: bool) -> None:
    """-40 and 125 °C are measured; a step beyond, the frame was disturbed."""
    if good:
        assert decode(frame(50.0, cold_c), "K")[1] == cold_c
        return
    with pytest.raises(InvalidData, match="outside what the part bears"):
        decode(frame(50.0, cold_c), "K")


def test_the_channels_are_what_the_type_can_measure() -> None:
    """Hot junction: the thermocouple's range; cold junction: the part's; no checksum, so both have a fastest pace."""
    for kind, (low, high) in RANGES_C.items():
        assert SPEC.channels(Options(thermocouple=kind)) == (
            Channel("temperature", "Cel", low, high, digits=2, max_per_s=100.0),
            Channel("cold_junction", "Cel", -40.0, 125.0, digits=2, max_per_s=2.0),
        )


@given(st.binary(min_size=4, max_size=4), st.sampled_from(["K", "J", "N", "T"]))
def test_any_frame_is_a_possible_value_or_refused(data: bytes, kind: Kind) -> None:
    """No checksum: whatever passes lies within the channels' limits."""
    try:
        hot_c, cold_c = decode(data, kind)
    except DeviceError:
        return
    low, high = RANGES_C[kind]
    assert low - 1 <= hot_c <= high + 1
    assert COLD_LOW_C <= cold_c <= COLD_HIGH_C


@pytest.mark.parametrize("hot", [-180.0, -18.0, 0.0, 37.5, 180.0, 640.0, 1340.0])
@pytest.mark.parametrize("cold", [-20.0, 24.0, 70.0])
def test_an_independent_driver_agrees(wire: Wire, hot: float, cold: float) -> None:
    """Adafruit's MAX31855 with its NIST correction and ours read the same frame."""
    from adafruit_max31855 import MAX31855

    wire.place("max31855", "spi", SPI)
    wire.set(temperature=hot, cold_junction=cold)
    seen = values(wire.open().read())
    spi = wire.spi()
    oracle = MAX31855(spi, spi)
    assert seen["temperature"] == pytest.approx(hot, abs=0.6 if hot > -100 else 1.2)  # 0.25 °C is more where it is cold
    assert seen["temperature"] == pytest.approx(oracle.temperature_NIST, abs=0.6 if hot > -100 else 1.2)
    assert seen["cold_junction"] == pytest.approx(oracle.reference_temperature, abs=0.13)


@pytest.mark.parametrize(("kind", "hot"), [("J", 300.0), ("N", 900.0), ("T", -40.0), ("T", 200.0)])
def test_the_other_types(wire: Wire, kind: str, hot: float) -> None:
    """Each type has its slope and its curve."""
    wire.place("max31855", "spi", SPI, thermocouple=kind)
    wire.set(temperature=hot)
    assert values(wire.open().read())["temperature"] == pytest.approx(hot, abs=0.6)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("open", SensorFailure),
        ("short_gnd", SensorFailure),
        ("short_vcc", SensorFailure),
        ("zeros", NotConnected),
        ("ones", NotConnected),
        ("hang", DeviceTimeout),
    ],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault ends in its own error, and in values again when it is over."""
    wire.place("max31855", "spi", SPI)
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    assert len(sensor.read()) == 2


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error; plugged in again: values, without opening anything anew."""
    wire.place("max31855", "spi", SPI)
    sensor = wire.open()
    wire.plug(False)
    with pytest.raises(NotConnected, match="check the wires"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 2
