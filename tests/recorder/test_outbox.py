"""One lane's database file."""

import sqlite3
from pathlib import Path

import pytest

from gateway.core.record import Gap, Lane, Outcome, RecordClass, Settlement, Stored
from gateway.recorder import schema
from gateway.recorder.outbox import Damaged, Outbox, is_no_room
from gateway.recorder.reader import Reader
from tests.recorder.fakes import RUN, count_from_rows, event, identities, new_file, telemetry


def _delivered(stored: list[Stored]) -> list[Settlement]:
    return [Settlement(item, Outcome.DELIVERED) for item in stored]


def _account(outbox: Outbox) -> list[int]:
    return outbox.ledger.accounts[RecordClass.TELEMETRY].as_list()


def _fill(outbox: Outbox, first: int = 1) -> int:
    """Commit incompressible batches until the budget refuses one; the number of the one refused."""
    for number in range(first, first + 100_000):
        try:
            outbox.commit([telemetry(number, 1, body=_noise(number))])
        except sqlite3.OperationalError as error:
            if is_no_room(error):
                return number
            raise
    raise AssertionError("the budget does not hold")


def _noise(seed: int) -> bytes:
    import random

    return random.Random(seed).randbytes(3000)


def test_a_commit_survives_reopening(outbox: Outbox) -> None:
    """Rows, accounts, outcomes and the last numbers are what they were when the file is opened again."""
    stored = outbox.commit([telemetry(1, 5), telemetry(6, 5)])
    outbox.commit([telemetry(11, 2)], _delivered(stored[:1]))
    before = outbox.ledger.dump()
    outbox.close()
    outbox.open()
    assert outbox.ledger.dump() == before
    assert _account(outbox) == [12, 5, 7, 0, 0, 0]
    assert identities(outbox.path) == [(RUN, number) for number in range(1, 13)]


def test_a_body_comes_back_byte_for_byte(outbox: Outbox) -> None:
    """What control encoded is what is sent, also when it does not deflate or is no JSON."""
    batches = [telemetry(1), telemetry(4, 1, body=_noise(1)), telemetry(5, 1, body=b"[]"), telemetry(6, 200)]
    outbox.commit(batches)
    reader = Reader(outbox.path.parent)
    found, damaged = reader.pending(Lane.TELEMETRY, outbox.ledger.epoch, 1, 99, [RecordClass.TELEMETRY])
    reader.close()
    assert [stored.batch for stored in found] == batches
    assert not damaged


def test_nothing_changes_when_a_commit_fails(outbox: Outbox) -> None:
    """A commit is all or nothing, in the file and in the ledger."""
    refused = _fill(outbox)
    before = outbox.ledger.dump()
    with pytest.raises(sqlite3.OperationalError):
        outbox.commit([telemetry(refused, 1, body=_noise(7)), telemetry(refused + 1, 1, body=_noise(8))])
    assert outbox.ledger.dump() == before
    outbox.close()
    outbox.open()
    assert outbox.ledger.dump() == before


def test_delivered_rows_go_first(outbox: Outbox) -> None:
    """Room is made of what the broker has; not one pending reading is lost for it."""
    stored = [outbox.commit([telemetry(n, 1, body=_noise(n))])[0] for n in range(1, 201)]
    outbox.commit([], _delivered(stored[:150]))
    refused = _fill(outbox, 201)
    assert outbox.is_full()
    assert outbox.make_room() == []
    outbox.commit([telemetry(refused, 1, body=_noise(refused))])
    kept = {number for _, number in identities(outbox.path)}
    assert set(range(151, refused + 1)) <= kept
    assert 1 not in kept
    assert _account(outbox) == [refused, 150, refused - 150, 0, 0, 0]


def test_then_the_oldest_pending_telemetry_goes_and_is_told(outbox: Outbox) -> None:
    """With nothing delivered the oldest readings go: counted as dropped, and their range waits to be told."""
    refused = _fill(outbox)
    lost = outbox.make_room()
    count = len(lost)
    assert [item.batch.first for item in lost] == list(range(1, count + 1))
    assert _account(outbox) == [refused - 1, 0, refused - 1 - count, 0, count, 0]
    ((number, gap),) = outbox.untold()
    assert gap == Gap(RUN, Lane.TELEMETRY, RecordClass.TELEMETRY, 1, count, "evicted")
    assert outbox.ledger.pending == count_from_rows(outbox.path, list(outbox.ledger.settled))
    outbox.commit([telemetry(refused, 1)], (), [number])
    assert outbox.untold() == []


def test_pending_events_are_never_given_up(directory: Path) -> None:
    """A file full of events the broker has not taken refuses new ones; it does not forget old ones."""
    new_file(directory, Lane.EVENTS)
    outbox = Outbox(directory, Lane.EVENTS, 1 << 20)
    outbox.open()
    for number in range(1, 100_000, 200):
        try:
            outbox.commit([event(n, RecordClass.AUDIT, 20) for n in range(number, number + 200, 20)])
        except sqlite3.OperationalError:
            break
    with pytest.raises(sqlite3.OperationalError, match="full of events"):
        outbox.make_room()
    assert len(identities(outbox.path)) == outbox.ledger.pending == number - 1
    outbox.close()


def test_the_row_that_carries_the_ledger_stays(outbox: Outbox) -> None:
    """Also when everything is delivered and all of it must go, the newest row is there at the next start."""
    stored = outbox.commit([telemetry(n, 1, body=_noise(n)) for n in range(1, 101)])
    outbox.commit([], _delivered(stored))
    assert outbox.make_room(2 << 20) == []
    assert identities(outbox.path) == [(RUN, 100)]
    outbox.close()
    outbox.open()
    assert _account(outbox) == [100, 100, 0, 0, 0, 0]


def test_an_outcome_of_another_file_is_ignored(outbox: Outbox) -> None:
    """A late acknowledgement of a row of a replaced file must not settle the row of that number in the new one."""
    outbox.commit([telemetry(1)])
    outbox.commit([], [Settlement(Stored(1, "another", telemetry(1)), Outcome.DELIVERED)])
    assert _account(outbox) == [3, 0, 3, 0, 0, 0]


def test_a_rejected_batch_is_counted_and_told(outbox: Outbox) -> None:
    """What the broker can never take is neither pending nor silently gone."""
    stored = outbox.commit([telemetry(1)])
    outbox.commit([], [Settlement(stored[0], Outcome.REJECTED)])
    assert _account(outbox) == [3, 0, 0, 0, 0, 3]
    assert [gap.cause for _, gap in outbox.untold()] == ["rejected"]


def test_the_log_is_warmed_once_and_kept(outbox: Outbox) -> None:
    """After warming, a thousand commits do not change the size of the write-ahead log."""
    outbox.commit([telemetry(1)])
    outbox.warm()
    wal = outbox.path.with_name(outbox.path.name + "-wal")
    size = wal.stat().st_size
    assert size > 1_000_000
    for number in range(1200):
        outbox.commit([telemetry(4 + number, 1)])
    assert wal.stat().st_size <= size + 100 * 1048
    outbox.warm()
    assert wal.stat().st_size <= size + 100 * 1048


def test_the_file_is_synchronous(outbox: Outbox) -> None:
    """WAL with FULL synchronisation, also after the log was warmed: a power cut costs the open batch only."""
    outbox.warm()
    connection = outbox._use()
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (1000,)


def test_a_newer_schema_is_refused_with_a_cure(outbox: Outbox) -> None:
    """After a downgrade the file is left alone, and the message says what to do."""
    outbox._use().execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    outbox.close()
    with pytest.raises(OSError, match="install the gateway that wrote it"):
        outbox.open()


def test_a_file_without_its_ledger_is_damaged(outbox: Outbox) -> None:
    """Rows without books are not silently taken for new."""
    outbox.commit([telemetry(1)])
    outbox._use().execute("UPDATE record SET state = NULL")
    outbox.close()
    with pytest.raises(Damaged):
        outbox.open()


def test_a_moved_file_is_noticed(outbox: Outbox) -> None:
    """Somebody who moves the file away gets a new one, not writes into a file without a name."""
    assert outbox.present()
    outbox.path.rename(outbox.path.with_name("elsewhere"))
    assert not outbox.present()
