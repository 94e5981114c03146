"""Damaged files: read around the wounds, told, and the recorder always starts."""

import json
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.record import Gap, Lane, Outcome, RecordClass, Settlement
from gateway.recorder.outbox import Outbox
from gateway.recorder.salvage import adopt, salvage
from gateway.recorder.store import Store
from gateway.settings.model import Store as StoreSettings
from tests.recorder.fakes import RUN, count_from_rows, identities, new_file, short_directory, telemetry

ROWS = 400


def _written(directory: Path, rows: int = ROWS) -> Path:
    """A file of `rows` batches of three, the first tenth delivered."""
    new_file(directory, Lane.TELEMETRY)
    outbox = Outbox(directory, Lane.TELEMETRY, 8 << 20)
    outbox.open()
    stored = []
    for number in range(rows):
        stored += outbox.commit([telemetry(1 + 3 * number, 3)])
    outbox.commit([], [Settlement(item, Outcome.DELIVERED) for item in stored[: rows // 10]])
    outbox.close()
    return outbox.path


def _opened(directory: Path) -> Store:
    store = Store(directory, StoreSettings())
    store.open()
    return store


def _epoch(path: Path) -> str:
    """The epoch of the ledger in the newest row."""
    connection = sqlite3.connect(path)
    state = connection.execute("SELECT state FROM record ORDER BY id DESC LIMIT 1").fetchone()[0]
    connection.close()
    return str(json.loads(state)["e"])


def _check_accounts(store: Store) -> None:
    outbox = store.outboxes[Lane.TELEMETRY]
    assert outbox.is_open
    assert outbox.ledger.balanced
    assert outbox.ledger.pending == count_from_rows(outbox.path, list(outbox.ledger.settled))


def test_what_can_be_read_is_saved_and_the_rest_is_counted(directory: Path) -> None:
    """Three zeroed pages cost the rows that lay on them; these are dropped, told, and everything else is still due."""
    path = _written(directory)
    epoch = _epoch(path)
    data = bytearray(path.read_bytes())
    for page in (8, 12, 17):
        data[page * 4096 : (page + 1) * 4096] = bytes(4096)
    path.write_bytes(data)
    store = _opened(directory)
    outbox = store.outboxes[Lane.TELEMETRY]
    assert outbox.ledger.epoch != epoch, "outcomes of rows of the old file must not touch the new one"
    present = {number // 3 + 1 for _, number in identities(path) if number % 3 == 1}
    assert all(row in outbox.ledger.settled for row in range(1, ROWS + 1) if row not in present)
    account = outbox.ledger.accounts[RecordClass.TELEMETRY]
    saved = len(identities(path))
    assert 3 * ROWS - 3 * 60 < saved < 3 * ROWS
    assert account.captured == 3 * ROWS
    assert account.dropped > 0
    assert account.delivered == 3 * ROWS // 10
    _check_accounts(store)
    ((what, data_told),) = store.notes
    assert what == "salvaged"
    assert data_told["lost"] == {"telemetry": account.dropped}
    assert (directory / data_told["aside"]).exists()
    store.close()


def test_numbers_go_on_behind_the_damage(directory: Path) -> None:
    """After a salvage a resend is still recognised, and new records follow the last known number."""
    path = _written(directory)
    data = bytearray(path.read_bytes())
    data[8 * 4096 : 9 * 4096] = bytes(4096)
    path.write_bytes(data)
    store = _opened(directory)
    assert store.keep(Lane.TELEMETRY, [telemetry(3 * ROWS - 2, 3)]) == []
    (stored,) = store.keep(Lane.TELEMETRY, [telemetry(3 * ROWS + 1, 3)])
    assert stored.row == ROWS + 1
    _check_accounts(store)
    store.close()


def test_a_lost_newest_row_costs_only_itself(directory: Path) -> None:
    """When the row that carries the ledger is the damaged one, an older ledger and the rows behind it are enough."""
    path = _written(directory)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE record SET state = '{broken', crc = 0 WHERE id = ?", (ROWS,))
    connection.execute("UPDATE record SET state = NULL WHERE id = ?", (ROWS - 1,))
    connection.commit()
    connection.close()
    store = _opened(directory)
    outbox = store.outboxes[Lane.TELEMETRY]
    assert [number for _, number in identities(path)] == list(range(1, 3 * ROWS - 2))
    assert outbox.ledger.have[RUN] == 3 * ROWS - 3
    _check_accounts(store)
    gap, batch = outbox.ledger.copy().admit(telemetry(3 * ROWS + 1, 3))
    assert (gap.first, gap.last) == (3 * ROWS - 2, 3 * ROWS)
    assert batch == telemetry(3 * ROWS + 1, 3)
    store.close()


@pytest.mark.parametrize("content", [b"", b"x", b"SQLite format 3\0", bytes(100_000), b"garbage" * 10_000])
def test_a_file_that_is_no_database_is_put_aside(directory: Path, content: bytes) -> None:
    """Whatever lies under our name, the recorder starts with a working file and keeps the odd one for inspection."""
    (directory / "outbox.db").write_bytes(content)
    store = _opened(directory)
    assert store.keep(Lane.TELEMETRY, [telemetry(1)])
    _check_accounts(store)
    store.close()


@settings(max_examples=7, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from(["flip", "zero", "cut"]))
def test_any_damage_starts_with_true_accounts(seed: int, wounds: int, how: str) -> None:
    """Flipped bytes, zeroed stretches, a cut end, in the database or its log: it starts, takes records, adds up."""
    with short_directory() as directory:
        path = _written(directory, 60)
        victim = path
        chance = random.Random(seed)
        data = bytearray(victim.read_bytes())
        for _ in range(wounds):
            at = chance.randrange(len(data))
            if how == "flip":
                data[at] ^= 1 << chance.randrange(8)
            elif how == "zero":
                data[at : at + 200] = bytes(len(data[at : at + 200]))
        victim.write_bytes(data[: chance.randrange(len(data))] if how == "cut" else data)
        store = _opened(directory)
        store.keep(Lane.TELEMETRY, [telemetry(10_001, 3)])
        outbox = store.outboxes[Lane.TELEMETRY]
        assert outbox.ledger.balanced
        assert (RUN, 10_003) in identities(path)
        store.close()


def test_a_torn_log_is_a_clean_prefix(directory: Path) -> None:
    """A write-ahead log cut anywhere, as by a power cut, loses its end and nothing before."""
    new_file(directory, Lane.TELEMETRY)
    outbox = Outbox(directory, Lane.TELEMETRY, 8 << 20)
    outbox.open()
    for number in range(50):
        outbox.commit([telemetry(1 + 3 * number, 3)])
    wal = outbox.path.with_name("outbox.db-wal").read_bytes()
    main = outbox.path.read_bytes()
    outbox.close()
    for cut in (0, 31, 5000, 77_777, len(wal) // 2):
        outbox.path.write_bytes(main)
        outbox.path.with_name("outbox.db-wal").write_bytes(wal[:cut])
        outbox.path.with_name("outbox.db-shm").unlink(missing_ok=True)
        outbox.open()
        numbers = [number for _, number in identities(outbox.path)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert outbox.ledger.have.get(RUN, 0) == len(numbers)
        outbox.close()


def test_a_salvage_cut_off_between_its_renames_is_finished(directory: Path) -> None:
    """Killed after the damaged file was put aside, the next start finds the salvaged one."""
    path = _written(directory)
    before = identities(path)
    path.rename(path.with_name("outbox.db.salvage"))
    adopt(path)
    assert identities(path) == before


def test_only_two_damaged_files_are_kept(directory: Path) -> None:
    """Damage that returns does not fill the disk with old files; the newest are kept."""
    for _ in range(4):
        path = _written(directory, 3) if not (directory / "outbox.db").exists() else directory / "outbox.db"
        salvage(path, Lane.TELEMETRY)
    names = sorted(file.name for file in directory.glob("*.damaged-??????"))
    assert names == ["outbox.db.damaged-000003", "outbox.db.damaged-000004"]


def test_gaps_not_told_yet_are_still_told(directory: Path) -> None:
    """What was given up just before the damage is told from the new file; what the old file told is not."""
    path = _written(directory, rows=1)
    outbox = Outbox(directory, Lane.TELEMETRY, 8 << 20)
    outbox.open()
    outbox.commit([Gap(RUN, Lane.TELEMETRY, RecordClass.TELEMETRY, 4, 6)])
    outbox.commit([], (), [number for number, _ in outbox.untold()])
    outbox.commit([Gap(RUN, Lane.TELEMETRY, RecordClass.TELEMETRY, 7, 9)])
    outbox.close()
    salvage(path, Lane.TELEMETRY)
    outbox.open()
    assert [(gap.first, gap.last) for _, gap in outbox.untold()] == [(7, 9)]
    outbox.close()
