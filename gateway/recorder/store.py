"""Both database files and the ballast, and every cure for a disk that does not do what it should."""

import logging
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gateway.core.record import Batch, Gap, Lane, Settlement, Stored
from gateway.recorder import schema
from gateway.recorder.outbox import Damaged, Outbox, is_damage, is_no_room
from gateway.recorder.salvage import adopt, salvage
from gateway.settings.model import Store as StoreSettings

BALLAST_BYTES = 4 * 1024 * 1024
_ATTEMPTS = 6
_NOTES_LIMIT = 64
_log = logging.getLogger(__name__)


class StoreFailed(Exception):
    """Nothing can be kept in this lane now: what was observed, where, and what to do."""


class Store:
    """The recorder's files. Used by the keeper's thread only; every call may wait for the disk.

    notes: news of the store itself, (what, data), that wait to become SYSTEM events.
    """

    def __init__(self, directory: Path, settings: StoreSettings) -> None:
        self.directory = directory
        self.outboxes = {
            Lane.TELEMETRY: Outbox(directory, Lane.TELEMETRY, settings.telemetry_budget),
            Lane.EVENTS: Outbox(directory, Lane.EVENTS, settings.critical_budget),
        }
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.ballast = Ballast(directory / "ballast")

    def open(self) -> None:
        """Make both files ready; one that can't be opened stays closed and is tried again by `ready`."""
        try:
            self._migrate()
        except (OSError, subprocess.SubprocessError, sqlite3.Error) as error:
            _log.error("the store in %s is not ready: %s", self.directory, error)
        for lane in self.outboxes:
            try:
                self.ready(lane)
            except StoreFailed as error:
                _log.error("%s", error)

    def ready(self, lane: Lane) -> Outbox:
        """The lane's open file; opens, migrates or salvages it first. Raises StoreFailed."""
        outbox = self.outboxes[lane]
        if outbox.is_open and outbox.present():
            return outbox
        try:
            outbox.close()
            self._migrate()
            self._open(outbox)
        except (OSError, sqlite3.Error, Damaged, subprocess.SubprocessError) as error:
            raise StoreFailed(f"{outbox.path} can't be used: {error}") from error
        return outbox

    def keep(
        self,
        lane: Lane,
        arrivals: Sequence[Batch | Gap],
        settlements: Iterable[Settlement] = (),
        told: Sequence[int] = (),
    ) -> list[Stored]:
        """Commit, curing what can be cured: room made within the budget, ballast dropped, damage salvaged.

        What was new is durable on return. Raises StoreFailed; then nothing of it was kept, or a repetition is noticed.
        """
        problem: Exception | None = None
        size = sum(len(arrival.body) + 512 for arrival in arrivals if isinstance(arrival, Batch))
        epoch = self.outboxes[lane].ledger.epoch
        for _ in range(_ATTEMPTS):
            outbox = self.ready(lane)
            if outbox.ledger.epoch != epoch:
                told = ()  # another file numbers its gaps anew: rather told twice than never
            try:
                return outbox.commit(arrivals, settlements, told)
            except Damaged as damage:
                problem = damage
                self._replace(outbox, damage)
            except (sqlite3.Error, OSError) as error:
                problem = error
                self._cure(outbox, error, size)
        raise StoreFailed(f"{self.outboxes[lane].path} takes nothing: {problem}")

    def warm(self) -> None:
        """Grow the logs of both files once. Without effect on a disk that has no room."""
        for outbox in self.outboxes.values():
            try:
                outbox.warm()
            except (sqlite3.Error, OSError) as error:
                _log.warning("%s could not be warmed: %s", outbox.path, error)

    def close(self) -> None:
        """Close both files."""
        for outbox in self.outboxes.values():
            outbox.close()

    def _migrate(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for outbox in self.outboxes.values():
            adopt(outbox.path)
            if not outbox.path.exists():  # a log without its file would be played into the new one
                for leftover in ("-wal", "-shm"):
                    outbox.path.with_name(outbox.path.name + leftover).unlink(missing_ok=True)
        stale = [box.path for box in self.outboxes.values() if not box.is_open and _is_stale(box.path)]
        if stale:
            schema.migrate(stale)

    def _open(self, outbox: Outbox) -> None:
        try:
            outbox.open()
        except Damaged as damage:
            self._salvage(outbox, damage)

    def _salvage(self, outbox: Outbox, damage: Damaged) -> None:
        _log.error("%s is damaged and will be salvaged: %s", outbox.path, damage)
        saved = salvage(outbox.path, outbox.lane)
        _log.warning("saved %d rows of %s, the old file is %s", saved.rows, outbox.path, saved.aside)
        data = {"lane": outbox.lane.value, "rows": saved.rows, "lost": saved.lost, "aside": saved.aside.name}
        self.note("salvaged", data)
        outbox.open()

    def _replace(self, outbox: Outbox, damage: Damaged) -> None:
        """Salvage a file whose damage showed while it was in use. Raises StoreFailed."""
        outbox.close()
        try:
            self._salvage(outbox, damage)
        except (OSError, sqlite3.Error, Damaged, subprocess.SubprocessError) as error:
            raise StoreFailed(f"{outbox.path} can't be salvaged: {error}") from error

    def note(self, what: str, data: dict[str, Any]) -> None:
        """Remember news for a SYSTEM event; the oldest go when nobody can take them."""
        self.notes.append((what, data))
        del self.notes[:-_NOTES_LIMIT]

    def forget(self, told: list[tuple[str, dict[str, Any]]]) -> None:
        """These very notes are told; others may have come meanwhile."""
        self.notes = [note for note in self.notes if not any(note is each for each in told)]

    def _cure(self, outbox: Outbox, error: sqlite3.Error | OSError, size: int) -> None:
        """Do what lets the next attempt succeed. Raises StoreFailed when nothing does."""
        try:
            if isinstance(error, sqlite3.Error) and is_no_room(error):
                self._make_room(outbox, size)
                return
            outbox.close()  # after a failed write the connection's own picture of the file is not to be trusted
            if isinstance(error, sqlite3.Error) and is_damage(error):
                return  # opening finds it and salvages
        except Damaged as damage:
            self._replace(outbox, damage)
            return
        except (sqlite3.Error, OSError) as worse:
            error = worse
            outbox.close()
        raise StoreFailed(f"{outbox.path} takes nothing: {error}") from error

    def _make_room(self, outbox: Outbox, size: int) -> None:
        """Within the budget, or else on the disk. Raises OSError or sqlite3.Error when there is none to be had."""
        if outbox.is_full(size) and self._evict(outbox, size):
            return
        if outbox.recycle_log():
            return
        if not self.ballast.drop():
            raise OSError(f"no space left on the disk of {self.directory}: make room")
        _log.error("the disk of %s is full: dropped the ballast", self.directory)
        self.note("disk_full", {"free": free_bytes(self.directory)})

    def _evict(self, outbox: Outbox, size: int) -> bool:
        """Give up the oldest rows; False when the disk has no room even for that."""
        try:
            lost = outbox.make_room(size)
        except sqlite3.OperationalError as error:
            if is_no_room(error):
                return False
            raise
        if lost:
            _log.warning("gave up %d pending rows of %s: the budget is used up", len(lost), outbox.path)
        return True


class Ballast:
    """A file that is only there to be deleted when the disk is full."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def drop(self) -> bool:
        """Delete it; False when it was not there."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def restore(self) -> bool:
        """Make it again when the disk has room for it twice over; True when it was made now."""
        try:
            if self._path.exists() or free_bytes(self._path.parent) < 3 * BALLAST_BYTES:
                return False
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        except OSError:
            self.drop()
            return False
        return True


def has_room(directory: Path) -> bool:
    """Whether the disk has more left than our own reserve; below that a person should make room."""
    try:
        return free_bytes(directory) >= BALLAST_BYTES
    except OSError:
        return False


def free_bytes(directory: Path) -> int:
    """What the disk has left. Raises OSError."""
    return shutil.disk_usage(directory).free


def _is_stale(path: Path) -> bool:
    """Whether the file is new or of an older schema; a damaged one is not: opening it says so."""
    if not path.exists():
        return True
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return schema.version(connection) < schema.VERSION
    except sqlite3.Error:
        return False
    finally:
        connection.close()
