"""ADS1115 with a transmitter: options, and the part on the simulated wire."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from smbus2 import SMBus

from drivers import ads1115, eol_loop, leak_rope, mq_gas, sound_level
from drivers.ads1115 import Ads1115, Options
from drivers.buses.i2c import I2CAdapter
from drivers.decoding.ads1115 import AnalogInput
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from gateway.core.errors import InvalidData, NotConnected, SensorFailure
from tests.oracle_i2c import BusioI2C

Tell = Callable[[str], dict[str, Any]]
GAS = Options(0x48, 0, "concentration", "%{LEL}", 0.0, 100.0)
NODE = "/dev/i2c-2"


def changed(**changes: Any) -> Options:
    """The gas transmitter's options with some changed."""
    return Options(**{**{name: getattr(GAS, name) for name in GAS.__slots__}, **changes})


def test_a_site_file_of_before_means_the_same() -> None:
    """low and high stay what they were: 0.5 V to 4.5 V unless written."""
    line = GAS.scaling()
    assert [line.value(volts) for volts in (0.5, 2.5, 4.5, 0.41, 4.74)] == pytest.approx([0, 50, 100, -2.25, 106])
    assert changed(signal="0.5-4.5 V").scaling() == line
    assert changed(low_v=1.0, high_v=5.0).scaling().value(3.0) == pytest.approx(50)
    assert changed(low_v=1.0, high_v=9.0, divider=2.0).scaling().value(2.5) == pytest.approx(50)


def test_the_adr_pin_has_four_addresses() -> None:
    """0x48 to 0x4b, for every sensor that hangs on this converter."""
    for options in (Options, eol_loop.Options, leak_rope.Options, mq_gas.Options, sound_level.Options):
        (address,) = [each for each in dataclasses.fields(options) if each.name == "address"]
        assert (address.metadata["low"], address.metadata["high"]) == (0x48, 0x4B)


def test_a_current_loop_in_a_shunt() -> None:
    """4-20 mA in 150 Ohm: 0.6 V to 3 V, failure at 3.15 V, so the 4.096 V range."""
    line = changed(signal="4-20 mA", shunt_ohm=150.0).scaling()
    assert [line.value(volts) for volts in (0.6, 1.8, 3.0)] == pytest.approx([0, 50, 100])
    assert line.highest_v == pytest.approx(3.15)


def test_a_falling_characteristic_is_allowed() -> None:
    """at_low may be the greater value; the channel's range is still low < high, and it has a believable pace."""
    options = changed(at_low=100.0, at_high=0.0)
    assert options.scaling().value(4.5) == pytest.approx(0.0)
    (channel,) = ads1115.SPEC.channels(options)
    assert (channel.low, channel.high) == pytest.approx((-3.125, 101.25))
    assert channel.max_per_s == 100.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": "percent"}, "unknown unit"),
        ({"low_v": 4.5, "high_v": 0.5}, "must be above low"),
        ({"at_high": 0.0}, "mean nothing"),
        ({"signal": "4-20 mA"}, "needs the key 'shunt'"),
        ({"signal": "4-20 mA", "shunt_ohm": 500.0}, "sees at most 6.144 V"),
        ({"signal": "0-10 V"}, "sees at most 6.144 V"),
        ({"signal": "0-10 V", "divider": 3.0, "low_v": 1.0}, "remove these"),
        ({"input": 1, "against": 2}, "can't measure input 1 against 2"),
    ],
)
def test_options_that_can_not_be(changes: dict[str, Any], words: str) -> None:
    """A scale that means nothing, or that the part can't see, is refused before anything is opened."""
    with pytest.raises(ValueError, match=words):
        changed(**changes)


@pytest.mark.parametrize(("against", "mux"), [(None, 0b100), (1, 0b000), (3, 0b001)])
def test_input_0_is_measured_against_what_is_wired(against: int | None, mux: int) -> None:
    """`against` reaches the multiplexer, and each conversion is waited for on the clock that was given."""
    steps: list[object] = []
    config = (mux << 12 | 0b000_1_100_00011).to_bytes(2, "big")

    class Bus:
        def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
            steps.append((address, write, read))
            return bytes((config[0] | 0x80, config[1])) if write == b"\x01" else bytes.fromhex("3415")[:read]

    sample = Ads1115(Bus(), changed(against=against), steps.append).read()[0]
    assert sample.value == pytest.approx((0x3415 * 6.144 / 32768 - 0.5) * 25)
    start = (0x48, b"\x01" + bytes((config[0] | 0x80, config[1])), 0)
    assert steps == [start, 0.009, (0x48, b"\x01", 2), (0x48, b"\x00", 2), (0x48, b"\x00", 2)]


def test_four_inputs_share_the_part(device: Callable[..., Any], tell: Tell) -> None:
    """Each read converts its own input."""
    tell("set fryer.oil 150")
    gas = device("ads1115")
    oil = device("ads1115", input=1, channel="temperature", unit="Cel", at_high=300.0)
    assert gas.read()[0].value == pytest.approx(0.0, abs=1.0)
    assert oil.read()[0].value == pytest.approx(150, abs=3)
    assert gas.read()[0].value == pytest.approx(0.0, abs=1.0)


def test_a_cut_wire_on_the_simulated_transmitter(device: Callable[..., Any], tell: Tell) -> None:
    """Unplugging the transmitter loses the live zero; unplugging the converter loses the address."""
    gas = device("ads1115")
    tell("unplug gas")
    with pytest.raises(SensorFailure, match="input 0 has"):
        gas.read()
    tell("plug gas")
    tell("unplug adc")
    with pytest.raises(NotConnected, match="0x48"):
        gas.read()


@pytest.mark.parametrize("fault", ["ones", "flip", "garbage"])
def test_damaged_bytes_on_the_wire_are_refused(device: Callable[..., Any], tell: Tell, fault: str) -> None:
    """The part has no checksum: the configuration register and a second look stand in for one."""
    gas = device("ads1115")
    tell(f"fault adc {fault}")
    for _ in range(5):
        with pytest.raises(InvalidData):
            gas.read()


@pytest.fixture
def machine(root: str) -> Iterator[Machine]:
    """A machine that tests place parts on and start."""
    made = Machine(root)
    undo = install(root)
    yield made
    undo()
    made.stop()


LOOP = changed(signal="4-20 mA", shunt_ohm=150.0, input=2, unit="%", channel="level", fault_after_s=4.0)


def test_a_current_loop_fails_as_ne43_says(machine: Machine) -> None:
    """Cut and shorted loops over time on the wire: Uncertain for 4 s, then Bad; Good again with the wire."""
    plain = {name: getattr(LOOP, name) for name in LOOP.__slots__}
    machine.place("ads1115", "tank", Wiring("i2c", NODE, plain))
    machine.start()
    now = [0.0]
    bus = I2CAdapter(NODE, machine.root)
    tank = Ads1115(bus, LOOP, monotonic=lambda: now[0])
    machine.set(tank__level=75.0)
    assert tank.read()[0].value == pytest.approx(75.0, abs=0.2)
    for fault in ("cut", "short"):
        machine.fault("tank", fault)
        assert tank.read()[0].reason.quality.value == "Uncertain"
        now[0] += 4.0
        with pytest.raises(SensorFailure):
            tank.read()
        machine.fault("tank", "none")
        assert tank.read()[0].reason.quality.value == "Good"
    bus.close()


def test_an_independent_driver_sees_the_same_volts(machine: Machine) -> None:
    """Adafruit's ADS1115 driver and ours agree over the range, its corners and both polarities of a difference."""
    from adafruit_ads1x15.ads1115 import ADS1115

    machine.place("ads1115", "a", Wiring("i2c", NODE, {name: getattr(GAS, name) for name in GAS.__slots__}))
    volts = [0.0, 0.0]
    chip = machine.bus("i2c", NODE).part(0x48)
    chip.inputs[0], chip.inputs[1] = (lambda: volts[0]), (lambda: volts[1])
    machine.start()
    bus = I2CAdapter(NODE, machine.root)
    ours = AnalogInput(bus, 0x48, 0, 4.75)
    difference = AnalogInput(bus, 0x48, 0, 1.9, against=1)
    raw = SMBus(f"{machine.root}{NODE}")
    theirs = ADS1115(BusioI2C(raw), gain=2 / 3)
    for volts[0], volts[1] in ((0.0, 0.0), (0.42, 2.0), (2.5, 0.75), (4.7, 4.69), (5.3, 5.3)):
        assert ours.volts() == pytest.approx(theirs.read(4) * 6.144 / 32768, abs=1e-9)
        assert difference.volts() == pytest.approx(max(-2.048, min(2.048, volts[0] - volts[1])), abs=1e-4)
    raw.close()
    bus.close()
