"""The ADS1115's registers: configuration, codes, and what makes a conversion believable without a checksum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.ads1115 import AnalogInput, config_word, decode
from gateway.core.errors import DeviceTimeout, InvalidData


def test_the_config_word_of_the_register_map() -> None:
    """Single shot, AINx against GND, 128 samples/s, comparator off; the smallest range that shows the signal."""
    assert config_word(0, 4.75) == 0b0_100_000_1_100_00011
    assert config_word(2, 3.4) == 0b0_110_001_1_100_00011
    assert config_word(3, 0.1) == 0b0_111_101_1_100_00011
    assert config_word(0, 4.096) >> 9 & 7 == 0  # a signal at the end of a range would not be told from one beyond
    assert [config_word(0, volts) >> 9 & 7 for volts in (6.1, 4.0, 2.0, 1.0, 0.5, 0.25)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("plus", "minus", "code"), [(0, 1, 0), (0, 3, 1), (1, 3, 2), (2, 3, 3)])
def test_the_four_differences(plus: int, minus: int, code: int) -> None:
    """The multiplexer's codes of the register map."""
    assert config_word(plus, 1.0, minus) >> 12 == code


@pytest.mark.parametrize(("plus", "minus"), [(1, 0), (0, 2), (3, 3)])
def test_other_differences_are_refused(plus: int, minus: int) -> None:
    """The part can subtract four pairs only."""
    with pytest.raises(ValueError, match="it can: 0 against 1, 0 against 3"):
        config_word(plus, 1.0, minus)


def test_a_signal_that_it_can_not_see_is_refused() -> None:
    """Above its widest range a failure signal would look like a value."""
    with pytest.raises(ValueError, match=r"at most 6\.144 V, and the signal reaches 10\.6 V"):
        config_word(0, 10.625)


@pytest.mark.parametrize(
    ("data", "volts"), [(b"\x7f\xff", 6.1438125), (b"\x80\x00", -6.144), (b"\xff\xff", -0.0001875), (b"\x00\x00", 0.0)]
)
def test_decode_is_twos_complement(data: bytes, volts: float) -> None:
    """The codes of the datasheet's table at ±6.144 V."""
    assert decode(data, config_word(0, 4.75)) == pytest.approx(volts)


@pytest.mark.parametrize(
    ("highest_v", "full_scale_v"), [(5, 6.144), (4, 4.096), (2, 2.048), (1, 1.024), (0.5, 0.512), (0.25, 0.256)]
)
def test_each_range_has_its_step(highest_v: float, full_scale_v: float) -> None:
    """The datasheet's full scales: a code is a 32768th of them."""
    assert decode(b"\x40\x00", config_word(0, highest_v)) == full_scale_v / 2


@given(st.binary(min_size=2, max_size=2), st.floats(0, 6.1))
def test_no_code_is_beyond_full_scale(data: bytes, highest_v: float) -> None:
    """Any bytes are a voltage that the range can hold."""
    config = config_word(0, highest_v)
    assert highest_v < 6.144
    assert abs(decode(data, config)) <= {0: 6.144, 1: 4.096, 2: 2.048, 3: 1.024, 4: 0.512, 5: 0.256}[config >> 9 & 7]


class Register:
    """A converter whose registers can be bent; it converts for `busy` looks at it."""

    def __init__(self, busy: int = 0, config: int | None = None, codes: tuple[int, ...] = (13653,)) -> None:
        self.busy, self.config, self.codes, self.written = busy, config, list(codes), 0

    def transfer(self, _address: int, write: bytes, read: int = 0) -> bytes:
        if len(write) == 3:
            self.written = int.from_bytes(write[1:], "big")
        if not read:
            return b""
        if write[0] == 0:
            code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
            return code.to_bytes(2, "big")
        self.busy -= 1
        shown = self.written if self.config is None else self.config
        return (shown & 0x7FFF if self.busy >= 0 else shown | 0x8000).to_bytes(2, "big")


def test_it_waits_for_the_conversion() -> None:
    """The OS bit says when the result is of the conversion just started."""
    bus, naps = Register(busy=1), list[float]()
    assert AnalogInput(bus, 0x48, 0, 4.75, sleep=naps.append).volts() == pytest.approx(2.56, abs=1e-3)
    assert len(naps) == 2
    assert bus.written & 0x8000


def test_a_converter_that_never_ends_is_a_timeout() -> None:
    """The old conversion's result is not taken for the new one's."""
    naps = list[float]()
    with pytest.raises(DeviceTimeout, match="still converting after 27 ms"):
        AnalogInput(Register(busy=99), 0x48, 0, 4.75, sleep=naps.append).volts()
    assert naps == [0.009] * 3


@pytest.mark.parametrize("config", [0xFFFF, 0x8583, 0xD183])
def test_another_configuration_than_written_is_refused(config: int) -> None:
    """All ones (stuck bus), the reset value (brown-out), another input (a second master): never a value."""
    with pytest.raises(InvalidData, match="configuration reads"):
        AnalogInput(Register(config=config), 0x48, 0, 4.75, sleep=lambda _: None).volts()


@given(st.integers(0, 15))
def test_a_flipped_bit_in_the_result_is_refused(bit: int) -> None:
    """There is no checksum: the result is read twice, and what differs is no value."""
    with pytest.raises(InvalidData, match="and then"):
        AnalogInput(Register(codes=(13653 ^ 1 << bit, 13653)), 0x48, 0, 4.75, sleep=lambda _: None).volts()
