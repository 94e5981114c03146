"""What control shows when asked, made from published views without disturbing the loop (docs/local-protocol.md)."""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.core.clock import Clock
from gateway.core.event import Event
from gateway.core.reading import Reading

FORBIDDEN = frozenset(
    {"paho", "sqlite3", "ssl", "asyncio", "yaml", "board", "busio", "pulseio", "sqlite_utils", "biip"}
)
"""Modules that have no place in the process that holds the pins; neither has anything of Adafruit's."""


_STEADY_MS = 20


class WallTime:
    """Writes CLOCK_BOOTTIME instants as RFC 3339 UTC. The same instant reads the same until the wall clock is moved."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = clock.wall().ms - clock.now_ns() // 1_000_000

    def adjust(self) -> "WallTime":
        """Follow the wall clock, but not its last few milliseconds."""
        offset_ms = self._clock.wall().ms - self._clock.now_ns() // 1_000_000
        if abs(offset_ms - self._offset_ms) > _STEADY_MS:
            self._offset_ms = offset_ms
        return self

    def text(self, time_ns: int | None) -> str | None:
        """`2026-11-24T01:02:03.456Z`; None for no instant."""
        if time_ns is None:
            return None
        moment = datetime.fromtimestamp((self._offset_ms + time_ns // 1_000_000) / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"

    def row(self, view: Mapping[str, Any]) -> dict[str, Any]:
        """A view's row with each `…_ns` instant written out as `…`."""
        return {
            key.removesuffix("_ns"): self.text(value) if key.endswith("_ns") else value for key, value in view.items()
        }


def points(
    readings: Iterable[Reading], units: Mapping[str, str], time: WallTime, started_ns: int
) -> list[dict[str, Any]]:
    """Every point with value, unit, quality, reason, time and detail; one without a reading waits since the start."""
    return [
        {
            "point": reading.point,
            "value": reading.value,
            "unit": units.get(reading.point, ""),
            "quality": reading.quality.value,
            "reason": reading.reason.value,
            "time": time.text(reading.time_ns or started_ns),
            "detail": reading.detail,
        }
        for reading in readings
    ]


def event(happened: Event, time: WallTime) -> dict[str, Any]:
    """An event as the answer to "why?"."""
    return {
        "class": happened.kind.value,
        "subject": happened.subject,
        "what": happened.what,
        "time": time.text(happened.time_ns),
        "data": happened.data,
    }


def forbidden_modules() -> list[str]:
    """What this process has imported and must not have."""
    return sorted(
        name for name in list(sys.modules) if name.partition(".")[0] in FORBIDDEN or name.startswith("adafruit")
    )
