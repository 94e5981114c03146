"""What a peer may say, checked field by field before any handler sees it."""

import math
from dataclasses import dataclass
from typing import Any

from gateway.core.command import Command
from gateway.core.reading import Value
from gateway.core.role import ALLOWED, Role, Verb
from gateway.local.frames import Header, ProtocolError

PROTOCOL = 1
HOLD_LIMIT_S = 24 * 3600.0
TEXT_LIMIT = 500
FRAME_ROLES: dict[str, frozenset[Role]] = {
    "subscribe": frozenset({Role.RECORDER}),
    "ack": frozenset({Role.RECORDER}),
    "samples": frozenset({Role.FIELD}),
    "events": frozenset({Role.FIELD}),
    "health": frozenset({Role.RECORDER, Role.FIELD}),
}
"""Kinds that are neither hello, command nor query, and who may send them."""

_TIMED = frozenset({Verb.SET, Verb.SHELVE, Verb.BYPASS})
_UNTARGETED = frozenset({Verb.RELOAD})


@dataclass(frozen=True, slots=True)
class Hello:
    """A client's first words."""

    name: str
    role: Role


def read_hello(header: Header) -> Hello:
    """The client's introduction. Raises ProtocolError."""
    if header["kind"] != "hello":
        raise ProtocolError(f"the first frame is {header['kind']!r:.40}: say hello first")
    if header.get("protocol") != PROTOCOL or isinstance(header["protocol"], bool):
        raise ProtocolError(f"protocol {header.get('protocol')!r:.40} is not spoken here: use protocol {PROTOCOL}")
    name = header.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not name.isprintable():
        raise ProtocolError('"name" must be a printable text of 1 to 64 characters')
    try:
        return Hello(name, Role(header.get("role", Role.VIEWER)))
    except ValueError:
        raise ProtocolError(f"unknown role {header['role']!r:.40}: use one of {', '.join(Role)}") from None


def read_id(header: Header) -> int:
    """The number that ties an answer to its question. Raises ProtocolError."""
    number = header.get("id")
    if type(number) is not int or not 0 <= number < 2**53:
        raise ProtocolError(f'"id" is {number!r:.40} (a whole number is needed)')
    return number


def read_query(header: Header) -> tuple[str, dict[str, Any]]:
    """What is asked, and the other fields. Raises ProtocolError."""
    what = header.get("what")
    if not isinstance(what, str):
        raise ProtocolError('"what" must be a text')
    return what, {key: value for key, value in header.items() if key not in ("kind", "id", "what")}


def read_command(header: Header, role: Role, who: str) -> Command:
    """The request, every field checked. Raises ValueError saying what is wrong, with what to do."""
    verb = _verb(header)
    target = _text(header, "target", "" if verb in _UNTARGETED else None)
    if role is Role.RECORDER:
        who = f"cloud:{_text(header, 'who', 'unknown')}"
    return Command(
        verb=verb,
        target=target,
        role=role,
        who=who,
        value=_value(header) if verb is Verb.SET else None,
        for_s=_duration(header, verb) if verb in _TIMED else None,
        reason=_text(header, "reason", ""),
    )


def refusal(header: Header, role: Role) -> str | None:
    """Why this role may not give this command, None when it may."""
    verb = _verb(header)
    if verb in ALLOWED[role]:
        return None
    able = [other.value for other in Role if verb in ALLOWED[other]]
    return f"{role} may not {verb}: connect as {' or '.join(able)}"


def _verb(header: Header) -> Verb:
    try:
        return Verb(str(header.get("verb")))
    except ValueError:
        raise ValueError(f"unknown verb {header.get('verb')!r:.40}: use one of {', '.join(Verb)}") from None


def _text(header: Header, key: str, default: str | None) -> str:
    text = header.get(key, default)
    if not isinstance(text, str) or len(text) > TEXT_LIMIT or (default is None and not text):
        raise ValueError(f'"{key}" must be a text of {"1" if default is None else "0"} to {TEXT_LIMIT} characters')
    return text


def _value(header: Header) -> Value:
    value = header.get("value")
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) <= 1e15:
        return float(value)
    raise ValueError('"value" must be true, false or a number')


def _duration(header: Header, verb: Verb) -> float:
    seconds = header.get("for_s")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ValueError(f'{verb} needs "for_s", how many seconds it holds')
    if seconds == 0 and verb is Verb.BYPASS:
        return 0.0
    if not 0 < seconds <= HOLD_LIMIT_S:
        raise ValueError(f'"for_s" is {seconds:g}: more than 0 and at most {HOLD_LIMIT_S:g} s (24 h) are allowed')
    return float(seconds)
