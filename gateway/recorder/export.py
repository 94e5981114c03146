"""What is kept, as a file that other programs read: SQLite (readings and events) or CSV (readings). Short-lived."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from gateway.core.record import Lane
from gateway.recorder import schema
from gateway.recorder.reader import Reader, rows_of

READING = ("time_ms", "trusted", "point", "value", "reason", "sim", "run", "n")
"""time_ms: wall clock of the reading; trusted: whether anything vouched for that clock; (run, n): its identity."""


@dataclass(frozen=True, slots=True)
class Exported:
    """How many rows went out."""

    readings: int
    events: int


def export(directory: Path, target: Path, since_ms: int = 0) -> Exported:
    """Write all that `directory` keeps since then to a new file; its ending decides: `.db` or `.csv`.

    Reads beside a running recorder and never blocks it. Raises FileNotFoundError without a store, FileExistsError
    for a target that is there, ValueError for another ending, OSError when the target can't be written.
    """
    if not (directory / schema.file_name(Lane.TELEMETRY)).exists():
        raise FileNotFoundError(f"nothing is kept in {directory}: has a recorder run with this state directory?")
    if target.exists():
        raise FileExistsError(f"{target} exists: choose another name, nothing is overwritten")
    writers = {".db": _to_sqlite, ".csv": _to_csv}
    if target.suffix not in writers:
        raise ValueError(f"{target.name}: the ending says the form, .db or .csv")
    reader = Reader(directory)
    try:
        return writers[target.suffix](reader, target, since_ms)
    finally:
        reader.close()


def _to_sqlite(reader: Reader, target: Path, since_ms: int) -> Exported:
    from sqlite_utils import Database  # 28 MB: only here

    database = Database(target)
    readings = _table(database, "reading", _readings(reader, since_ms), "point")
    events = _table(database, "event", _events(reader, since_ms), "subject")
    database.close()
    return Exported(readings, events)


def _table(database: Any, name: str, rows: Iterator[dict[str, Any]], index: str) -> int:
    first = next(rows, None)
    if first is None:
        return 0
    table = database[name]
    table.insert_all(chain((first,), rows), batch_size=1000)
    table.create_index([index, "time_ms"])
    return int(table.count)


def _to_csv(reader: Reader, target: Path, since_ms: int) -> Exported:
    count = 0
    with target.open("x", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, READING)
        writer.writeheader()
        for row in _readings(reader, since_ms):
            writer.writerow(row)
            count += 1
    return Exported(count, 0)


def _readings(reader: Reader, since_ms: int) -> Iterator[dict[str, Any]]:
    for batch in reader.batches(Lane.TELEMETRY):
        for place, row in enumerate(rows_of(batch)):
            time_ms = batch.ts + int(row.get("t", 0))
            if time_ms >= since_ms:
                yield {
                    "time_ms": time_ms,
                    "trusted": batch.trusted,
                    "point": f"{row.get('d')}.{row.get('m')}",
                    "value": row.get("v"),
                    "reason": row.get("q", "Good"),
                    "sim": batch.sim,
                    "run": batch.run,
                    "n": batch.first + place,
                }


def _events(reader: Reader, since_ms: int) -> Iterator[dict[str, Any]]:
    for batch in reader.batches(Lane.EVENTS):
        for place, row in enumerate(rows_of(batch)):
            time_ms = batch.ts + int(row.get("t", 0))
            if time_ms >= since_ms:
                yield {
                    "time_ms": time_ms,
                    "trusted": batch.trusted,
                    "class": batch.kind.value,
                    "subject": row.get("s"),
                    "what": row.get("w"),
                    "data": json.dumps(row.get("x", {}), ensure_ascii=False),
                    "sim": batch.sim,
                    "run": batch.run,
                    "n": batch.first + place,
                }
