"""Records as bytes: the very rows that are stored and sent on (docs/local-protocol.md), encoded once."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.core.event import Event
from gateway.core.reading import Reading

Lane = Literal["telemetry", "events"]
TELEMETRY = "telemetry"
ROWS_LIMIT = 200
"""Rows in one frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Some consecutive records of one lane and class. body: None for a gap, whose records were lost to overflow.

    mono_ms: CLOCK_BOOTTIME, ts_ms: wall clock, both of the first row.
    """

    lane: Lane
    kind: str
    first: int
    count: int
    mono_ms: int = 0
    ts_ms: int = 0
    trusted: bool = False
    body: bytes | None = None

    @property
    def last(self) -> int:
        """The number of its last record."""
        return self.first + self.count - 1


class RowWriter:
    """Encodes readings; remembers each point's part of the row, which never changes. One thread."""

    def __init__(self) -> None:
        self._heads: dict[str, str] = {}

    def telemetry(self, readings: Iterable[Reading], mono_ms: int) -> bytes:
        """A JSON array of telemetry rows."""
        heads, rows = self._heads, []
        for reading in readings:
            head = heads.get(reading.point) or self._head(reading.point)
            value, reason = reading.value, reading.reason.value
            shown = "null" if value is None else "true" if value is True else "false" if value is False else repr(value)
            quality = "" if reason == "Good" else f',"q":"{reason}"'
            rows.append(f'{head}{reading.time_ns // 1_000_000 - mono_ms},"v":{shown}{quality}}}')
        return f"[{','.join(rows)}]".encode()

    def _head(self, point: str) -> str:
        device, _, channel = point.rpartition(".")
        head = f'{{"d":{_text(device)},"m":{_text(channel)},"t":'
        self._heads[point] = head
        return head


def event_rows(events: Iterable[Event], mono_ms: int) -> bytes:
    """A JSON array of event rows."""
    rows = [
        {"s": event.subject, "w": event.what, "t": event.time_ns // 1_000_000 - mono_ms, "x": event.data}
        for event in events
    ]
    return _text(rows).encode("utf-8", "backslashreplace")


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
