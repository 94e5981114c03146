"""Numbers in registers: types, orders, scales, marks, blocks, and the way back."""

import math
import struct
from typing import Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.decoding.register_blocks import blocks, decoded
from drivers.decoding.registers import Order, Register, Type, channel, check_map, value_of, words_for
from fake_hw.parts.modbus_slave import RegisterSlave, put, words
from gateway.core.driver import Channel
from gateway.core.errors import DeviceError, InvalidData, SensorFailure, WrongOption
from gateway.core.quality import Reason

INTEGERS = {"u16": (0, 16), "s16": (1, 16), "u32": (0, 32), "s32": (1, 32), "u64": (0, 64), "s64": (1, 64)}
ORDERS: tuple[Order, ...] = get_args(Order)
WORDS = st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4)


def order_of(kind: str, order: Order) -> Order:
    return order if kind[-2:] != "16" or order in {"ABCD", "BADC"} else "ABCD"


@pytest.mark.parametrize(
    ("register", "raw", "expected"),
    [
        (Register(0), [0x1234], 0x1234),
        (Register(0, order="BADC"), [0x1234], 0x3412),
        (Register(0, type="s16", scale=0.1, unit="Cel"), [0xFF33], -20.5),
        (Register(0, type="u32"), [0x0001, 0x0002], 0x00010002),
        (Register(0, type="u32", order="CDAB"), [0x0001, 0x0002], 0x00020001),
        (Register(0, type="u32", order="BADC"), [0x0102, 0x0304], 0x02010403),
        (Register(0, type="u32", order="DCBA"), [0x0102, 0x0304], 0x04030201),
        (Register(0, type="s32", order="CDAB"), [0xFFFE, 0xFFFF], -2),
        (Register(0, type="u64"), [0, 0, 1, 2], 0x10002),
        (Register(0, type="f32"), [0x4366, 0x6666], 230.4),  # the SDM description's way of writing volts
        (Register(0, type="f32", order="CDAB"), [0x6666, 0x4366], 230.4),
        (Register(0, type="f64"), [0x405E, 0xDD2F, 0x1A9F, 0xBE77], 123.456),
        (Register(0, type="bcd16"), [0x1234], 1234),
        (Register(0, type="bcd32", scale=0.01), [0x1234, 0x5678], 123456.78),
        (Register(0, type="bit", bit=3), [0x0008], True),
        (Register(0, type="bit", bit=3), [0xFFF7], False),
        (Register(0, values={0: False, 3: True}), [3], True),
        (Register(0, values={0: 0.0, 3: 1.0}), [3], 1.0),
        (Register(0, scale=0.5, offset=-40, unit="Cel"), [100], 10.0),
        (Register(0, type="f32", scale=2, offset=-40, unit="Cel"), [0x41C8, 0], 10.0),
    ],
)
def test_values(register: Register, raw: list[int], expected: float) -> None:
    """One example of each type, order and meaning, written down by hand."""
    value = value_of(register, raw)
    assert value == pytest.approx(expected, rel=1e-6)
    assert isinstance(value, bool) is isinstance(expected, bool)


@given(st.sampled_from(sorted(INTEGERS)), st.sampled_from(ORDERS), st.integers(0, 2**64 - 1))
def test_integers_of_an_independent_encoder_come_back(kind: Type, order: Order, number: int) -> None:
    """Every type in every order, against the part's own way of laying numbers out."""
    signed, bits = INTEGERS[kind]
    number = number % (1 << bits) - signed * (1 << bits - 1)
    order = order_of(kind, order)
    assert value_of(Register(0, type=kind, order=order), words(kind, order, number)) == float(number)


@given(st.sampled_from(ORDERS), st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_of_an_independent_encoder_come_back(order: Order, number: float) -> None:
    """Single precision, every order, exactly."""
    assert value_of(Register(0, type="f32", order=order), words("f32", order, number)) == number


@given(st.sampled_from(get_args(Type)), st.sampled_from(ORDERS), WORDS)
def test_any_words_are_a_number_within_the_channels_range_or_an_error(kind: Type, order: Order, raw: list[int]) -> None:
    """No bits make NaN, an infinity, or a value that the channel's limits don't know."""
    register = Register(0, type=kind, order=order_of(kind, order) if kind != "bit" else "ABCD", scale=0.1)
    try:
        value = value_of(register, raw[: register.count])
    except DeviceError:
        return
    limits = channel("x", register)
    assert isinstance(value, bool) or (math.isfinite(value) and limits.low <= value <= limits.high)


@given(
    st.sampled_from(["u16", "s16", "u32", "s32", "f32", "bcd16", "bcd32"]),
    st.sampled_from(ORDERS),
    st.floats(0, 900, allow_nan=False),
)
def test_what_is_written_is_what_is_read(kind: Type, order: Order, value: float) -> None:
    """A setpoint goes to the part and comes back on the part's grid."""
    register = Register(0, type=kind, order=order_of(kind, order), scale=0.1, low=0, high=900)
    raw = words_for(register, value)
    assert len(raw) == register.count
    assert value_of(register, raw) == pytest.approx(value, abs=0.05 + 1e-4)


@pytest.mark.parametrize(
    ("register", "value", "expected"),
    [
        (Register(0, type="s16", scale=0.1, offset=-40), -45.0, [0xFFCE]),
        (Register(0, type="s32", order="CDAB"), -2, [0xFFFE, 0xFFFF]),
        (Register(0, type="s16", scale=0.1, high=25.0), 25.0, [250]),
        (Register(0, type="s16", low=-7.0), -7.0, [0xFFF9]),
        (Register(0), 65535, [0xFFFF]),
        (Register(0, type="bcd16"), 9999, [0x9999]),
        (Register(0, type="f32", scale=2, offset=-40), 10.0, [0x41C8, 0]),
    ],
)
def test_setpoints_as_the_part_takes_them(register: Register, value: float, expected: list[int]) -> None:
    """Below zero, with an offset, and up to both ends of what is allowed."""
    assert list(words_for(register, value)) == expected


def test_a_setpoint_without_a_unit_is_refused_in_a_whole_sentence() -> None:
    """Nothing stands where no unit is."""
    with pytest.raises(ValueError, match=r"^7 is outside 0 to 5$"):
        words_for(Register(0, low=0, high=5), 7)


@pytest.mark.parametrize("value", [-0.1, 250.1, math.nan, math.inf])
def test_a_setpoint_outside_its_limits_is_never_written(value: float) -> None:
    """low and high bind what is written, and NaN is no setpoint."""
    with pytest.raises(ValueError, match="is outside 0 to 250 Cel"):
        words_for(Register(0, type="s16", scale=0.1, unit="Cel", low=0, high=250), value)


@pytest.mark.parametrize(
    ("kind", "value"), [("s16", 4000.0), ("u16", -0.1), ("bcd16", 1000.0), ("u32", 1e12), ("f32", 1e39), ("bit", 1.0)]
)
def test_what_the_type_cant_hold_is_never_written(kind: Type, value: float) -> None:
    """A count never wraps round to another value, however wide the limits are."""
    with pytest.raises(ValueError, match="does not fit"):
        words_for(Register(0, type=kind, scale=0.1, low=-1e40, high=1e40), value)


def test_marks_mean_no_value() -> None:
    """A count in `invalid` is a broken probe, written as the signed or as the raw number; a float's NaN is one too."""
    for marks in ((0x8000,), (-32768,)):
        with pytest.raises(SensorFailure, match=r"marks it as no value \(0x8000\)"):
            value_of(Register(0, type="s16", invalid=marks), [0x8000])
    for bits in (math.nan, math.inf, -math.inf):
        raw = struct.unpack(">2H", struct.pack(">f", bits))
        with pytest.raises(SensorFailure):
            value_of(Register(0, type="f32"), raw)
    with pytest.raises(SensorFailure):
        value_of(Register(0, type="f32", invalid=(0xC7C34FF3,)), [0xC7C3, 0x4FF3])


def test_bits_that_mean_nothing_are_refused() -> None:
    """A letter among decimal digits, and a count that nobody explained, are no values."""
    with pytest.raises(InvalidData, match="0x12a4 is no decimal number"):
        value_of(Register(0, type="bcd16"), [0x12A4])
    with pytest.raises(InvalidData, match=r"5 is none of the values \[0, 3\]"):
        value_of(Register(0, values={0: False, 3: True}), [5])


@pytest.mark.parametrize(
    ("register", "expected"),
    [
        (Register(0, type="s16", scale=0.1, unit="Cel"), Channel("x", "Cel", -3276.8, 3276.7, 1)),
        (Register(0, type="s16", scale=0.1, unit="Cel", low=-40, high=60), Channel("x", "Cel", -40, 60, 1)),
        (Register(0, scale=-0.25, offset=10, high=10), Channel("x", "1", 10 - 65535 / 4, 10, 2)),
        (Register(0, type="f32", unit="V"), Channel("x", "V", -math.inf, math.inf, 3)),
        (Register(0, type="f32", unit="V", digits=1, low=0, high=300), Channel("x", "V", 0, 300, 1)),
        (Register(0, type="bcd16"), Channel("x", "1", 0, 9999, 0)),
        (Register(0, type="bcd32"), Channel("x", "1", 0, 99_999_999, 0)),
        (Register(0, scale=1 / 3, low=0, high=9), Channel("x", "1", 0, 9, 9)),
        (Register(0, values={0: 0.5, 9: 2.0}), Channel("x", "1", 0.5, 2.0, 1)),
        (Register(0, values={0: False, 9: True}), Channel("x")),
        (Register(0, "coil"), Channel("x")),
    ],
)
def test_channels(register: Register, expected: Channel) -> None:
    """Limits are the part's, or what the type can hold; digits those of the scale; on/off has no unit."""
    found = channel("x", register)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.name, found.unit, found.digits) == (expected.name, expected.unit, expected.digits)


@pytest.mark.parametrize(
    "options",
    [
        {"at": 0xFFFF},
        {"at": 0xFFFE, "type": "u32"},
        {"at": 0xFFFC, "type": "f64"},
        {"at": 0, "kind": "discrete", "type": "bit"},
    ],
)
def test_the_last_registers_and_bits_can_be_meant(options: dict[str, Any]) -> None:
    """Up to address 0xffff; a discrete input may be called a bit."""
    assert channel("x", Register(**options)).is_binary is (options.get("type") == "bit")


@pytest.mark.parametrize(
    ("options", "words_"),
    [
        ({"at": 0xFFFF, "type": "f32"}, "ends behind the last register"),
        ({"at": 0, "order": "DCBA"}, "order DCBA needs two registers"),
        ({"at": 0, "unit": "degC"}, "unknown unit 'degC'"),
        ({"at": 0, "kind": "coil", "unit": "Cel"}, "^what is on or off has no unit; remove 'unit'$"),
        ({"at": 0, "values": {0: False}, "unit": "Cel"}, "has no unit"),
        ({"at": 0, "kind": "discrete", "type": "f32"}, "one bit and no f32"),
        ({"at": 0, "bit": 1}, "^'bit' means something for type bit only; write 'type: bit', or remove it$"),
        ({"at": 0, "scale": 0.0}, "scale of 0"),
        ({"at": 0, "scale": math.nan}, "scale of nan"),
        ({"at": 0, "low": 5.0, "high": 5.0}, "is not below"),
        ({"at": 0, "type": "f32", "values": {0: 1.0}}, "can't explain a f32"),
        ({"at": 0, "kind": "coil", "values": {0: 1.0}}, "can't explain a bit; remove it"),
        ({"at": 0, "values": {0: 1.0, 1: True}}, "^'values' mixes on/off and numbers; use one kind$"),
        (
            {"at": 0, "values": {0: 1.0}, "scale": 2.0},
            "^'values' explains counts, which are not scaled; remove 'scale' and 'offset'$",
        ),
    ],
)
def test_contradictions_are_told(options: dict[str, Any], words_: str) -> None:
    """A register that can't be meant is refused where it is written, with its cure."""
    with pytest.raises(ValueError, match=words_):
        Register(**options)


def test_two_channels_share_an_address_only_as_bits() -> None:
    """An overlap is a wrong address or type; the two tables of words, and bits of one word, are not."""
    check_map({"a": Register(3, type="bit", bit=0), "b": Register(3, type="bit", bit=1)})
    check_map({"a": Register(3, "input", "u32"), "b": Register(4, "holding")})
    with pytest.raises(WrongOption, match=r"'b' and 'a' both read holding 0x0004") as refused:
        check_map({"a": Register(3, type="u32"), "b": Register(4)})
    assert refused.value.at == ("registers", "b")
    with pytest.raises(WrongOption):
        check_map({"a": Register(3, type="bit", bit=1), "b": Register(3, type="bit", bit=1)})


MAPS = st.dictionaries(
    st.sampled_from([f"c{n}" for n in range(12)]),
    st.builds(
        Register,
        st.integers(0, 300),
        st.sampled_from(["input", "holding", "coil"]),
    ),
    min_size=1,
)


@given(MAPS, st.integers(0, 20), st.integers(4, 125))
def test_blocks_read_every_channel_once_in_few_requests(registers: dict[str, Register], gap: int, most: int) -> None:
    """Each channel has its own value from whichever block it fell into; no request is longer than the part takes."""
    assume(len({(each.kind, each.at) for each in registers.values()}) == len(registers))
    plan = blocks(registers, gap=gap, most=most)
    words_ = {at: at for at in range(700)}
    slave = RegisterSlave(coils={at: at % 2 for at in range(700)}, holdings=words_, inputs=words_)
    samples = decoded(plan, [slave.answer(block.request) for block in plan], registers)
    assert [sample.channel for sample in samples] == list(registers)
    for sample, register in zip(samples, registers.values(), strict=True):
        assert sample.value == (bool(register.at % 2) if register.kind == "coil" else register.at)
    assert all(block.count <= most for block in plan if block.kind != "coil")
    assert sorted(name for block in plan for name, _ in block.fields) == sorted(registers)


def test_blocks_are_joined_over_a_gap_only_where_that_is_allowed() -> None:
    """Neighbours make one request; what lies apart more than the gap, or in another table, its own."""
    registers = {"a": Register(0), "b": Register(1, type="u32"), "c": Register(5), "d": Register(6, "input")}
    assert [(block.at, block.count) for block in blocks(registers)] == [(0, 3), (5, 1), (6, 1)]
    assert [(block.at, block.count) for block in blocks(registers, gap=1)] == [(0, 3), (5, 1), (6, 1)]
    assert [(block.at, block.count) for block in blocks(registers, gap=2)] == [(0, 6), (6, 1)]
    assert [(block.at, block.count) for block in blocks(registers, gap=2, most=5)] == [(0, 3), (5, 1), (6, 1)]
    assert [(block.at, block.count) for block in blocks(registers, gap=2, most=6)] == [(0, 6), (6, 1)]
    assert [block.count for block in blocks({"a": Register(0), "b": Register(2)})] == [1, 1]


def test_bits_have_their_own_limit() -> None:
    """A part that takes few registers at once still takes the standard's 2000 bits."""
    coils = {"first": Register(0, "coil"), "last": Register(1999, "coil"), "beyond": Register(2000, "coil")}
    assert [(block.at, block.count) for block in blocks(coils, gap=2000, most=4)] == [(0, 2000), (2000, 1)]


def test_a_channel_without_a_value_spoils_no_other() -> None:
    """One broken probe of a controller is Bad alone, with words."""
    registers = {"core": Register(0, type="s16", invalid=(0x8000,)), "air": Register(1, type="s16", scale=0.1)}
    inputs: dict[int, int] = {}
    put(inputs, 0, [0x8000, 45])
    plan = blocks(registers)
    core, air = decoded(plan, [RegisterSlave(holdings=inputs).answer(plan[0].request)], registers)
    assert (core.channel, core.reason) == ("core", Reason.BAD_SENSOR_FAILURE)
    assert math.isnan(core.value)
    assert "no value" in core.detail
    assert air.value == pytest.approx(4.5)
