"""The report itself: it misses nothing, and a line that is unsafe for a microsecond is a problem."""

from __future__ import annotations

import pytest

from tests.system.line_report import Change, Death, Report

SAFE = {"GPIO17": 0, "GPIO10": 1}
OLD, NEW, RESCUE = 100, 200, 150
Row = tuple[int, str, int, str, int]

BEFORE: list[Row] = [(1, "GPIO17", 0, "claim", OLD), (1, "GPIO10", 1, "claim", OLD), (2, "GPIO17", 1, "set", OLD)]
KEPT: list[Row] = [(11, "GPIO17", 1, "release", OLD), (11, "GPIO10", 1, "release", OLD)]
FELL: list[Row] = [(11, "GPIO17", 0, "release", OLD), (11, "GPIO10", 1, "release", OLD)]
RESCUED: list[Row] = [(12, "GPIO17", 0, "claim", RESCUE), (13, "GPIO17", 0, "release", RESCUE)]
AGAIN: list[Row] = [(20, "GPIO17", 0, "claim", NEW), (21, "GPIO10", 1, "claim", NEW), (30, "GPIO17", 1, "set", NEW)]


def report(rows: list[Row], *, strict: bool = False, how: str = "SIGKILL") -> Report:
    """Of one death of OLD after 10 µs."""
    log = [
        {"t_ns": at * 1000, "line": line, "level": level, "why": why, "pid": pid} for at, line, level, why, pid in rows
    ]
    log.append({"t_ns": 99_000, "line": "GPIO6", "level": 1, "why": "drive", "pid": 0})  # an input: no matter
    return Report.of(log, [Death(how, OLD, 10_000)], SAFE, strict)


def test_a_good_death_has_no_problem() -> None:
    """Released, made safe, claimed safe, then decided: nothing to tell, on either kernel."""
    kept = report(BEFORE + KEPT + RESCUED + AGAIN)
    assert kept.problems() == []
    assert (kept.energised(1), kept.released_us(1), kept.safe_us(1)) == (["GPIO17"], 1, 2)
    fell = report(BEFORE + FELL + RESCUED + AGAIN, strict=True)
    assert fell.problems() == []
    assert fell.safe_us(1) == 1


@pytest.mark.parametrize(
    ("rows", "strict", "how", "words"),
    [
        (BEFORE + KEPT + RESCUED + AGAIN, True, "SIGKILL", "not safe by the release itself"),
        (BEFORE + KEPT + RESCUED + AGAIN, False, "SIGTERM", "not safe by the release itself"),
        (BEFORE + KEPT, False, "SIGKILL", "GPIO17 was left at its unsafe level"),
        (BEFORE + KEPT[:1] + RESCUED + AGAIN, False, "SIGKILL", "GPIO10 was never released"),
        (BEFORE + FELL + [(15, "GPIO10", 0, "claim", NEW), *AGAIN], False, "SIGKILL", "the level that is not safe"),
        (BEFORE + FELL + [(15, "GPIO10", 0, "pull", 0), *AGAIN], False, "SIGKILL", "before the first decision"),
        (BEFORE + FELL + [(15, "GPIO10", 1, "ghost", 0), *AGAIN], False, "SIGKILL", "unknown cause"),
        (BEFORE + FELL + [(9, "GPIO10", 1, "drive", 0), *AGAIN], False, "SIGKILL", "GPIO10 = 1 (drive"),
    ],
)
def test_every_fault_is_found(rows: list[Row], strict: bool, how: str, words: str) -> None:
    """A level that is not safe where it has to be, a line that is not let go, a cause or a moment that can't be."""
    assert [problem for problem in report(rows, strict=strict, how=how).problems() if words in problem]


def test_the_table_is_complete() -> None:
    """Each change after a death is a row with its cause, its process and its microsecond; inputs are left out."""
    rows = BEFORE + KEPT + RESCUED + AGAIN
    made = report(rows)
    table = made.table().splitlines()
    assert len(table) == 2 + len(rows) - len(BEFORE)
    assert table[0] == made.summary()
    assert table[1].split() == ["kill", "how", "line", "level", "why", "pid", "µs", "since", "the", "kill"]
    assert table[2].split() == ["1", "SIGKILL", "GPIO17", "1", "ON", "release", "100", "(killed)", "1"]
    assert table[-1].split() == ["1", "SIGKILL", "GPIO17", "1", "ON", "set", "200", "20"]
    assert all(isinstance(change, Change) and change.why in {"claim", "set", "release"} for change in made.changes)
