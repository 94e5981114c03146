"""One written value to one checked value: on/off, numbers with units, sizes, lines, words. Pure."""

import math
import re
from typing import Any, Literal, get_args, get_origin

from gateway.core.units import UNITS, convert, parse_quantity
from gateway.settings.keys import BYTES, GPIO, Key
from gateway.settings.problems import shown, suggestion
from gateway.settings.tree import Scalar

_ON_OFF = {"on": True, "off": False, "true": True, "false": False}
_HEX = "0x{:02x}"
_WRITTEN = {GPIO: "GPIO{}", "By": "{} B"}
_LINE = re.compile(r"GPIO([0-9]{1,2})")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")
_QUANTITY_EXAMPLES = {"s": "5 s", "%": "40 %", "Cel": "-0.2 Cel", "V": "0.5 V"}


class Unfit(ValueError):
    """A value that doesn't fit its key: what, and what to do. Raised here, caught by the structure builder."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}; {cure}")
        self.what, self.cure = what, cure


def scalar_as(hint: Any, scalar: Scalar, key: Key) -> Any:
    """The value as type `hint` (bool, int, float, str or a Literal). Raises Unfit."""
    if get_origin(hint) is Literal:
        return _one_of(get_args(hint), scalar)
    if hint is bool:
        return _two_state(scalar)
    if hint is str:
        return _text(scalar, key)
    if hint in (int, float):
        return _number(hint, scalar, key)
    raise TypeError(f"key {key.name!r} has type {hint!r}, which a file can't express")


def _one_of(choices: tuple[Any, ...], scalar: Scalar) -> Any:
    for choice in choices:
        if choice == scalar.text or (choice == scalar.value and type(choice) is type(scalar.value)):
            return choice
    words = [str(each) for each in choices]
    cure = suggestion(scalar.text, words) if len(words) > 1 else f"write {words[0]}"
    raise Unfit(f"{shown(scalar.text)} is not possible here", cure)


def _two_state(scalar: Scalar) -> bool:
    try:
        return _ON_OFF[scalar.text]
    except KeyError:
        raise Unfit(f"{shown(scalar.text)} is not a two-state value", "write on or off") from None


def _text(scalar: Scalar, key: Key) -> str:
    if scalar.value is None:
        raise Unfit("the value is missing", "write one, or remove the key")
    if key.pattern and re.fullmatch(key.pattern, scalar.text) is None:
        raise Unfit(f"{shown(scalar.text)} has the wrong form", key.expected)
    return scalar.text


def _number(hint: type, scalar: Scalar, key: Key) -> int | float:
    if key.unit == GPIO:
        value: float = _line(scalar)
    elif key.unit == "By":
        value = _size(scalar)
    elif key.unit and hint is float:
        value = quantity(scalar.text, key.unit)
    else:
        value = _bare(hint, scalar)
    _check_range(value, scalar.text, key)
    return hint(value)  # type: ignore[no-any-return]  # hint is int or float


def _line(scalar: Scalar) -> int:
    match = _LINE.fullmatch(scalar.text)
    if match:
        return int(match[1])
    if type(scalar.value) is int:
        return scalar.value
    raise Unfit(f"{shown(scalar.text)} is not a header line", "write it as GPIO17 (the BCM number, not the pin's)")


def _size(scalar: Scalar) -> int:
    if type(scalar.value) is int:
        return scalar.value
    match = _SIZE.fullmatch(scalar.text)
    if match is None or match[2] not in BYTES or len(match[1]) > 18:
        raise Unfit(f"{shown(scalar.text)} is not a size", f"write it as 256 MiB (known: {', '.join(BYTES)})")
    return int(float(match[1]) * BYTES[match[2]])


def quantity(text: str, unit: str) -> float:
    """`"5 min"` in `unit`. Raises Unfit."""
    try:
        value, written = parse_quantity(text)
        if written != "1" or unit == "1":
            return convert(value, written, unit)
        what = f"{shown(text)} has no unit"
    except ValueError:
        what = f"{shown(text)} is not a {UNITS[unit].kind}"
    example = _QUANTITY_EXAMPLES.get(unit, f"1 {unit}")
    fitting = ", ".join(code for code, each in UNITS.items() if each.kind == UNITS[unit].kind)
    raise Unfit(what, f"write it as '{example}' (units: {fitting})")


def _bare(hint: type, scalar: Scalar) -> int | float:
    value = scalar.value
    if hint is int:
        if type(value) is int:
            return value
        raise Unfit(f"{shown(scalar.text)} is not a whole number", "write digits, or 0x44 in hexadecimal")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise Unfit(f"{shown(scalar.text)} is not a number", "write digits, such as 12.5")


def _check_range(value: float, text: str, key: Key) -> None:
    if isinstance(value, int) and value.bit_length() > 63:
        raise Unfit("the number is too large", "check its digits")
    if not math.isfinite(value):
        raise Unfit("the number is not finite", "write a real number")
    too_low = key.low is not None and value < key.low
    too_high = key.high is not None and value > key.high
    if too_low or too_high:
        written = _HEX if text.startswith("0x") else _WRITTEN.get(key.unit, f"{{:.12g}} {key.unit}".strip())
        low = "" if key.low is None else f"from {written.format(_whole(key.low))} "
        high = "" if key.high is None else f"to {written.format(_whole(key.high))}"
        raise Unfit(f"{shown(text)} is out of range", f"the range is {low}{high}".rstrip())


def _whole(bound: float) -> int | float:
    return int(bound) if bound == int(bound) else bound
