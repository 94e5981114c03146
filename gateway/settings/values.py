"""One written value to one checked value: on/off, numbers with units, sizes, lines, words. Pure."""

import math
import re
from typing import Any, Literal, get_args, get_origin

from gateway.core.units import convert, parse_quantity
from gateway.settings.keys import BYTES, GPIO, Key
from gateway.settings.problems import shown, suggestion
from gateway.settings.tree import Scalar

_ON_OFF = {"on": True, "off": False, "true": True, "false": False}
_LINE = re.compile(r"GPIO([0-9]{1,2})|[0-9]{1,2}")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")
_QUANTITY_EXAMPLES = {"s": "5 s", "Cel": "-0.2 Cel", "V": "0.5 V", "By": "256 MiB"}


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
    raise Unfit(f"{shown(scalar.text)} is not possible here", suggestion(scalar.text, [str(each) for each in choices]))


def _two_state(scalar: Scalar) -> bool:
    try:
        return _ON_OFF[scalar.text]
    except KeyError:
        raise Unfit(f"{shown(scalar.text)} is not a two-state value", "write on or off") from None


def _text(scalar: Scalar, key: Key) -> str:
    if scalar.value is None:
        raise Unfit("the value is missing", "write one, or remove the key")
    if key.pattern and re.fullmatch(key.pattern, scalar.text) is None:
        raise Unfit(f"{shown(scalar.text)} has the wrong form", key.help)
    return scalar.text


def _number(hint: type, scalar: Scalar, key: Key) -> int | float:
    if key.unit == GPIO:
        value: float = _line(scalar)
    elif key.unit == "By":
        value = _size(scalar)
    elif key.unit and hint is float:
        value = _quantity(scalar, key.unit)
    else:
        value = _bare(hint, scalar)
    _check_range(value, key)
    return hint(value)  # type: ignore[no-any-return]  # hint is int or float


def _line(scalar: Scalar) -> int:
    match = _LINE.fullmatch(scalar.text)
    if match is None:
        raise Unfit(f"{shown(scalar.text)} is not a header line", "write it as GPIO17 (the BCM number, not the pin's)")
    return int(match[1] or match[0])


def _size(scalar: Scalar) -> int:
    if type(scalar.value) is int:
        return scalar.value
    match = _SIZE.fullmatch(scalar.text)
    if match is None or match[2] not in BYTES or len(match[1]) > 18:
        raise Unfit(f"{shown(scalar.text)} is not a size", f"write it as 256 MiB (known: {', '.join(BYTES)})")
    return int(float(match[1]) * BYTES[match[2]])


def _quantity(scalar: Scalar, unit: str) -> float:
    example = _QUANTITY_EXAMPLES.get(unit, f"1 {unit}")
    try:
        value, written = parse_quantity(scalar.text)
    except ValueError as error:
        raise Unfit(_short(error), f"write it as {example!r}") from None
    if written == "1" and unit != "1":
        raise Unfit(f"{shown(scalar.text)} has no unit", f"write it with its unit, as {example!r}")
    try:
        return convert(value, written, unit)
    except ValueError as error:
        raise Unfit(_short(error), f"write it as {example!r}") from None


def _short(error: ValueError) -> str:
    text = str(error)
    return text if len(text) <= 300 else text[:299] + "…"


def _bare(hint: type, scalar: Scalar) -> int | float:
    value = scalar.value
    if hint is int:
        if type(value) is int:
            return value
        raise Unfit(f"{shown(scalar.text)} is not a whole number", "write digits, or 0x44 in hexadecimal")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise Unfit(f"{shown(scalar.text)} is not a number", "write digits, such as 12.5")


def _check_range(value: float, key: Key) -> None:
    if isinstance(value, int) and value.bit_length() > 63:
        raise Unfit("the number is too large", "check its digits")
    if not math.isfinite(value):
        raise Unfit("the number is not finite", "write a real number")
    too_low = key.low is not None and value < key.low
    too_high = key.high is not None and value > key.high
    if too_low or too_high:
        raise Unfit(f"{_written(value, key)} is out of range", f"the range is {_range(key)}")


def _range(key: Key) -> str:
    low = "" if key.low is None else f"from {_written(key.low, key)} "
    high = "" if key.high is None else f"to {_written(key.high, key)}"
    return f"{low}{high}".strip()


def _written(value: float, key: Key) -> str:
    if key.unit == GPIO:
        return f"GPIO{value:g}"
    return f"{value:.12g} {key.unit}".strip()
