"""What devices of the network publish: bare values and JSON. Pure, and suspicious: who knows who wrote it."""

import json
import math
import re
from typing import Any

from gateway.core.errors import InvalidData

LONGEST = 16 * 1024
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?")
_NO_VALUE = frozenset({"nan", "null", "none", "unknown", "unavailable", ""})
_SHOWN = 40


def parsed(payload: bytes) -> Any:
    """JSON as Python has it, any other text as it is. Raises InvalidData for too much, for no text, for broken JSON."""
    if len(payload) > LONGEST:
        raise InvalidData(f"a message of {len(payload)} bytes: more than {LONGEST} are no reading")
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise InvalidData(f"{payload[:_SHOWN]!r} is no text (UTF-8)") from None
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if text[:1] in ("{", "[", '"'):
            raise InvalidData(f"{text[:_SHOWN]!r}… is no JSON: {type(error).__name__}") from None
        return text


def picked(content: Any, path: str) -> Any:
    """What stands at `a.b.0` (keys, and places in a list, from 0); everything for "". Raises LookupError."""
    for key in path.split(".") if path else ():
        if isinstance(content, dict) and key in content:
            content = content[key]
        elif isinstance(content, list) and key.isdecimal() and int(key) < len(content):
            content = content[int(key)]
        else:
            raise LookupError(f"no {key!r}")
    return content


def is_no_value(content: Any) -> bool:
    """Whether a device says by this that its sensor gives nothing."""
    return content is None or (isinstance(content, str) and content.lower() in _NO_VALUE)


def number(content: Any) -> float:
    """A finite number, also one written as text. Raises InvalidData."""
    if isinstance(content, str) and _NUMBER.fullmatch(content):
        content = float(content)
    if isinstance(content, int | float) and not isinstance(content, bool):
        try:
            value = float(content)
        except OverflowError:
            value = math.inf
        if math.isfinite(value):
            return value
    raise InvalidData(f"{str(content)[:_SHOWN]!r} is no number")


def truth(content: Any, on: str, off: str) -> bool:
    """Whether the content is the word `on`; true and false mean what they say where no word is either.

    Raises InvalidData for what is neither.
    """
    word = {True: "true", False: "false"}[content] if isinstance(content, bool) else str(content)[:_SHOWN]
    if word in (on, off):
        return word == on
    if isinstance(content, bool):
        return content
    raise InvalidData(f"{word!r} is neither {on!r} nor {off!r}")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
