"""Numbers in Modbus registers: type, byte order, scale, marks for "no value". Pure, and the way back for writing.

One `Register` describes one channel; drivers hold a table of them, the `modbus` driver reads it from the site's file.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from drivers.decoding.modbus_pdu import HIGHEST_ADDRESS, Kind
from gateway.core.driver import Channel, option
from gateway.core.errors import InvalidData, SensorFailure, WrongOption
from gateway.core.reading import Value
from gateway.core.units import UNITS

Type = Literal["u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "bcd16", "bcd32", "bit"]
Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
_REGISTERS: dict[Type, int] = {"u32": 2, "s32": 2, "f32": 2, "bcd32": 2, "u64": 4, "s64": 4, "f64": 4}  # others: 1
_FLOATS: dict[Type, str] = {"f32": ">f", "f64": ">d"}
_BIT_KINDS = frozenset({"coil", "discrete"})
_FLOAT_DIGITS = 3
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Register:
    """Where one channel stands in a part's memory, and what its bits mean."""

    at: int = option("address as it is sent, from 0 (a manual's 40001 is holding 0)", low=0, high=HIGHEST_ADDRESS)
    kind: Kind = option("the table it is in", default="holding")
    type: Type = option("how the number is coded; coil and discrete are bits", default="u16")
    order: Order = option("byte order: ABCD big-endian, CDAB low word first, BADC, DCBA", default="ABCD")
    bit: int = option("type bit: which one, 0 is the lowest", low=0, high=15, default=0)
    scale: float = option("what one count stands for", default=1.0)
    offset: float = option("added after scaling", default=0.0)
    unit: str = option("UCUM code; without one a number", default="")
    low: float | None = option("what the part can measure; without one what the type can hold", default=None)
    high: float | None = option("what the part can measure; without one what the type can hold", default=None)
    digits: int | None = option("decimals worth keeping; without one those of the scale", low=0, high=9, default=None)
    values: dict[int, bool | float] = option("what each count means: {0: off, 1: on}", default_factory=dict)
    invalid: tuple[int, ...] = option("counts by which the part says that it has no value: [0x8000]", default=())

    def __post_init__(self) -> None:
        for what in _contradictions(self):
            raise ValueError(what)

    @property
    def is_bit(self) -> bool:
        """One bit: a coil, a discrete input or a bit of a register."""
        return self.kind in _BIT_KINDS or self.type == "bit"

    @property
    def is_binary(self) -> bool:
        """Whether its channel is two-state."""
        return self.is_bit or (bool(self.values) and all(isinstance(each, bool) for each in self.values.values()))

    @property
    def count(self) -> int:
        """How many addresses it takes."""
        return _REGISTERS.get(self.type, 1)


def channel(name: str, register: Register) -> Channel:
    """The channel of this register."""
    if register.is_binary:
        return Channel(name)
    low, high = _limits(register)
    digits = _digits(register) if register.digits is None else register.digits
    return Channel(name, register.unit or "1", low, high, digits)


def check_map(registers: Mapping[str, Register]) -> None:
    """Refuse a map in which two channels share an address, but for bits of one. Raises WrongOption."""
    taken: dict[tuple[Kind, int], str] = {}
    for name, register in registers.items():
        for at in range(register.at, register.at + register.count):
            first = taken.setdefault((register.kind, at), name)
            if first != name and not _are_bits_of_one(registers[first], register):
                raise WrongOption(
                    f"{name!r} and {first!r} both read {register.kind} 0x{at:04x}; correct an address or a type",
                    ("registers", name),
                )


def value_of(register: Register, words: Sequence[int]) -> Value:
    """The channel's value. Raises SensorFailure for a mark, InvalidData for bits that mean nothing."""
    if register.type == "bit":
        return bool(words[0] >> register.bit & 1)
    data = _big_endian(register, words)
    if register.type in _FLOATS:
        return _float_value(register, data)
    count = _integer(register, data)
    if count in register.invalid or int.from_bytes(data, "big") in register.invalid:
        raise SensorFailure(f"the part marks it as no value (0x{data.hex()}): check its probe and its settings")
    if register.values:
        if count not in register.values:
            raise InvalidData(f"{count} is none of the values {sorted(register.values)} that the register map explains")
        return register.values[count]
    return count * register.scale + register.offset


def words_for(register: Register, value: float) -> tuple[int, ...]:
    """The words that make a part take this value, on its grid. Raises ValueError outside low and high, or the type."""
    low, high = _limits(register)
    if not low <= value <= high:
        raise ValueError(f"{value:g} is outside {low:g} to {high:g} {register.unit}".rstrip())
    data = _coded(register, (value - register.offset) / register.scale)
    return tuple(_ordered(register, [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]))


def _contradictions(register: Register) -> list[str]:
    """What can't be meant, each with its cure."""
    found = []
    if register.at + register.count - 1 > HIGHEST_ADDRESS:
        found.append(f"a {register.type} at 0x{register.at:04x} ends behind the last register 0xffff; correct 'at'")
    if register.order not in {"ABCD", "BADC"} and register.count == 1:
        found.append(f"order {register.order} needs two registers, and a {register.type} has one; remove it")
    if register.unit and register.is_binary:
        found.append("what is on or off has no unit; remove 'unit'")
    elif register.unit and register.unit not in UNITS:
        found.append(f"unknown unit {register.unit!r}; write a UCUM code such as Cel, %{{RH}}, kW.h or 1")
    if register.kind in _BIT_KINDS and register.type not in {"u16", "bit"}:
        found.append(f"a {register.kind} is one bit and no {register.type}; remove 'type'")
    if register.bit and register.type != "bit":
        found.append("'bit' means something for type bit only; write 'type: bit', or remove it")
    return found + _wrong_numbers(register) + _wrong_values(register)


def _wrong_numbers(register: Register) -> list[str]:
    found = []
    if not math.isfinite(register.scale) or register.scale == 0:
        found.append(f"a scale of {register.scale:g} makes every count the same; write what one count stands for")
    if register.low is not None and register.high is not None and register.low >= register.high:
        found.append(f"low ({register.low:g}) is not below high ({register.high:g}); swap them")
    return found


def _wrong_values(register: Register) -> list[str]:
    if not register.values:
        return []
    found = []
    if register.is_bit or register.type in _FLOATS:
        found.append(f"'values' can't explain a {'bit' if register.is_bit else register.type}; remove it")
    if len({isinstance(each, bool) for each in register.values.values()}) > 1:
        found.append("'values' mixes on/off and numbers; use one kind")
    if register.scale != 1 or register.offset:
        found.append("'values' explains counts, which are not scaled; remove 'scale' and 'offset'")
    return found


def _are_bits_of_one(first: Register, second: Register) -> bool:
    return first.type == second.type == "bit" and first.bit != second.bit


def _limits(register: Register) -> tuple[float, float]:
    if register.values:
        lowest, highest = float(min(register.values.values())), float(max(register.values.values()))
    else:
        ends = sorted(count * register.scale + register.offset for count in _counts(register))
        lowest, highest = ends
    return (
        lowest if register.low is None else register.low,
        highest if register.high is None else register.high,
    )


def _counts(register: Register) -> tuple[float, float]:
    """The lowest and the highest count that the type can hold."""
    if register.type in _FLOATS:
        return -math.inf, math.inf
    if register.type.startswith("bcd"):
        return 0, 10 ** (4 * register.count) - 1
    bits = 16 * register.count
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if register.type.startswith("s") else (0, (1 << bits) - 1)


def _digits(register: Register) -> int:
    if register.type in _FLOATS:
        return _FLOAT_DIGITS
    numbers = [float(each) for each in register.values.values()] or [register.scale, register.offset]
    return next((n for n in range(_MOST_DIGITS) if all(round(each, n) == each for each in numbers)), _MOST_DIGITS)


def _ordered(register: Register, words: Sequence[int]) -> list[int]:
    """Words of the part's order in big-endian order, or back."""
    ordered = list(words) if register.order in {"ABCD", "BADC"} else list(reversed(words))
    if register.order in {"BADC", "DCBA"}:
        ordered = [word >> 8 | (word & 0xFF) << 8 for word in ordered]
    return ordered


def _big_endian(register: Register, words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in _ordered(register, words))


def _float_value(register: Register, data: bytes) -> float:
    number: float = struct.unpack(_FLOATS[register.type], data)[0]
    if not math.isfinite(number) or int.from_bytes(data, "big") in register.invalid:
        raise SensorFailure(f"the part marks it as no value (0x{data.hex()}): check its probe and its settings")
    return number * register.scale + register.offset


def _coded(register: Register, count: float) -> bytes:
    """A count as the type has it, high byte first. Raises ValueError for one that the type can't hold."""
    lowest, highest = _counts(register)
    try:
        if register.type in _FLOATS:
            return struct.pack(_FLOATS[register.type], count)
        whole = round(count)
    except OverflowError:  # an infinity, or more than a single precision float can say
        whole = None
    if whole is None or not lowest <= whole <= highest or register.is_bit:
        raise ValueError(f"a count of {count:g} does not fit a {register.type}")
    if register.type.startswith("bcd"):
        return bytes.fromhex(f"{whole:0{4 * register.count}d}")
    return whole.to_bytes(2 * register.count, "big", signed=register.type.startswith("s"))


def _integer(register: Register, data: bytes) -> int:
    if not register.type.startswith("bcd"):
        return int.from_bytes(data, "big", signed=register.type.startswith("s"))
    digits = data.hex()
    if not digits.isdecimal():
        raise InvalidData(f"0x{digits} is no decimal number: is the register's type really {register.type}?")
    return int(digits)
