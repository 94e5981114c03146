"""The one thread that writes: groups, acknowledgements, retries, news."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.record import Batch, Gap, Lane, Outcome, RecordClass, Stored
from gateway.recorder.intake import BYTES_LIMIT, Intake
from gateway.recorder.keeper import Keeper
from gateway.recorder.ledger import Ledger
from gateway.recorder.outgoing import Outgoing
from gateway.recorder.store import Store
from gateway.settings.model import Store as StoreSettings
from tests.recorder.fakes import RUN, FakeClock, count_from_rows, event, eventually, identities, telemetry


class Kept:
    """A keeper with everything around it; `acknowledged` is what it would tell control."""

    def __init__(self, directory: Path, commit_s: float = 0.05) -> None:
        self.store = Store(directory, StoreSettings(telemetry_budget=1 << 20, critical_budget=1 << 20))
        self.intake = Intake()
        self.outgoing = Outgoing(directory)
        self.acknowledged: dict[tuple[Lane, str], int] = {}
        self.keeper = Keeper(
            self.store,
            self.intake,
            self.outgoing,
            clock=FakeClock(),
            acknowledge=self._acknowledge,
            commit_s=commit_s,
        )

    def _acknowledge(self, lane: Lane, run: str, upto: int) -> None:
        self.acknowledged[lane, run] = upto

    def put(self, *arrivals: Batch | Gap) -> None:
        for arrival in arrivals:
            self.intake.put(arrival)

    def wait(self, lane: Lane, upto: int) -> None:
        eventually(lambda: self.acknowledged.get((lane, RUN), 0) >= upto)

    def system_events(self) -> list[dict[str, Any]]:
        pending = self.outgoing.pending(Lane.EVENTS, 1, 1 << 40, [RecordClass.SYSTEM])
        return [row for stored in pending for row in json.loads(stored.batch.body)]


@pytest.fixture
def kept(directory: Path) -> Iterator[Kept]:
    made = Kept(directory)
    made.keeper.start()
    yield made
    made.keeper.stop()


def test_what_is_acknowledged_is_on_the_disk(kept: Kept, directory: Path) -> None:
    """An acknowledgement comes after the commit: whatever it names can be read by another connection."""
    kept.put(*(telemetry(n, 3) for n in range(1, 60, 3)))
    kept.wait(Lane.TELEMETRY, 60)
    assert identities(directory / "outbox.db") == [(RUN, n) for n in range(1, 61)]


def test_the_first_batch_and_every_event_are_committed_at_once(directory: Path) -> None:
    """With commits an hour apart, the first readings and all events are durable immediately, the next readings wait."""
    kept = Kept(directory, commit_s=3600.0)
    kept.keeper.start()
    kept.put(telemetry(1))
    kept.wait(Lane.TELEMETRY, 3)
    for number in range(1, 4):
        kept.put(event(number))
        kept.wait(Lane.EVENTS, number)
    kept.put(telemetry(4))
    kept.put(event(4))
    kept.wait(Lane.EVENTS, 4)
    assert kept.acknowledged[Lane.TELEMETRY, RUN] == 3
    kept.keeper.stop()
    assert kept.acknowledged[Lane.TELEMETRY, RUN] == 6, "a clean stop commits what waits"


def test_a_full_house_does_not_wait_for_the_hour(directory: Path) -> None:
    """When half of control's window waits, it is committed before its time: catching up is fast."""
    kept = Kept(directory, commit_s=3600.0)
    kept.keeper.start()
    kept.put(telemetry(1, 1))
    kept.wait(Lane.TELEMETRY, 1)
    kept.put(*(telemetry(n, 1) for n in range(2, 131)))
    kept.wait(Lane.TELEMETRY, 129)
    kept.keeper.stop()


def test_a_gap_from_control_is_counted_told_and_acknowledged(kept: Kept) -> None:
    """Numbers that control had to give up are captured and dropped, and an event says which."""
    kept.put(Gap(RUN, Lane.TELEMETRY, RecordClass.TELEMETRY, 1, 100), telemetry(101))
    kept.wait(Lane.TELEMETRY, 103)
    (told,) = eventually(kept.system_events)
    assert (told["s"], told["w"]) == ("outbox", "lost")
    assert told["x"] == {
        "lane": "telemetry", "class": "telemetry", "run": RUN, "first": 1, "last": 100, "count": 100,
        "cause": "overflow",
    }  # fmt: skip
    summary = kept.outgoing.summary()
    assert summary["telemetry"]["captured"] == 103
    assert summary["telemetry"]["dropped"] == 100


def test_the_recorders_own_events_are_numbered_contiguously(directory: Path) -> None:
    """They are of the file's own run, 1, 2, 3 … across restarts: a consumer can prove them complete as well."""
    for restart in range(3):
        kept = Kept(directory)
        kept.keeper.start()
        first = 1 + restart * 20
        kept.put(telemetry(first, 1), telemetry(first + 10, 1))  # a hole of nine
        kept.wait(Lane.TELEMETRY, first + 10)
        assert eventually(kept.system_events)
        kept.keeper.stop()
    own = [(run, number) for run, number in identities(directory / "critical.db") if run != RUN]
    assert len({run for run, _ in own}) == 1
    assert [number for _, number in own] == list(range(1, len(own) + 1))


def test_outcomes_ride_in_a_commit_and_are_booked_once(kept: Kept, directory: Path) -> None:
    """A delivery is durable with the next commit, also when no new record comes."""
    kept.put(telemetry(1), telemetry(4))
    kept.wait(Lane.TELEMETRY, 6)
    pending = kept.outgoing.pending(Lane.TELEMETRY, 1, 1 << 40, [RecordClass.TELEMETRY])
    kept.outgoing.settle(pending[0], Outcome.DELIVERED)
    kept.outgoing.settle(pending[0], Outcome.DELIVERED)
    eventually(lambda: kept.outgoing.summary()["telemetry"]["delivered"] == 3)
    kept.keeper.stop()
    again = Store(directory, StoreSettings())
    again.open()
    ledger = again.outboxes[Lane.TELEMETRY].ledger
    assert ledger.accounts[RecordClass.TELEMETRY].as_list() == [6, 3, 3, 0, 0, 0]
    assert count_from_rows(directory / "outbox.db", list(ledger.settled)) == 3
    again.close()


def test_a_broken_disk_is_told_and_heals_without_help(directory: Path) -> None:
    """While the directory is unusable nothing is acknowledged; when it is usable again everything is kept."""
    state = directory / "recorder"
    state.write_text("in the way")
    kept = Kept(state)
    kept.keeper.start()
    kept.put(telemetry(1), event(1))
    eventually(lambda: kept.keeper.problem and kept.keeper.opened.is_set() and not kept.keeper.ok)
    assert kept.acknowledged == {}
    state.unlink()
    kept.wait(Lane.TELEMETRY, 3)
    kept.wait(Lane.EVENTS, 1)
    eventually(lambda: kept.keeper.ok)
    kept.keeper.stop()


def test_a_hanging_disk_is_told_while_it_hangs(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that does not return makes `ok` false, without the hanging thread's help."""
    monkeypatch.setattr("gateway.recorder.keeper.STALLED_S", 0.05)
    kept = Kept(directory)
    kept.keeper.start()
    kept.put(telemetry(1))
    kept.wait(Lane.TELEMETRY, 3)
    release, original = threading.Event(), kept.store.keep

    def hang(*arguments: object) -> object:
        release.wait(10)
        return original(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(kept.store, "keep", hang)
    kept.put(telemetry(4))
    eventually(lambda: "hangs" in kept.keeper.problem)
    release.set()
    kept.wait(Lane.TELEMETRY, 6)
    eventually(lambda: kept.keeper.ok)
    kept.keeper.stop()


def test_evicted_readings_are_told_by_range(kept: Kept, directory: Path) -> None:
    """When the budget takes pending readings, events name every one of them and the accounts agree."""
    for number in range(1, 401):
        kept.put(telemetry(number, 1, body=os.urandom(3000)))
    kept.wait(Lane.TELEMETRY, 400)

    def told() -> bool:
        ranges = [row["x"] for row in kept.system_events()]
        lost = {n for gap in ranges for n in range(gap["first"], gap["last"] + 1)}
        dropped: int = kept.outgoing.summary()["telemetry"]["dropped"]
        return len(lost) == dropped > 0

    eventually(told)
    account = kept.outgoing.summary()["telemetry"]
    assert account["captured"] == 400 == account["pending"] + account["dropped"]


def test_the_intake_is_bounded_and_survives_a_new_connection() -> None:
    """It says when it is full; what a commit took is removed by identity, not by position, after it was cleared."""
    intake = Intake()
    first = telemetry(1, 1, body=bytes(BYTES_LIMIT // 2))
    full = []
    for arrival in (first, telemetry(2, 1, body=bytes(BYTES_LIMIT // 2))):
        intake.put(arrival)
        full.append(intake.full)
    assert full == [False, True]
    taken = intake.waiting(Lane.TELEMETRY)
    assert taken == [first]
    intake.clear()
    intake.put(telemetry(3, 1))
    intake.kept(Lane.TELEMETRY, taken)
    assert [arrival.first for arrival in intake.waiting(Lane.TELEMETRY)] == [3]
    assert not intake.full


def test_news_that_comes_while_news_is_told_is_told_next(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit that tells may itself find something to tell, e.g. damage that it salvages."""
    keep = kept.store.keep

    def find_more(lane: Lane, *arguments: Any) -> Any:
        if lane is Lane.EVENTS and not found:
            found.append(True)
            kept.store.note("salvaged", {"number": 2})
        return keep(lane, *arguments)

    found: list[bool] = []
    eventually(kept.keeper.opened.is_set)
    monkeypatch.setattr(kept.store, "keep", find_more)
    kept.store.note("salvaged", {"number": 1})
    eventually(lambda: [row["x"] for row in kept.system_events()] == [{"number": 1}, {"number": 2}])


def test_a_row_whose_very_count_is_damaged_stops_nobody(kept: Kept, directory: Path) -> None:
    """The disk may give back anything for a number: the row is given up, later ones are kept, and the books balance."""
    kept.put(telemetry(1, 3), telemetry(4, 3))
    kept.wait(Lane.TELEMETRY, 6)
    for row, count in ((1, "x"), (2, 1 << 40)):
        with sqlite3.connect(directory / "outbox.db") as spoiler:
            spoiler.execute("UPDATE record SET count = ? WHERE id = ?", (count, row))
        spoiler.close()
    assert kept.outgoing.pending(Lane.TELEMETRY, 1, 1 << 40, [RecordClass.TELEMETRY]) == []
    kept.put(telemetry(7, 3))
    kept.wait(Lane.TELEMETRY, 9)
    eventually(lambda: not kept.outgoing.has_unbooked(Lane.TELEMETRY))
    account = kept.outgoing.summary()["telemetry"]
    assert account["captured"] == account["pending"] + account["dropped"] == 9


def test_outcomes_for_a_new_file_are_not_booked_with_those_of_the_old(directory: Path) -> None:
    """A commit that had to replace the file takes away the outcomes it was given, and no later ones."""
    outgoing = Outgoing(directory)
    ledgers = [Ledger(Lane.TELEMETRY, epoch, newest=9) for epoch in ("old", "new")]
    outgoing.opened(ledgers[0])
    outgoing.settle(Stored(1, "old", telemetry(1, 3)), Outcome.DELIVERED)
    given = outgoing.unbooked(Lane.TELEMETRY)
    outgoing.opened(ledgers[1])
    outgoing.settle(Stored(2, "new", telemetry(4, 3)), Outcome.DELIVERED)
    outgoing.booked(Lane.TELEMETRY, given)
    assert [settlement.stored.row for settlement in outgoing.unbooked(Lane.TELEMETRY)] == [2]
