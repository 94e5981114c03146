"""Lines of a GPIO chip: who pulls, who drives, which level results, and the log of every transition."""

import contextlib
import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fake_hw.loop import now_ns

_REMEMBERED = 10_000
_WAITING_BYTES = 1024 * 1024


class LineLog:
    """Every transition, in memory and, written through at once, in `lines.jsonl`.

    The lines of a kitchen do not stop when a disk is full: what can't be written waits, and is written when it can be.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.recent: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._unwritten = b""

    def add(self, line: str, level: int, why: str, pid: int) -> None:
        """Note a transition; why: claim, set, release, pull or drive; pid 0: the kitchen itself."""
        entry = {"t_ns": now_ns(), "line": line, "level": level, "why": why, "pid": pid}
        self.recent.append(entry)
        self._unwritten = (self._unwritten + json.dumps(entry).encode() + b"\n")[-_WAITING_BYTES:]
        with contextlib.suppress(OSError):
            self._unwritten = self._unwritten[os.write(self._descriptor, self._unwritten) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


@dataclass(slots=True)
class Line:
    """One line. Levels are physical, 0 or 1.

    drive: what the kitchen forces on it (a contact to ground: 0), None when nothing does. external_pull: a soldered
    resistor. bias: the chip's own weak resistor; after a reset up on GPIO0–8, down above (BCM2711 peripherals, 5.3).
    output: the level the chip drives, None for an input.
    """

    name: str
    bias: int | None
    external_pull: int | None = None
    drive: int | None = None
    output: int | None = None
    _floating: int = 0

    def level(self) -> int:
        """The level now: the strongest source wins, a floating line keeps its last level."""
        for source in (self.output, self.drive, self.external_pull, self.bias):
            if source is not None:
                self._floating = source
                return source
        return self._floating


@dataclass(slots=True)
class Lines:
    """All lines of a chip; who holds a line (watchers) and what hangs on it (loads) hear of each change of level."""

    log: LineLog
    lines: list[Line]
    watchers: dict[int, Callable[[int], None]] = field(default_factory=dict)
    loads: dict[int, Callable[[int], None]] = field(default_factory=dict)
    _levels: list[int] = field(default_factory=list)
    _wired: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._levels = [line.level() for line in self.lines]

    def level(self, offset: int) -> int:
        """The physical level of a line."""
        return self._levels[offset]

    def wire(self, offset: int, external_pull: int | None) -> None:
        """Solder the kitchen's resistor to a line (before anything runs)."""
        self._wired.add(offset)
        self.lines[offset].external_pull = external_pull
        self._levels[offset] = self.lines[offset].level()

    def wired(self) -> list[int]:
        """The lines that something outside the chip is wired to."""
        return sorted(self._wired)

    def drive(self, offset: int, level: int | None) -> None:
        """The kitchen forces a level, or lets go."""
        self._wired.add(offset)
        if self.lines[offset].drive != level:
            self.lines[offset].drive = level
            self.settle(offset, "pull" if level is None else "drive", 0)

    def settle(self, offset: int, why: str, pid: int, *, always: bool = False) -> None:
        """Work out the level after a change; when it differs log it (`always`: anyway) and tell the watcher."""
        level = self.lines[offset].level()
        changed = level != self._levels[offset]
        self._levels[offset] = level
        if changed or always:
            self.log.add(self.lines[offset].name, level, why, pid)
        for hearer in (self.watchers.get(offset), self.loads.get(offset)):
            if changed and hearer is not None:
                hearer(level)


def bcm2711_lines(count: int = 58) -> list[Line]:
    """The lines of a Raspberry Pi 4's chip, as they are after a reset."""
    return [Line(f"GPIO{offset}", bias=1 if offset <= 8 else 0) for offset in range(count)]
