"""Lanes, window and what each answer means."""

import pytest

from gateway.core.record import Batch, Lane, Outcome, RecordClass, Stored
from gateway.uplink.sender import ISLANDS_LIMIT, Sender, Verdict, judge
from tests.recorder.fakes import event, telemetry
from tests.uplink.broker import MemorySource


def _stored(row: int) -> Stored:
    return Stored(row, "epoch", telemetry(3 * row - 2))


def _event(row: int, kind: RecordClass = RecordClass.ALARM) -> Stored:
    return Stored(row, "epoch", event(row, kind))


class Line:
    """A sender, packet ids, and a clock in hand."""

    def __init__(self, source: MemorySource, window: int = 20) -> None:
        self.source = source
        self.now_s = 100.0
        self.seen: list[Batch] = []
        self.sender = Sender(source, window, self.now_s, self.seen.append)
        self.mid = 0
        self.flying: dict[int, tuple[Stored, str]] = {}

    def send(self, others: int = 0) -> list[tuple[int, str]]:
        """(row, topic) of everything that may go now."""
        sent = []
        while (found := self.sender.next(self.now_s, others)) is not None:
            self.mid += 1
            self.sender.sent(self.mid, *found, self.now_s)
            self.flying[self.mid] = found
            sent.append((found[0].row, found[1]))
        return sent

    def acknowledge(self, code: int = 0, topic: str = "") -> None:
        """The broker's answer to everything in flight, or to everything of one topic."""
        for mid, (_, where) in list(self.flying.items()):
            if topic in ("", where):
                del self.flying[mid]
                self.sender.acknowledged(mid, code, self.now_s)

    def open(self) -> None:
        """Prove every topic that has something to send."""
        self.send()
        self.acknowledge()


@pytest.fixture
def source() -> MemorySource:
    return MemorySource()


def test_the_backlog_goes_oldest_first_and_once(source: MemorySource) -> None:
    """After one message has proved the topic the window fills; every row is sent once, in order."""
    for row in range(1, 101):
        source.put(_stored(row))
    line = Line(source)
    assert line.send() == [(1, "backlog")]
    rows = [1]
    line.acknowledge()
    while sent := line.send():
        rows += [row for row, _ in sent]
        assert len(line.flying) <= 12
        line.acknowledge()
    assert rows == list(range(1, 101))
    assert source.delivered(Lane.TELEMETRY) == set(rows)


def test_live_never_waits_behind_the_backlog_and_events_behind_neither(source: MemorySource) -> None:
    """However long the backlog, a share of the window is free for live, and another for events."""
    for row in range(1, 101):
        source.put(_stored(row))
    line = Line(source)
    line.open()
    line.send()
    assert len(line.flying) == 12
    for row in range(101, 106):
        source.put(_stored(row), live=True)
    source.put(_event(1))
    line.sender.stir()
    assert line.send() == [(1, "alarm"), (101, "live")]
    line.acknowledge(topic="live")
    assert line.send() == [(102, "live"), (103, "live"), (104, "live")]
    for row in range(2, 9):
        source.put(_event(row))
    line.acknowledge(topic="alarm")
    line.sender.stir()
    assert [topic for _, topic in line.send()] == ["alarm"] * 5
    assert len(line.flying) == 20


def test_the_window_is_the_smaller_of_ours_and_the_brokers(source: MemorySource) -> None:
    """Receive Maximum is obeyed, also when it is 1, and messages that are not stored count as well."""
    for row in range(1, 1000):
        source.put(_stored(row))
        source.put(_event(row))
    line = Line(source, window=1)
    assert len(line.send()) == 1
    line.acknowledge()
    assert line.send(others=1) == []
    assert not line.sender.has_room(1)
    wide = Line(source, window=65_535)
    for _ in range(3):
        wide.open()
    wide.send()
    assert len(wide.flying) == 100


def test_no_subscriber_means_not_stored(source: MemorySource) -> None:
    """0x10 keeps the row pending and pauses its topic; the oldest is tried again, later and later, until taken."""
    for row in range(1, 50):
        source.put(_stored(row))
    line = Line(source)
    waits = []
    assert line.send() == [(1, "backlog")]
    for _ in range(8):
        line.acknowledge(0x10)
        began_s = line.now_s
        while not (sent := line.send()):
            line.now_s += 0.5
        assert sent == [(1, "backlog")]
        waits.append(line.now_s - began_s)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert source.outcomes == {}
    assert line.sender.refusals == {"backlog": 0x10}
    line.acknowledge(0x00)
    assert len(line.send()) == 12
    assert line.sender.refusals == {}


def test_one_topic_without_a_reader_does_not_stop_the_others(source: MemorySource) -> None:
    """Nobody wants output events: alarms, live and backlog go on."""
    for row in range(1, 40):
        source.put(_event(row, RecordClass.OUTPUT if row % 2 else RecordClass.ALARM))
        source.put(_stored(row))
    line = Line(source)
    for _ in range(40):
        line.send()
        line.acknowledge(0x10, "output")
        line.acknowledge()
        line.sender.stir()
    assert source.delivered(Lane.EVENTS) == set(range(2, 40, 2))
    assert source.delivered(Lane.TELEMETRY) == set(range(1, 40))


def test_live_without_a_reader_becomes_backlog(source: MemorySource) -> None:
    """What tm/live would not take is delivered through tm/backlog, and last values still see it."""
    line = Line(source)
    source.put(_stored(1), live=True)
    assert line.send() == [(1, "live")]
    line.acknowledge(0x10)
    source.put(_stored(2), live=True)
    line.sender.stir()
    assert line.send() == [(1, "backlog")]
    line.acknowledge()
    assert line.send() == [(2, "backlog")]
    assert [batch.first for batch in line.seen] == [1, 4]


@pytest.mark.parametrize("code", [0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0xFF])
def test_what_may_be_mended_is_not_given_up(code: int) -> None:
    """Refusals that a change at the broker can lift leave the batch pending."""
    assert judge(code) is Verdict.LATER


def test_what_can_never_be_taken_is_rejected(source: MemorySource) -> None:
    """0x99 is about the message itself: it is booked as rejected and does not block those behind it."""
    for row in (1, 2):
        source.put(_stored(row))
    line = Line(source)
    line.send()
    line.acknowledge(0x99)
    assert source.outcomes == {(Lane.TELEMETRY, 1): Outcome.REJECTED}
    assert line.send() == [(2, "backlog")]
    line.sender.reject(_stored(2))
    assert source.outcomes[Lane.TELEMETRY, 2] is Outcome.REJECTED


def test_a_refusal_in_the_middle_is_sent_again(source: MemorySource) -> None:
    """Rows refused among accepted ones are due again, oldest first, and nothing else is sent twice."""
    for row in range(1, 8):
        source.put(_stored(row))
    line = Line(source)
    line.open()
    line.send()
    for mid, (stored, _) in list(line.flying.items()):
        line.sender.acknowledged(mid, 0x97 if stored.row in (3, 5) else 0, line.now_s)
    line.flying.clear()
    line.sender.stir()
    assert line.send() == [(3, "backlog"), (5, "backlog")]


def test_one_batch_the_broker_chokes_on_does_not_block_the_rest(source: MemorySource) -> None:
    """An unspecified refusal may be about this one batch: others are tried before it comes again."""
    for row in range(1, 30):
        source.put(_stored(row))
    line = Line(source)
    for _ in range(20):
        line.send()
        for mid, (stored, _) in list(line.flying.items()):
            line.sender.acknowledged(mid, 0x80 if stored.row == 1 else 0, line.now_s)
        line.flying.clear()
        line.now_s += 1.5
        line.sender.stir()
    assert source.delivered(Lane.TELEMETRY) == set(range(2, 30))
    line.now_s += 30
    line.send()
    line.sender.stir()
    assert line.send() == [(1, "backlog")]


def test_a_replaced_file_is_followed(source: MemorySource) -> None:
    """When the store begins anew its rows are sent although they have the numbers of delivered ones."""
    source.put(_stored(1))
    line = Line(source)
    line.open()
    source.epochs[Lane.TELEMETRY] = "new"
    source.outcomes.clear()
    source.rows[Lane.TELEMETRY] = {1: Stored(1, "new", telemetry(50))}
    assert line.send() == [(1, "backlog")]


def test_an_answer_to_nothing_is_ignored(source: MemorySource) -> None:
    """A packet id we never used, or used before, changes nothing."""
    line = Line(source)
    assert not line.sender.acknowledged(77, 0, line.now_s)


def test_live_waits_when_the_ledger_would_grow(source: MemorySource) -> None:
    """With many separate delivered stretches, everything goes as backlog until they have grown together."""
    for row in range(1, 2 * ISLANDS_LIMIT + 10):
        source.put(_stored(row))
        if row % 2:
            source.settle(_stored(row), Outcome.DELIVERED)
    line = Line(source)
    last = 2 * ISLANDS_LIMIT + 10
    source.put(_stored(last), live=True)
    assert line.send() == [(2, "backlog")]
    line.acknowledge()
    while line.send():
        line.acknowledge()
    source.put(_stored(last + 1), live=True)
    assert line.send() == [(last + 1, "live")]


def test_an_idle_sender_does_not_ask_the_disk(source: MemorySource) -> None:
    """With nothing to send, the store is asked once per stir, not once per turn."""
    line = Line(source)
    for _ in range(50):
        line.send()
    assert source.fetches <= 2
