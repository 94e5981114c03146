"""ADS1115: decoding, live zero, and the part on the simulated wire."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers import ads1115
from drivers.ads1115 import Ads1115, Options, config_word, decode, scale
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure

Tell = Callable[[str], dict[str, Any]]
GAS = Options(0x48, 0, "concentration", "%{LEL}", 0.0, 100.0)


def test_the_config_word_of_the_register_map() -> None:
    """Single shot, AINx against GND, 128 samples/s, comparator off; 4.5 V needs the 6.144 V range, 3.3 V does not."""
    assert config_word(GAS) == 0b0_100_000_1_100_00011
    assert config_word(Options(0x48, 2, "level", "%", 0, 100, 0.3, 3.3)) == 0b0_110_001_1_100_00011


@pytest.mark.parametrize(
    ("data", "volts"), [(b"\x7f\xff", 6.1438125), (b"\x80\x00", -6.144), (b"\xff\xff", -0.0001875), (b"\x00\x00", 0.0)]
)
def test_decode_is_twos_complement(data: bytes, volts: float) -> None:
    """The codes of the datasheet's table at ±6.144 V."""
    assert decode(data, config_word(GAS)) == pytest.approx(volts)


def test_decode_knows_its_range() -> None:
    """In the 4.096 V range one bit is 125 µV."""
    assert decode(b"\x00\x01", ads1115.PGA_4V096) == pytest.approx(0.000125)


@pytest.mark.parametrize(("volts", "value"), [(0.5, 0.0), (2.5, 50.0), (4.5, 100.0), (0.41, -2.25), (4.74, 106.0)])
def test_scale_is_linear_and_keeps_the_margins(volts: float, value: float) -> None:
    """Between the fault limits the signal is a value, also a little outside the nominal range."""
    assert scale(volts, GAS) == pytest.approx(value)


@pytest.mark.parametrize(
    ("volts", "words"), [(0.39, "below the live zero"), (0.0, "broken wire"), (4.76, "short circuit")]
)
def test_a_signal_outside_is_a_broken_transmitter(volts: float, words: str) -> None:
    """NE 43: below 3.6 mA or above 21 mA (here 0.4 V and 4.75 V) it is a fault and never a value."""
    with pytest.raises(SensorFailure, match=words):
        scale(volts, GAS)


def test_a_falling_characteristic_is_allowed() -> None:
    """at_low may be the greater value; the channel's range is still low < high."""
    options = Options(0x48, 1, "level", "%", 100.0, 0.0)
    assert scale(4.5, options) == pytest.approx(0.0)
    (channel,) = ads1115.SPEC.channels(options)
    assert (channel.low, channel.high) == pytest.approx((-3.125, 101.25))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": "percent"}, "unknown unit"),
        ({"low_v": 4.5, "high_v": 0.5}, "must be above low"),
        ({"at_high": 0.0}, "mean nothing"),
    ],
)
def test_options_that_can_not_be(changes: dict[str, Any], words: str) -> None:
    """A scale that means nothing is refused before anything is opened."""
    fields = {name: getattr(GAS, name) for name in GAS.__slots__}
    with pytest.raises(ValueError, match=words):
        Options(**{**fields, **changes})


class Register:
    """A converter whose config register can be bent; it converts for `busy` looks at it."""

    def __init__(self, busy: int = 0, config: int | None = None) -> None:
        self.busy, self.config, self.pointer, self.written = busy, config, 0, 0

    def transfer(self, _address: int, write: bytes, read: int = 0) -> bytes:
        self.pointer = write[0]
        if len(write) == 3:
            self.written = int.from_bytes(write[1:], "big")
        if not read:
            return b""
        if self.pointer == 0:
            return (13653).to_bytes(2, "big")  # 2.56 V
        self.busy -= 1
        shown = self.written if self.config is None else self.config
        return (shown & 0x7FFF if self.busy >= 0 else shown | 0x8000).to_bytes(2, "big")


def test_it_waits_for_the_conversion() -> None:
    """The OS bit says when the result is of the conversion just started."""
    bus, naps = Register(busy=1), list[float]()
    (sample,) = Ads1115(bus, GAS, naps.append).read()
    assert len(naps) == 2
    assert bus.written & 0x8000
    assert sample.value == pytest.approx(51.5, abs=0.01)


def test_a_converter_that_never_ends_is_a_timeout() -> None:
    """The old conversion's result is not taken for the new one's."""
    with pytest.raises(DeviceTimeout, match="still converting"):
        Ads1115(Register(busy=99), GAS, lambda _: None).read()


@pytest.mark.parametrize("config", [0xFFFF, 0x8583, 0xD183])
def test_another_configuration_than_written_is_refused(config: int) -> None:
    """All ones (stuck bus), the reset value (brown-out), another input (a second master): never a value."""
    with pytest.raises(InvalidData, match="configuration reads"):
        Ads1115(Register(config=config), GAS, lambda _: None).read()


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


def test_all_ones_on_the_wire_are_refused(device: Callable[..., Any], tell: Tell) -> None:
    """The part has no checksum: the configuration register stands in for one."""
    gas = device("ads1115")
    tell("fault adc ones")
    with pytest.raises(InvalidData):
        gas.read()
