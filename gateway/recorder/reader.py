"""Reading beside the writer: a connection that can't write, for one thread at a time."""

import json
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from gateway.core.record import Batch, Lane, RecordClass, Stored
from gateway.recorder import schema

_PENDING_ROWS = 64
_PENDING_BYTES = 1024 * 1024
_SCAN_ROWS = 500_000


class Reader:
    """Looks into both files. Answers nothing, rather than failing, while a file is missing or broken. May wait."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[Lane, tuple[sqlite3.Connection, int]] = {}

    def pending(
        self, lane: Lane, epoch: str, start: int, before: int, kinds: Collection[RecordClass]
    ) -> tuple[list[Stored], list[Stored]]:
        """Batches of these classes from row `start` on, below `before`; and those whose bytes are damaged."""
        marks = ",".join("?" * len(kinds))
        query = (
            f"SELECT {schema.COLUMNS} FROM record WHERE id >= ? AND id < ? AND kind IN ({marks}) "  # noqa: S608 (only question marks)
            f"ORDER BY id LIMIT {_PENDING_ROWS}"
        )
        found, damaged, size = [], [], 0
        for columns in self._rows(lane, query, (max(start, 1), before, *(kind.value for kind in kinds))):
            batch = schema.decode(columns)
            if batch is None:
                damaged.append(_damaged(epoch, columns))
                continue
            found.append(Stored(columns[0], epoch, batch))
            size += len(batch.body)
            if size > _PENDING_BYTES:
                break
        return found, damaged

    def history(self, point: str, since_ms: int, limit: int) -> list[dict[str, Any]]:
        """The last `limit` readings of a point since that wall time, newest last: value, reason, time (ms)."""
        device, _, channel = point.rpartition(".")
        needle = json.dumps({"d": device, "m": channel}, ensure_ascii=False, separators=(",", ":"))[1:-1].encode()
        readings: list[dict[str, Any]] = []
        for batch in self._newest_first(Lane.TELEMETRY, since_ms):
            if needle not in batch.body:
                continue
            rows = [row for row in rows_of(batch) if row.get("d") == device and row.get("m") == channel]
            readings.extend(_reading(batch, row) for row in reversed(rows))
            if len(readings) >= limit:
                break
        return [reading for reading in readings[:limit] if reading["ts"] >= since_ms][::-1]

    def why(self, target: str, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` events about a subject, newest first."""
        needle = json.dumps({"s": target}, ensure_ascii=False, separators=(",", ":"))[1:-1].encode()
        events: list[dict[str, Any]] = []
        for batch in self._newest_first(Lane.EVENTS, 0):
            if needle not in batch.body:
                continue
            events.extend(_event(batch, row) for row in reversed(rows_of(batch)) if row.get("s") == target)
            if len(events) >= limit:
                break
        return events[:limit]

    def batches(self, lane: Lane) -> Iterator[Batch]:
        """Everything that is kept of a lane, oldest first, without what is damaged."""
        query = f"SELECT {schema.COLUMNS} FROM record WHERE id > 0 ORDER BY id"  # noqa: S608 (our own column names)
        for columns in self._rows(lane, query, ()):
            batch = schema.decode(columns)
            if batch is not None:
                yield batch

    def close(self) -> None:
        """Let go of the files."""
        for connection, _ in self._open.values():
            connection.close()
        self._open.clear()

    def _newest_first(self, lane: Lane, since_ms: int) -> Iterator[Batch]:
        query = f"SELECT {schema.COLUMNS} FROM record WHERE id > 0 ORDER BY id DESC LIMIT {_SCAN_ROWS}"  # noqa: S608 (our own column names)
        for columns in self._rows(lane, query, ()):
            batch = schema.decode(columns)
            if batch is None:
                continue
            if batch.ts < since_ms - 60_000:  # a batch spans a commit; clock steps stay within it
                return
            yield batch

    def _rows(self, lane: Lane, query: str, values: tuple[object, ...]) -> Iterator[schema.RecordRow]:
        try:
            yield from self._connection(lane).execute(query, values)
        except (sqlite3.Error, OSError):
            self._forget(lane)

    def _connection(self, lane: Lane) -> sqlite3.Connection:
        path = self._directory / schema.file_name(lane)
        inode = path.stat().st_ino
        held = self._open.get(lane)
        if held is not None and held[1] == inode:
            return held[0]
        self._forget(lane)
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        self._open[lane] = connection, inode
        return connection

    def _forget(self, lane: Lane) -> None:
        held = self._open.pop(lane, None)
        if held is not None:
            held[0].close()


def _damaged(epoch: str, columns: schema.RecordRow) -> Stored:
    """A row whose bytes do not match its checksum, as far as it can be named."""
    kind = RecordClass(columns[2])
    return Stored(
        columns[0], epoch, Batch(columns[1], kind.lane, kind, columns[3], columns[4], "", 0, 0, False, False, b"")
    )


def rows_of(batch: Batch) -> list[dict[str, Any]]:
    """The rows of a batch, parsed; none when the body is no JSON array."""
    try:
        rows = json.loads(batch.body)
    except ValueError:
        return []
    return [row for row in rows if isinstance(row, dict)]


def _reading(batch: Batch, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "value": row.get("v"),
        "reason": row.get("q", "Good"),
        "ts": batch.ts + int(row.get("t", 0)),
        "trusted": batch.trusted,
        "sim": batch.sim,
    }


def _event(batch: Batch, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "class": batch.kind.value,
        "subject": row.get("s"),
        "what": row.get("w"),
        "ts": batch.ts + int(row.get("t", 0)),
        "data": row.get("x", {}),
        "sim": batch.sim,
    }
