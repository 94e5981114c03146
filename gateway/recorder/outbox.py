"""One lane's database file: rows in, outcomes in, room made. Only the keeper's thread calls it; it may wait."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway.core.record import Batch, Gap, Lane, Outcome, RecordClass, Settlement, Stored
from gateway.recorder import schema
from gateway.recorder.ledger import Ledger

WARM_FRAMES = 1000
"""Pages the write-ahead log is grown to once; SQLite's own checkpoint interval, so it need never grow again."""

_VICTIMS = 64
_GAPS_KEPT = 1000
_CACHE_KIB = 512
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Damaged(Exception):
    """The file is no database any more, or its ledger is unreadable; salvage helps."""


class Outbox:
    """The long-lived writing connection of one file. Raises sqlite3.Error or OSError as the disk does, or Damaged."""

    def __init__(self, directory: Path, lane: Lane, budget: int) -> None:
        self.lane = lane
        self.path = directory / schema.file_name(lane)
        self.budget = budget
        self.ledger = Ledger(lane, "")
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    @property
    def is_open(self) -> bool:
        """Whether the file is in use."""
        return self._connection is not None

    def open(self) -> None:
        """Open a file of the newest schema, check its structure and read its ledger; a new file gets its first row."""
        self.close()
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
            self.ledger = self._read_ledger(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if is_damage(error):
                raise Damaged(f"{self.path}: {error}") from error
            raise
        except BaseException:
            connection.close()
            raise
        self._inode = self.path.stat().st_ino
        self._connection = connection

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def present(self) -> bool:
        """Whether the open file is still the one with our name; someone may have moved or deleted it."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def commit(
        self, arrivals: Iterable[Batch | Gap], settlements: Iterable[Settlement] = (), told: Sequence[int] = ()
    ) -> list[Stored]:
        """Keep what is new of these, durable on return; the ledger changes only then. All or nothing."""
        draft = self.ledger.copy()
        stored, gaps = [], []
        for arrival in arrivals:
            for fresh in draft.admit(arrival):
                if isinstance(fresh, Gap):
                    gaps.append(fresh)
                else:
                    stored.append(Stored(draft.newest, draft.epoch, fresh))
        for settlement in settlements:
            gaps.extend(_settle(draft, settlement))
        with self._transaction() as connection:
            self._write(connection, stored, draft)
            _write_gaps(connection, gaps, told)
        self.ledger = draft
        return stored

    def make_room(self, size: int = 0) -> list[Stored]:
        """Give up the oldest rows until `size` bytes and a hundredth of the budget are free; the pending that went.

        Delivered rows go first, then pending telemetry; pending events never: raises OperationalError.
        """
        wanted = self._pages_for(size) + self._page_limit() // 100
        draft = self.ledger.copy()
        lost: list[Stored] = []
        removed = 0
        with self._transaction() as connection:
            while self._free_pages() < wanted and (victims := self._victims(connection, draft)):
                lost.extend(_forget(connection, draft, victims))
                removed += len(victims)
            if not removed and self._free_pages() < wanted:
                raise sqlite3.OperationalError(f"{self.path.name} is full of events the broker has not taken")
            _write_gaps(connection, _as_gaps(lost), ())
            connection.execute("UPDATE record SET state = ? WHERE id = ?", (draft.dump(), draft.newest))
        self.ledger = draft
        return lost

    def is_full(self, size: int = 0) -> bool:
        """Whether the budget, not the disk, is what has no room for another `size` bytes."""
        return self._free_pages() < self._pages_for(size)

    def recycle_log(self) -> bool:
        """Begin the write-ahead log anew, so that a commit needs no room beyond it; False when that brings nothing."""
        try:
            busy, frames, written = self._use().execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        except sqlite3.OperationalError as error:
            if is_no_room(error):  # the database itself would have to grow for it
                return False
            raise
        return not busy and frames == written > 0

    def untold(self) -> list[tuple[int, Gap]]:
        """Gaps that no event has told yet."""
        columns = "id, run, kind, first, last, cause"
        rows = self._use().execute(f"SELECT {columns} FROM gap WHERE told = 0 ORDER BY id LIMIT 32").fetchall()  # noqa: S608 (our own column names)
        return [(row[0], Gap(row[1], self.lane, RecordClass(row[2]), row[3], row[4], row[5])) for row in rows]

    def warm(self) -> None:
        """Grow the write-ahead log once: commits into a grown log cost half as many bytes as ones that grow it.

        Blocks for some 20 ms and one flush of 1 MB. Nothing but a counter is written unsynchronised.
        """
        wal = self.path.with_name(self.path.name + "-wal")
        connection = self._use()
        frame = 24 + self._pragma("page_size")
        if wal.exists() and wal.stat().st_size >= WARM_FRAMES * frame:
            return
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA synchronous = OFF")
        try:
            for turn in range(WARM_FRAMES):
                connection.execute("UPDATE warm SET turn = ? WHERE id = 1", (turn,))
        finally:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 1000")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = schema.version(connection)
        if found != schema.VERSION:
            raise OSError(
                f"{self.path} has schema {found}, this gateway knows {schema.VERSION}: "
                "install the gateway that wrote it, or move the file away"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA journal_size_limit = -1")
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {self.budget // page_size}")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise Damaged(f"{self.path}: {verdict}")

    def _read_ledger(self, connection: sqlite3.Connection) -> Ledger:
        newest = connection.execute("SELECT id, state FROM record ORDER BY id DESC LIMIT 1").fetchone()
        if newest is None:
            ledger = Ledger(self.lane, os.urandom(8).hex())
            connection.execute("INSERT INTO record (id, state) VALUES (0, ?)", (ledger.dump(),))
            connection.execute("INSERT OR IGNORE INTO warm (id, turn) VALUES (1, 0)")
            return ledger
        try:
            ledger = Ledger.load(self.lane, newest[1])
        except (ValueError, TypeError) as error:
            raise Damaged(f"{self.path}: {error}") from error
        if ledger.newest != newest[0]:
            raise Damaged(f"{self.path}: the ledger ends at row {ledger.newest}, the file at {newest[0]}")
        return ledger

    def _write(self, connection: sqlite3.Connection, stored: list[Stored], draft: Ledger) -> None:
        state = draft.dump()
        if not stored:
            connection.execute("UPDATE record SET state = ? WHERE id = ?", (state, draft.newest))
            return
        states = [None] * (len(stored) - 1) + [state]
        connection.executemany(
            f"INSERT INTO record ({schema.COLUMNS}, state) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 (our own column names)
            [(*schema.encode(item.row, item.batch), text) for item, text in zip(stored, states, strict=True)],
        )

    def _victims(self, connection: sqlite3.Connection, draft: Ledger) -> list[schema.RecordRow]:
        """The next rows to give up, oldest first. The newest row stays: it carries the ledger."""
        find = f"SELECT {schema.COLUMNS} FROM record WHERE id BETWEEN ? AND ? ORDER BY id LIMIT {_VICTIMS}"  # noqa: S608 (our own column names)
        for first, last in draft.settled:
            if rows := connection.execute(find, (max(first, 1), min(last, draft.newest - 1))).fetchall():
                return rows
        if self.lane is Lane.EVENTS:
            return []
        return connection.execute(find, (1, draft.newest - 1)).fetchall()

    def _page_limit(self) -> int:
        return self._pragma("max_page_count")

    def _free_pages(self) -> int:
        """What the budget still allows: pages unused inside the file, and pages it may grow by."""
        return self._pragma("freelist_count") + self._page_limit() - self._pragma("page_count")

    def _pages_for(self, size: int) -> int:
        """Pages that rows of `size` bytes may take, with what a tree needs besides."""
        return 16 + 2 * size // self._pragma("page_size")

    def _pragma(self, name: str) -> int:
        return int(self._use().execute(f"PRAGMA {name}").fetchone()[0])

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._use())

    def _use(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError(f"{self.path} is not open")
        return self._connection


class _Transaction:
    """BEGIN … COMMIT, or ROLLBACK when anything inside fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
                return
            except sqlite3.Error:
                self._roll_back()
                raise
        self._roll_back()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is broken."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def is_no_room(error: sqlite3.Error) -> bool:
    """Whether SQLite found no room: the budget or the disk is full."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _settle(draft: Ledger, settlement: Settlement) -> list[Gap]:
    """Book an outcome; a batch that will never arrive is a gap to tell. Raises Damaged when the row makes no sense."""
    stored, batch = settlement.stored, settlement.stored.batch
    try:
        if stored.epoch != draft.epoch or not draft.settle(stored.row, batch.kind, batch.count, settlement.outcome):
            return []
        if settlement.outcome is Outcome.DELIVERED:
            return []
        cause = "rejected" if settlement.outcome is Outcome.REJECTED else "damaged"
        return [Gap(batch.run, batch.lane, batch.kind, batch.first, batch.last, cause)]
    except (TypeError, ValueError) as error:
        raise Damaged(str(error)) from error


def _forget(connection: sqlite3.Connection, draft: Ledger, victims: list[schema.RecordRow]) -> list[Stored]:
    """Delete rows; those still pending are booked as dropped and returned. Raises Damaged as `_settle` does."""
    lost = []
    for columns in victims:
        row, run, kind, first, count = columns[:5]
        if row in draft.settled:
            continue
        try:
            draft.settle(row, RecordClass(kind), count, Outcome.DROPPED)
        except (TypeError, ValueError) as error:
            raise Damaged(str(error)) from error
        batch = Batch(run, draft.lane, RecordClass(kind), first, count, "", 0, 0, False, False, b"")
        lost.append(Stored(row, draft.epoch, batch))
    connection.executemany("DELETE FROM record WHERE id = ?", [(columns[0],) for columns in victims])
    return lost


def _as_gaps(lost: list[Stored]) -> list[Gap]:
    return [
        Gap(item.batch.run, item.batch.lane, item.batch.kind, item.batch.first, item.batch.last, "evicted")
        for item in lost
    ]


def _write_gaps(connection: sqlite3.Connection, gaps: list[Gap], told: Sequence[int]) -> None:
    for gap in _joined(gaps):
        connection.execute(
            "INSERT INTO gap (run, kind, first, last, cause, told) VALUES (?,?,?,?,?,0)",
            (gap.run, gap.kind.value, gap.first, gap.last, gap.cause),
        )
    if told:
        connection.executemany("UPDATE gap SET told = 1 WHERE id = ?", [(number,) for number in told])
        connection.execute("DELETE FROM gap WHERE told = 1 AND id <= ?", (max(told) - _GAPS_KEPT,))


def _joined(gaps: list[Gap]) -> list[Gap]:
    """Neighbouring gaps of one cause as one."""
    joined: list[Gap] = []
    for gap in gaps:
        before = joined[-1] if joined else None
        if before == Gap(gap.run, gap.lane, gap.kind, before.first if before else 0, gap.first - 1, gap.cause):
            joined[-1] = Gap(gap.run, gap.lane, gap.kind, before.first, gap.last, gap.cause)
        else:
            joined.append(gap)
    return joined
