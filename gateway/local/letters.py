"""Events on their way from field to control (docs/local-protocol.md): written by the one, read by the other."""

import json
import re
import sys
from dataclasses import dataclass
from typing import Any

from gateway.core.event import Event, EventClass

ROWS_LIMIT = 200
"""Events of one letter."""
DATA_LIMIT = 4096
"""Characters of one event's data as JSON, so that a letter always fits into a frame."""
_WHAT = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Letter:
    """Consecutive events of one run of field, numbered from `first`; what lies between `after` and `first` is lost."""

    run: str
    after: int
    first: int
    events: tuple[Event, ...]

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self.first + len(self.events) - 1


def write_letter(letter: Letter) -> tuple[dict[str, Any], bytes]:
    """The frame's header and body."""
    rows = [[event.subject, event.time_ns, event.what, event.data] for event in letter.events]
    header = {"kind": "events", "run": letter.run, "after": letter.after, "first": letter.first}
    return header, json.dumps(rows, separators=(",", ":")).encode()


def read_letter(header: dict[str, Any], body: bytes | None, now_ns: int) -> Letter:
    """The letter in a frame, every field checked. Raises ValueError saying what is malformed."""
    try:
        rows = json.loads(body or b"")
    except ValueError as error:
        raise ValueError(f"the events are not JSON: {error}") from None
    if not isinstance(rows, list) or not 0 < len(rows) <= ROWS_LIMIT:
        raise ValueError(f"events must be a list of 1 to {ROWS_LIMIT} rows")
    match header:
        case {"run": str(run), "after": int(after), "first": int(first)} if 0 <= after < first:
            return Letter(run, after, first, tuple(_event(row, now_ns) for row in rows))
    raise ValueError('events must have a text "run" and whole numbers "after" < "first"')


def is_sendable(event: Event) -> bool:
    """Whether a letter or a record can carry it: a driver of others may put anything into its occurrences."""
    plain = all(_is_text(key) and _is_plain(value) for key, value in event.data.items())
    return bool(_WHAT.fullmatch(event.what)) and plain and len(json.dumps(event.data)) <= DATA_LIMIT


def _event(row: Any, now_ns: int) -> Event:
    match row:
        case [str(device), int(time_ns), str(what), dict(data)] if time_ns >= 0:
            # Nothing has happened later than now, whatever field's stamp says.
            event = Event(EventClass.DEVICE, device, what, min(time_ns, now_ns), data)
            if is_sendable(event):
                return event
    raise ValueError(f"malformed event {row!r:.100}")


def _is_plain(value: object) -> bool:
    """A text, a truth value or a finite number of ordinary size."""
    return _is_text(value) or (isinstance(value, int | float) and abs(value) <= sys.float_info.max)


def _is_text(value: object) -> bool:
    """A text that can be stored: half a surrogate pair can't."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
