"""What the outputs' lines did around each death of control: judged, and as a table to the microsecond."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

CAUSES = frozenset({"claim", "set", "release", "pull", "drive"})


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the simulator's line log. t_ns: CLOCK_BOOTTIME; pid 0: the kitchen, not a program."""

    t_ns: int
    line: str
    level: int
    why: str
    pid: int


@dataclass(frozen=True, slots=True)
class Death:
    """How control, process `pid`, was brought to its end. t_ns: CLOCK_BOOTTIME just before that was done."""

    how: str
    pid: int
    t_ns: int


@dataclass(frozen=True, slots=True)
class Report:
    """The changes of the outputs' lines, and the deaths of control, in order. safe: line → level.

    strict: released lines fall back to their pull; otherwise they keep their level until somebody claims them.
    """

    changes: tuple[Change, ...]
    deaths: tuple[Death, ...]
    safe: dict[str, int]
    strict: bool

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]], deaths: Iterable[Death], safe: dict[str, int], strict: bool) -> Report:
        """From the log's rows; those of inputs are left out."""
        changes = tuple(Change(**row) for row in rows if row["line"] in safe)
        return cls(changes, tuple(deaths), safe, strict)

    def problems(self) -> list[str]:
        """Everything that must not be: empty when no line ever left its safe level where it has to be safe."""
        found = [f"{_words(change)}: unknown cause" for change in self.changes if change.why not in CAUSES]
        found += [
            f"{_words(late)}: before {_words(early)}" for early, late in pairwise(self.changes) if _back(early, late)
        ]
        for change in self.changes:
            if change.why == "claim" and change.level != self.safe[change.line]:
                found.append(f"{_words(change)}: claimed at the level that is not safe")
        for number, death in enumerate(self.deaths, 1):
            for line in self.safe:
                found += [f"death {number}, {death.how}: {words}" for words in self._judged(number, death, line)]
        return found

    def _judged(self, number: int, death: Death, line: str) -> Iterator[str]:
        """From the dying process's release of one line to the first decision of its successor."""
        own = [change for change in self.changes if change.line == line and change.pid == death.pid]
        if not own:
            return
        released, safe = own[-1], self.safe[line]
        if released.why != "release":
            yield f"{line} was never released, last: {_words(released)}"
        if released.level != safe and (self.strict or death.how == "SIGTERM"):
            yield f"{_words(released)}: not safe by the release itself"
        following = self._until_decision(number, death, line)
        if released.level != safe and not following:
            yield f"{line} was left at its unsafe level"
        for change in following:
            if change.level != safe:
                yield f"{_words(change)}: left its safe level before the first decision"

    def _until_decision(self, number: int, death: Death, line: str) -> list[Change]:
        """What other processes did to the line after a death, up to the successor's first decision."""
        followed: list[Change] = []
        for change in self._window(number):
            if change.line == line and change.pid != death.pid:
                if change.why == "set":
                    break
                followed.append(change)
        return followed

    def _window(self, number: int) -> list[Change]:
        """What happened from one death to the next."""
        begin = self.deaths[number - 1].t_ns
        end = self.deaths[number].t_ns if number < len(self.deaths) else None
        return [each for each in self.changes if each.t_ns >= begin and (end is None or each.t_ns < end)]

    def energised(self, number: int) -> list[str]:
        """The lines that were not at their safe level when death `number` (from 1) came."""
        levels: dict[str, int] = {}
        for change in self.changes:
            if change.t_ns < self.deaths[number - 1].t_ns:
                levels[change.line] = change.level
        return [line for line, level in levels.items() if level != self.safe[line]]

    def released_us(self, number: int) -> int:
        """µs from a death to the last release of the dying process's lines; 0 when it held none."""
        death = self.deaths[number - 1]
        own = [each.t_ns for each in self._window(number) if each.pid == death.pid and each.why == "release"]
        return (max(own, default=death.t_ns) - death.t_ns) // 1000

    def safe_us(self, number: int) -> int:
        """µs from a death until the last line that had not been at its safe level was; 0 when all were."""
        death, unsafe, last_ns = self.deaths[number - 1], set(self.energised(number)), 0
        for change in self._window(number):
            if change.line in unsafe and change.level == self.safe[change.line]:
                unsafe.discard(change.line)
                last_ns = change.t_ns - death.t_ns
        return last_ns // 1000

    def summary(self) -> str:
        """One line: how many deaths of which kind, how many lines had to be made safe, the worst times."""
        numbers = range(1, len(self.deaths) + 1)
        kinds = sorted({death.how for death in self.deaths})
        counts = ", ".join(f"{sum(death.how == how for death in self.deaths)} {how}" for how in kinds)
        energised = [len(self.energised(number)) for number in numbers]
        return (
            f"{'strict' if self.strict else 'persisting'} lines: {counts}; {sum(map(bool, energised))} of them with "
            f"outputs on ({sum(energised)} lines in all); {len(self.changes)} changes; worst µs since the kill: "
            f"released {max(map(self.released_us, numbers), default=0)}, "
            f"safe {max(map(self.safe_us, numbers), default=0)}; problems: {len(self.problems())}"
        )

    def table(self) -> str:
        """The summary, the problems, and each change after each death with its cause."""
        rows = [("kill", "how", "line", "level", "why", "pid", "µs since the kill")]
        for number, death in enumerate(self.deaths, 1):
            for change in self._window(number):
                level = f"{change.level} {'safe' if change.level == self.safe[change.line] else 'ON'}"
                who = f"{change.pid}{' (killed)' if change.pid == death.pid else ''}"
                since_us = str((change.t_ns - death.t_ns) // 1000)
                rows.append((str(number), death.how, change.line, level, change.why, who, since_us))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self.summary(), *self.problems(), *lines, ""])


def _words(change: Change) -> str:
    return f"{change.line} = {change.level} ({change.why}, pid {change.pid}, at {change.t_ns} ns)"


def _back(early: Change, late: Change) -> bool:
    return late.t_ns < early.t_ns
