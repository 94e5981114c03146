"""A disk that does not do what it should."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.record import Lane, Outcome, Settlement
from gateway.recorder.store import BALLAST_BYTES, Store, StoreFailed
from gateway.settings.model import Store as StoreSettings
from tests.recorder.fakes import RUN, event, identities, telemetry


def _store(directory: Path, budget: int = 8 << 20) -> Store:
    store = Store(directory, StoreSettings(telemetry_budget=budget, critical_budget=1 << 20))
    store.open()
    return store


def test_a_fresh_directory_becomes_two_files(directory: Path) -> None:
    """Nothing has to be there: both files come into being with the newest schema."""
    store = _store(directory / "new")
    assert store.keep(Lane.TELEMETRY, [telemetry(1)])
    assert store.keep(Lane.EVENTS, [event(1)])
    assert {file.name for file in (directory / "new").glob("*.db")} == {"outbox.db", "critical.db"}
    store.close()


def test_the_budget_holds_whatever_comes(directory: Path) -> None:
    """Records go on being taken for ever; the file stays within its budget and the oldest go."""
    store = _store(directory, 1 << 20)
    for number in range(1, 900):
        stored = store.keep(Lane.TELEMETRY, [telemetry(number, 1, body=os.urandom(3000))])
        assert [item.batch.first for item in stored] == [number]
    assert (directory / "outbox.db").stat().st_size <= 1 << 20
    ledger = store.outboxes[Lane.TELEMETRY].ledger
    assert ledger.balanced
    assert (RUN, 899) in identities(directory / "outbox.db")
    store.close()


def test_a_group_bigger_than_what_is_free_finds_room(directory: Path) -> None:
    """A large group makes as much room as it needs, not only the usual hundredth."""
    store = _store(directory, 1 << 20)
    for number in range(1, 300):
        store.keep(Lane.TELEMETRY, [telemetry(number, 1, body=os.urandom(3000))])
    group = [telemetry(number, 1, body=os.urandom(4000)) for number in range(300, 400)]
    assert len(store.keep(Lane.TELEMETRY, group)) == 100
    store.close()


def test_the_ballast_bridges_a_full_disk_and_comes_back(small_disk: Path) -> None:
    """When something else fills the disk, the ballast is given up and commits go on; with room it is there again."""
    store = _store(small_disk)
    store.keep(Lane.TELEMETRY, [telemetry(1)])
    store.warm()
    assert store.ballast.restore()
    filler = _fill_disk(small_disk)
    number = 4
    while (small_disk / "ballast").exists():
        store.keep(Lane.TELEMETRY, [telemetry(number, 1, body=os.urandom(3000))])
        number += 1
    for _ in range(100):
        store.keep(Lane.TELEMETRY, [telemetry(number, 1, body=os.urandom(3000))])
        number += 1
    assert [what for what, _ in store.notes] == ["disk_full"]
    filler.unlink()
    assert store.ballast.restore()
    assert (small_disk / "ballast").stat().st_size == BALLAST_BYTES
    store.close()


def test_a_wholly_full_disk_fails_and_heals_by_itself(small_disk: Path) -> None:
    """Without room nothing is taken and nothing kept is lost; the first attempt after room is made succeeds."""
    store = _store(small_disk)
    store.keep(Lane.TELEMETRY, [telemetry(1)])
    filler = _fill_disk(small_disk)
    for number in range(4, 100_000):
        try:
            store.keep(Lane.TELEMETRY, [telemetry(number, 1, body=os.urandom(3000))])
        except StoreFailed as error:
            assert "no space left" in str(error)  # noqa: PT017 (which number fails is not known beforehand)
            break
    assert identities(small_disk / "outbox.db")[-1] == (RUN, number - 1)
    filler.unlink()
    assert store.keep(Lane.TELEMETRY, [telemetry(number, 1)])
    assert [seen for _, seen in identities(small_disk / "outbox.db")] == list(range(1, number + 1))
    store.close()


def test_delivered_rows_make_room_on_a_disk_that_others_filled(small_disk: Path) -> None:
    """Once the budget is set and the log warm, a full disk does not stop the ring: evict and insert go on."""
    store = _store(small_disk, 2 << 20)
    number = 1
    for _ in range(1200):
        stored = store.keep(Lane.TELEMETRY, [telemetry(number, 1, body=os.urandom(3000))])
        store.keep(Lane.TELEMETRY, (), [Settlement(item, Outcome.DELIVERED) for item in stored])
        number += 1
    _fill_disk(small_disk)
    for _ in range(500):
        store.keep(Lane.TELEMETRY, [telemetry(number, 1, body=os.urandom(3000))])
        number += 1
    store.close()


def test_a_log_without_its_file_is_not_played_into_a_new_one(directory: Path) -> None:
    """The database was deleted and its log forgotten: the new file begins empty instead of with old pages."""
    store = _store(directory)
    store.keep(Lane.TELEMETRY, [telemetry(1, 30)])
    log = (directory / "outbox.db-wal").read_bytes()
    store.close()
    (directory / "outbox.db").unlink()
    (directory / "outbox.db-wal").write_bytes(log)
    again = _store(directory)
    assert identities(directory / "outbox.db") == []
    again.close()


def test_an_unusable_directory_fails_and_heals(directory: Path) -> None:
    """Something in the way of the directory is a failure with its path; when it is gone the store comes up."""
    (directory / "store").write_text("in the way")
    store = _store(directory / "store")
    with pytest.raises(StoreFailed, match="can't be used"):
        store.keep(Lane.TELEMETRY, [telemetry(1)])
    (directory / "store").unlink()
    assert store.keep(Lane.TELEMETRY, [telemetry(1)])
    store.close()


def test_files_deleted_under_us_are_made_anew(directory: Path) -> None:
    """Someone deletes the databases while we run: the next commit has a new file, under a new epoch."""
    store = _store(directory)
    store.keep(Lane.TELEMETRY, [telemetry(1)])
    epoch = store.outboxes[Lane.TELEMETRY].ledger.epoch
    for file in directory.glob("outbox.db*"):
        file.unlink()
    assert store.keep(Lane.TELEMETRY, [telemetry(4)])
    assert store.outboxes[Lane.TELEMETRY].ledger.epoch != epoch
    assert identities(directory / "outbox.db") == [(RUN, 4), (RUN, 5), (RUN, 6)]
    store.close()


def test_damage_found_while_running_is_salvaged(directory: Path) -> None:
    """Pages that go bad under the open file are noticed at the next commit, and that very commit is kept."""
    store = _store(directory)
    for number in range(1, 2000, 3):
        store.keep(Lane.TELEMETRY, [telemetry(number, 3)])
    outbox = store.outboxes[Lane.TELEMETRY]
    epoch = outbox.ledger.epoch
    outbox._use().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray((directory / "outbox.db").read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    (directory / "outbox.db").write_bytes(data)
    outbox._use().execute("PRAGMA shrink_memory")
    assert store.keep(Lane.TELEMETRY, [telemetry(2002, 3)])
    assert outbox.ledger.epoch != epoch
    assert outbox.ledger.balanced
    assert [what for what, _ in store.notes] == ["salvaged"]
    store.close()


def test_migrations_run_in_a_process_of_their_own(directory: Path) -> None:
    """sqlite-utils does migrations; importing the store and using it leaves that library, 28 MB, out of memory."""
    script = (
        "import sys; from pathlib import Path; from gateway.recorder.store import Store;"
        "from gateway.settings.model import Store as S; s = Store(Path(sys.argv[1]), S()); s.open(); s.close();"
        "print(sorted({'sqlite_utils', 'yaml', 'paho', 'smbus2', 'gpiozero'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(directory)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    connection = sqlite3.connect(directory / "outbox.db")
    assert connection.execute("SELECT name FROM _sqlite_migrations").fetchall() == [("record_and_gap",)]
    connection.close()


def _fill_disk(disk: Path) -> Path:
    """Take everything the disk has left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return filler
