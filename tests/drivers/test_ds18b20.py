"""DS18B20: the kernel's text, and the probe in the simulated sysfs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.ds18b20 import Ds18b20, Options, decode
from gateway.core.errors import InvalidData, NotConnected
from tests.drivers.wire import Wire

Tell = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize(
    ("text", "value"), [("25062\n", 25.062), ("-10125\n", -10.125), ("0\n", 0.0), ("125000", 125.0), ("-55000", -55.0)]
)
def test_decode(text: str, value: float) -> None:
    """Milli-degrees as the kernel writes them (the examples of the datasheet's table)."""
    assert decode(text, None) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "\n", "trash", "1e3", "125062", "-55062"])
def test_what_is_no_temperature_is_refused(text: str) -> None:
    """No text (CRC error), garbage and impossible values are errors."""
    with pytest.raises(InvalidData):
        decode(text, 20.0)


def test_85_needs_a_neighbour() -> None:
    """The power-on value is refused unless the last good value was within 5 °C."""
    for last in (None, 4.0, 79.96, 90.04):
        with pytest.raises(InvalidData, match="supply dropped out"):
            decode("85000", last)
    assert [decode("85000", last) for last in (80.0, 81.0, 90.0)] == [85.0] * 3
    assert decode("84937", 4.0) == 84.937


@given(st.one_of(st.text(max_size=9), st.integers().map(str)), st.none() | st.floats(-55, 125))
def test_any_text_is_a_possible_temperature_or_refused(text: str, last_c: float | None) -> None:
    """Whatever the file holds and whatever was before: what comes out is what the probe can measure."""
    try:
        temperature_c = decode(text, last_c)
    except InvalidData:
        return
    assert -55 <= temperature_c <= 125
    assert temperature_c == int(text) / 1000
    assert temperature_c != 85.0 or (last_c is not None and abs(last_c - 85.0) <= 5)


def test_no_text_is_explained() -> None:
    """The kernel's silence has one cause that a person can mend."""
    with pytest.raises(InvalidData, match="CRC error on the wire"):
        decode("\n", 20.0)


def test_a_probe_that_browns_out_is_not_believed() -> None:
    """4 °C and then 85 °C is an error; 84 °C and then 85 °C is a temperature."""

    class Bus:
        def __init__(self) -> None:
            self.texts = ["4000\n", "85000\n", "84000\n", "85000\n"]

        def read_temperature(self, _: str) -> str:
            return self.texts.pop(0)

    probe = Ds18b20(Bus(), Options("28-00000a1b2c3d"))
    assert probe.read()[0].value == 4.0
    with pytest.raises(InvalidData, match="85"):
        probe.read()
    assert [probe.read()[0].value, probe.read()[0].value] == [84.0, 85.0]


def test_a_refused_85_does_not_vouch_for_the_next() -> None:
    """Only good values count as neighbours."""

    class Bus:
        def read_temperature(self, _: str) -> str:
            return "85000\n"

    probe = Ds18b20(Bus(), Options("28-00000a1b2c3d"))
    for _ in range(3):
        with pytest.raises(InvalidData):
            probe.read()


@pytest.mark.parametrize("identifier", ["28-00000A1B2C3D", "10-000000000001", "28-1", ""])
def test_only_a_ds18b20s_id_is_taken(identifier: str) -> None:
    """The id is refused before the bus is opened, with where to find the right one."""
    with pytest.raises(ValueError, match="/sys/bus/w1/devices"):
        Options(identifier)


def test_reads_the_simulated_probe_and_misses_it(device: Callable[..., Any], tell: Tell) -> None:
    """A value while it is there, NotConnected when it is not, a value again."""
    probe = device("ds18b20")
    assert -5 < probe.read()[0].value < 15
    tell("unplug walkin_core")
    with pytest.raises(NotConnected, match="28-00000a1b2c3d"):
        probe.read()
    tell("plug walkin_core")
    assert probe.read()[0].channel == "temperature"


def test_a_crc_error_on_the_wire(device: Callable[..., Any], tell: Tell) -> None:
    """The kernel hides the error in an empty file; we don't."""
    probe = device("ds18b20")
    tell("fault walkin_core crc")
    with pytest.raises(InvalidData):
        probe.read()


@pytest.mark.parametrize("truth", [-55.0, -18.3, -0.0625, 0.0, 3.5, 84.9, 85.0, 124.9])
def test_an_independent_driver_agrees(wire: Wire, monkeypatch: pytest.MonkeyPatch, truth: float) -> None:
    """w1thermsensor, which reads the scratchpad of `w1_slave`, and ours see the same probe, corners included."""
    monkeypatch.setenv("W1THERMSENSOR_NO_KERNEL_MODULE", "1")
    from w1thermsensor import Sensor, W1ThermSensor
    from w1thermsensor.errors import ResetValueError

    wire.place("ds18b20", "onewire", "")
    monkeypatch.setattr(W1ThermSensor, "BASE_DIRECTORY", Path(wire.machine.path("/sys/bus/w1/devices")))
    probe = wire.open()
    oracle = W1ThermSensor(Sensor.DS18B20, wire.options.id[3:])
    wire.set(temperature=82.0 if truth > 80 else truth)
    probe.read()
    wire.set(temperature=truth)
    try:
        theirs = oracle.get_temperature()
    except ResetValueError:  # it refuses every 85 °C; ours one without a neighbour
        assert truth == 85.0
        theirs = 85.0
    assert probe.read()[0].value == pytest.approx(truth, abs=0.1)
    assert probe.read()[0].value == pytest.approx(theirs, abs=0.13)


def test_both_refuse_what_a_brown_out_leaves(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """85 °C after power-on, a wrong CRC and an absent probe are errors for either driver."""
    monkeypatch.setenv("W1THERMSENSOR_NO_KERNEL_MODULE", "1")
    from w1thermsensor import Sensor, W1ThermSensor, errors

    wire.place("ds18b20", "onewire", "")
    monkeypatch.setattr(W1ThermSensor, "BASE_DIRECTORY", Path(wire.machine.path("/sys/bus/w1/devices")))
    probe = wire.open()
    oracle = W1ThermSensor(Sensor.DS18B20, wire.options.id[3:])
    for fault, theirs in (("85000", errors.ResetValueError), ("crc", errors.SensorNotReadyError)):
        wire.fault(fault)
        with pytest.raises(InvalidData):
            probe.read()
        with pytest.raises(theirs):
            oracle.get_temperature()
    wire.fault("nack")
    with pytest.raises(NotConnected):
        probe.read()
    with pytest.raises(errors.NoSensorFoundError):
        oracle.get_temperature()
