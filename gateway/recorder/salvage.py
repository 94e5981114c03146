"""A damaged file is read around its wounds into a new one; the old one is put aside."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core.record import Batch, Gap, Lane, RecordClass
from gateway.recorder import schema
from gateway.recorder.ledger import Ledger

_ASIDE_KEPT = 2
_FAILURES_LIMIT = 20_000
_ROW_END = 1 << 50
_COPY = f"INSERT OR IGNORE INTO record ({schema.COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 (our own column names)
_UNTOLD = "SELECT run, kind, first, last, cause FROM gap WHERE told = 0 ORDER BY id"
_READ = f"SELECT {schema.COLUMNS} FROM record WHERE id > 0 ORDER BY id"  # noqa: S608 (our own column names)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was saved: rows in the new file, records lost per class, and where the old file lies."""

    rows: int
    lost: dict[str, int]
    aside: Path


def salvage(path: Path, lane: Lane) -> Salvaged:
    """Copy every readable row of `path` into a new file that takes its name. Blocks long; may be cut off anywhere.

    Raises sqlite3.Error or OSError when the new file can't be written; `path` is then as it was.
    """
    fresh = _fresh(path)
    for leftover in _with_logs(fresh):
        leftover.unlink(missing_ok=True)
    schema.migrate([fresh])
    target = sqlite3.connect(fresh, isolation_level=None)
    try:
        target.execute("BEGIN")
        ledger = _copy_rows(path, target, lane) or Ledger(lane, "")
        ledger.epoch = os.urandom(8).hex()
        rows, lost, gaps = _recount(target, ledger)
        _finish(target, ledger, _untold(path, lane) + gaps)
        target.execute("COMMIT")
    finally:
        target.close()
    aside = _put_aside(path)
    fresh.rename(path)
    return Salvaged(rows, lost, aside)


def adopt(path: Path) -> None:
    """Finish a salvage that was cut off between putting the old file aside and naming the new one."""
    if _fresh(path).exists() and not path.exists():
        _fresh(path).rename(path)


def readable_rows(source: sqlite3.Connection, columns: str) -> Iterator[tuple[Any, ...]]:
    """Every row that can still be read, ascending: a range that fails is halved behind its last good row."""
    todo = [(0, _row_end(source))]
    failures = 0
    find = f"SELECT {columns} FROM record WHERE id BETWEEN ? AND ? ORDER BY id"  # noqa: S608 (our own column names)
    while todo and failures < _FAILURES_LIMIT:
        first, last = todo.pop()
        try:
            for row in source.execute(find, (first, last)):
                first = max(first, int(row[0]) + 1)
                yield row
        except (sqlite3.Error, TypeError, ValueError):
            failures += 1
            if first < last:
                middle = (first + last) // 2
                todo += [(middle + 1, last), (first, middle)]


def _row_end(source: sqlite3.Connection) -> int:
    try:
        newest = source.execute("SELECT max(id) FROM record").fetchone()[0]
    except sqlite3.Error:
        return _ROW_END
    return newest if isinstance(newest, int) else _ROW_END


def _copy_rows(path: Path, target: sqlite3.Connection, lane: Lane) -> Ledger | None:
    """Copy the sound rows; the last ledger that could be read among them."""
    best: Ledger | None = None
    source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        for *columns, state in readable_rows(source, f"{schema.COLUMNS}, state"):
            batch = schema.decode(tuple(columns))
            if batch is not None and batch.lane is lane:
                target.execute(_COPY, columns)
            if state is not None:
                best = _load(lane, state) or best
    finally:
        source.close()
    return best


def _untold(path: Path, lane: Lane) -> list[Gap]:
    """Gaps of the old file that nobody was told yet, as far as they can be read."""
    source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    gaps: list[Gap] = []
    try:
        for run, kind, first, last, cause in source.execute(_UNTOLD):
            gaps.append(Gap(str(run), lane, RecordClass(kind), int(first), int(last), str(cause)))
    except (sqlite3.Error, TypeError, ValueError):
        return gaps
    finally:
        source.close()
    return gaps


def _load(lane: Lane, state: object) -> Ledger | None:
    try:
        return Ledger.load(lane, str(state))
    except ValueError:
        return None


def _recount(target: sqlite3.Connection, ledger: Ledger) -> tuple[int, dict[str, int], list[Gap]]:
    """Correct the ledger by the rows that are there: rows copied, records lost per class, gaps found.

    What the ledger holds as pending and is gone was lost. Rows newer than the ledger are booked as arriving now.
    """
    due: Counter[RecordClass] = Counter()
    gaps: list[Gap] = []
    expected = {kind: account.pending for kind, account in ledger.accounts.items()}
    rows, before, known = 0, 0, ledger.newest
    for columns in target.execute(_READ):
        row, batch = int(columns[0]), schema.decode(columns)
        assert batch is not None, "only sound rows are copied"
        if row <= known:
            due[batch.kind] += 0 if row in ledger.settled else batch.count
        else:
            gaps += _book_late(ledger, row, batch)
        _settle_missing(ledger, before + 1, row - 1)
        rows, before = rows + 1, row
    _settle_missing(ledger, before + 1, known)
    return rows, _book_lost(ledger, expected, due), gaps


def _book_late(ledger: Ledger, row: int, batch: Batch) -> list[Gap]:
    """A row that is newer than the ledger: its commit's last row is gone."""
    ledger.newest = row - 1
    admitted = list(ledger.admit(batch))
    ledger.newest = row
    if not any(isinstance(fresh, Batch) for fresh in admitted):
        ledger.settled.add(row)  # the ledger knows it by number: it was booked under another row
    return [fresh for fresh in admitted if isinstance(fresh, Gap)]


def _settle_missing(ledger: Ledger, first: int, last: int) -> None:
    if first <= last:
        ledger.settled.add(first, last)


def _book_lost(ledger: Ledger, expected: dict[RecordClass, int], due: Counter[RecordClass]) -> dict[str, int]:
    """Rows that should be pending and are gone are dropped; a row found due beyond that was booked by a lost ledger."""
    lost: dict[str, int] = {}
    for kind, account in ledger.accounts.items():
        missing = expected[kind] - due[kind]
        account.pending -= missing
        if missing > 0:
            account.dropped += missing
            lost[kind.value] = missing
        else:
            account.captured -= missing
    return lost


def _finish(target: sqlite3.Connection, ledger: Ledger, gaps: list[Gap]) -> None:
    """Write the gaps and put the ledger into the newest row, which is made when that very row was lost."""
    for gap in gaps:
        target.execute(
            "INSERT INTO gap (run, kind, first, last, cause, told) VALUES (?,?,?,?,?,0)",
            (gap.run, gap.kind.value, gap.first, gap.last, gap.cause),
        )
    target.execute("INSERT OR IGNORE INTO record (id) VALUES (?)", (ledger.newest,))
    target.execute("UPDATE record SET state = ? WHERE id = ?", (ledger.dump(), ledger.newest))


def _put_aside(path: Path) -> Path:
    """Rename the damaged file with its logs; only the newest two of them are kept."""
    old = sorted(path.parent.glob(path.name + ".damaged-??????"))
    number = int(old[-1].name[-6:]) + 1 if old and old[-1].name[-6:].isdigit() else 1
    aside = path.with_name(f"{path.name}.damaged-{number:06d}")
    for before, after in zip(_with_logs(path), _with_logs(aside), strict=True):
        if before.exists():
            before.rename(after)
    for surplus in old[: len(old) + 1 - _ASIDE_KEPT]:
        for file in _with_logs(surplus):
            file.unlink(missing_ok=True)
    return aside


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".salvage")


def _with_logs(path: Path) -> tuple[Path, Path, Path]:
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")
