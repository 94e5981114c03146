"""MAX31865: registers, the platinum curve, the part on the simulated chip select, and Adafruit's driver beside ours."""

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.max31865 import SPEC, Max31865, Options, decode, relative_resistance, temperature_c
from gateway.core.driver import Channel
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure
from tests.drivers.wire import Wire, values

SPI = "/dev/spidev0.0"
ACTIVE = 0x80


def registers(code: int, status: int = 0, configuration: int = ACTIVE, flag: int | None = None) -> bytes:
    ratio = code << 1 | (bool(status) if flag is None else flag)
    return bytes([configuration]) + ratio.to_bytes(2, "big") + b"\xff\xff\x00\x00" + bytes([status])


def opened(wire: Wire, **options: Any) -> Any:
    wire.place("max31865", "spi", SPI, **options)
    return wire.open(sleep=wire.timer.sleep)


@pytest.mark.parametrize(
    ("ohm", "celsius"),
    [
        (18.52, -200.0),
        (60.26, -100.0),
        (80.31, -50.0),
        (92.16, -20.0),
        (100.0, 0.0),
        (107.79, 20.0),
        (138.51, 100.0),
        (212.05, 300.0),
        (390.48, 850.0),
    ],
)
def test_the_published_table(ohm: float, celsius: float) -> None:
    """Rows of IEC 60751's table of a PT100, below zero too."""
    assert temperature_c(ohm / 100) == pytest.approx(celsius, abs=0.02)


def test_the_equations_of_the_standard() -> None:
    """IEC 60751 to the last digit: a quartic below zero, a quadratic above."""
    assert relative_resistance(-200.0) == pytest.approx(0.1852008, abs=1e-10)
    assert relative_resistance(0.5) == pytest.approx(1 + 0.5 * 3.9083e-3 - 0.25 * 5.775e-7, abs=1e-14)
    assert relative_resistance(850.0) == pytest.approx(3.90481125, abs=1e-10)


def test_a_thousandth_beyond_the_ends_is_still_the_end() -> None:
    """The converter's last step shall not turn -200 or 850 °C into a failure."""
    low, high = relative_resistance(-200.0) - 1e-3, relative_resistance(850.0) + 1e-3
    assert temperature_c(low) == pytest.approx(-200.2, abs=0.1)
    assert temperature_c(high) == pytest.approx(850.3, abs=0.1)
    for beyond in (math.nextafter(low, 0), math.nextafter(high, 5)):
        with pytest.raises(InvalidData):
            temperature_c(beyond)


@pytest.mark.parametrize(
    ("wires", "mains", "idle"), [(2, 60, 0x00), (3, 60, 0x10), (4, 60, 0x00), (2, 50, 0x01), (3, 50, 0x11)]
)
def test_what_goes_over_the_wire(wires: Any, mains: Any, idle: int) -> None:
    """Thresholds, faults cleared, fault cycle, one shot, each with its wait; then the bias is off."""
    steps: list[object] = []

    class Bus:
        def transfer(self, data: bytes, *, mode: int, speed_hz: int) -> bytes:
            steps.append((data, mode, speed_hz))
            return b"\x00" + registers(0x2190, configuration=idle | 0x80)

    (sample,) = Max31865(Bus(), Options(wires=wires, mains=mains), steps.append).read()
    assert sample.value == pytest.approx(temperature_c(0x2190 / 32768 * 4.3))
    orders = [(0x80, bits) for bits in (idle | 0x82, idle | 0x84, idle | 0xA0, idle)]
    clear, cycle, shot, off = ((bytes(order), 1, 1_000_000) for order in orders)
    thresholds, look = (b"\x83\xff\xff\x00\x00", 1, 1_000_000), (bytes(9), 1, 1_000_000)
    assert steps == [thresholds, clear, 0.011, cycle, 0.001, shot, 0.067, look, off]


@given(st.floats(-200, 850))
def test_the_curve_goes_both_ways(celsius: float) -> None:
    """Newton's four steps are enough everywhere."""
    assert temperature_c(relative_resistance(celsius)) == pytest.approx(celsius, abs=1e-9)


def test_decode() -> None:
    """The datasheet's table: code 0x2190 of 400 ohm is 104.9 ohm, about 12.5 °C."""
    assert decode(registers(0x2190), ACTIVE) == 0x2190 / 32768


@pytest.mark.parametrize(
    ("bit", "words"),
    [(0x80, "open"), (0x40, "short-circuited"), (0x20, "open"), (0x10, "FORCE-"), (0x08, "RTDIN-"), (0x04, "supply")],
)
def test_the_fault_register_is_a_sensor_failure(bit: int, words: str) -> None:
    """Each of its bits has its sentence."""
    with pytest.raises(SensorFailure, match=words):
        decode(registers(0x2190, bit), ACTIVE)


def test_contradictions_are_refused() -> None:
    """The flag in the result without a named fault, a wrong setting, and an end that has not come."""
    with pytest.raises(InvalidData, match="none is named"):
        decode(registers(0x2190, flag=1), ACTIVE)
    for unused in (0x01, 0x02):
        with pytest.raises(InvalidData, match="none is named"):
            decode(registers(0x2190, unused), ACTIVE)
    with pytest.raises(InvalidData, match="lost power"):
        decode(registers(0x2190, configuration=0x00), ACTIVE)
    with pytest.raises(DeviceTimeout, match="still converting"):
        decode(registers(0x2190, configuration=ACTIVE | 0x20), ACTIVE)


@given(st.binary(max_size=8))
def test_any_bytes_are_a_ratio_or_refused(data: bytes) -> None:
    """What does not hold the settings does not pass."""
    try:
        ratio = decode(data, ACTIVE)
    except DeviceError:
        return
    assert 0 <= ratio < 1
    assert (data[0], data[3:7]) == (ACTIVE, b"\xff\xff\x00\x00")


@pytest.mark.parametrize("relative", [0.17, 3.92, float("nan")])
def test_what_is_no_platinum_is_refused(relative: float) -> None:
    """Outside -200 to 850 °C."""
    with pytest.raises(InvalidData, match="no temperature of a platinum element"):
        temperature_c(relative)


def test_a_reference_that_can_not_be_is_refused() -> None:
    """A PT1000 with a PT100's resistor is a configuration error, before anything is opened."""
    with pytest.raises(ValueError, match="it is about 4300 ohm"):
        Options(wires=2, element="PT1000")
    for wrong in (149.9, 1000.1):
        with pytest.raises(ValueError, match="it is about 430 ohm"):
            Options(wires=2, reference_ohm=wrong)
    assert [Options(wires=2, reference_ohm=ohm).reference_ohm for ohm in (150.0, 1000.0)] == [150.0, 1000.0]


@pytest.mark.parametrize(("reference_ohm", "high_c"), [(430.0, 850.0), (390.4812, 850.0), (200.0, 266.3486)])
def test_the_channel_ends_where_the_reference_does(reference_ohm: float, high_c: float) -> None:
    """The element's range, and no more than the resistance that the reference allows to see."""
    (channel,) = SPEC.channels(Options(wires=2, reference_ohm=reference_ohm))
    high = pytest.approx(high_c, abs=1e-3)
    assert channel == Channel("temperature", "Cel", -200.0, channel.high, digits=2, max_per_s=20.0)
    assert channel.high == high


@pytest.mark.parametrize("celsius", [-195.0, -80.0, -18.5, 0.0, 4.0, 74.2, 250.0, 845.0])
@pytest.mark.parametrize(
    "options", [{"wires": 4, "mains": 60}, {"wires": 3, "mains": 50, "element": "PT1000", "reference_ohm": 4300.0}]
)
def test_an_independent_driver_agrees(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, celsius: float, options: dict[str, Any]
) -> None:
    """Adafruit's MAX31865 and ours; its approximation below zero is off by up to 0.1 °C, more below -150."""
    from adafruit_max31865 import MAX31865

    sensor = opened(wire, **options)
    wire.set(temperature=celsius)
    seen = values(sensor.read())
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    spi = wire.spi()
    nominal = 1000 if options.get("element") == "PT1000" else 100
    reference = options.get("reference_ohm", 430.0)
    oracle = MAX31865(spi, spi, rtd_nominal=nominal, ref_resistor=reference, wires=options["wires"])
    assert seen["temperature"] == pytest.approx(celsius, abs=0.06)
    assert seen["temperature"] == pytest.approx(oracle.temperature, abs=0.15)
    assert not any(oracle.fault)


def test_the_bias_is_off_between_reads_and_settled_in_them(wire: Wire) -> None:
    """A current all the time would warm the element; one that has not settled measures too little."""
    sensor = opened(wire)
    wire.set(temperature=60.0)
    assert values(sensor.read())["temperature"] == pytest.approx(60.0, abs=0.06)
    bus = sensor._bus
    assert not bus.transfer(b"\x00\x00", mode=1, speed_hz=1_000_000)[1] & 0x80


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("open", SensorFailure),
        ("short", SensorFailure),
        ("lead_off", SensorFailure),
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
    assert len(sensor.read()) == 1


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error; plugged in again: values, without opening anything anew."""
    sensor = opened(wire)
    wire.plug(False)
    with pytest.raises(NotConnected, match="check MISO"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 1
