"""The ring: contiguous numbers, nothing forgotten before its acknowledgement, overflow told as a gap."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.records import Frame
from gateway.control.ring import IN_FLIGHT, Ring
from gateway.core.event import Event, EventClass
from gateway.core.quality import Reason
from gateway.core.reading import Reading
from gateway.local.clock import SystemClock
from tests.control.fakes import SECOND, FakeClock


def readings(count: int, time_ns: int = 0) -> list[Reading]:
    return [Reading("a.x", float(number), Reason.GOOD, time_ns) for number in range(count)]


def events(*kinds: EventClass) -> list[Event]:
    return [Event(kind, "gas_valve", "off", 5, {}) for kind in kinds]


def ring_with(count: int, limit: int = 30_000) -> Ring:
    """A ring that holds `count` readings in frames of ten."""
    ring = Ring(FakeClock(), telemetry_records=limit)
    for _ in range(count // 10):
        ring.add(readings(10), ())
        ring.encode(SECOND, 0, everything=True)
    return ring


def sent(ring: Ring, limit: int = 10_000) -> list[Frame]:
    frames = []
    for frame in ring.take():
        frames.append(frame)
        if len(frames) == limit:
            break
    return frames


def test_records_are_numbered_from_one_without_holes() -> None:
    """Numbers are contiguous per lane, whatever the order of classes."""
    ring = Ring(FakeClock())
    for _ in range(5):
        ring.add(readings(7), events(EventClass.OUTPUT, EventClass.OUTPUT, EventClass.ALARM))
        ring.encode(SECOND, 0, everything=True)
    for lane, total in (("events", 15), ("telemetry", 35)):
        frames = frames_of(ring, lane)
        numbers = [n for frame in frames for n in range(frame.first, frame.last + 1)]
        assert numbers == list(range(1, total + 1))
        assert all(len(json.loads(frame.body or b"")) == frame.count for frame in frames)


def frames_of(ring: Ring, lane: str) -> list[Frame]:
    ring.subscribe("", {})
    return [frame for frame in sent(ring) if frame.lane == lane]


def test_one_frame_holds_one_class() -> None:
    """Events of different classes go in frames of their own, in order."""
    ring = Ring(FakeClock())
    ring.add((), events(EventClass.OUTPUT, EventClass.OUTPUT, EventClass.AUDIT, EventClass.OUTPUT))
    ring.encode(SECOND, 0)
    assert [(frame.kind, frame.count) for frame in sent(ring)] == [("output", 2), ("audit", 1), ("output", 1)]


def test_times_in_a_frame_begin_with_its_first_row() -> None:
    """`mono` and `ts` are the first row's; rows are in order of time, so no row is before it."""
    clock = FakeClock()
    ring = Ring(clock)
    now = clock.now_ns()
    ring.add(readings(1, now - 2 * SECOND) + readings(1, now - 3 * SECOND), ())
    ring.encode(now, 0, everything=True)
    (frame,) = sent(ring)
    assert frame.mono_ms == (now - 3 * SECOND) // 1_000_000
    assert frame.ts_ms == clock.wall().ms - 3000
    assert [row["t"] for row in json.loads(frame.body or b"")] == [0, 1000]


def test_nothing_is_forgotten_before_its_acknowledgement() -> None:
    """A new subscriber of the same run gets everything behind what it has; of another run, everything held."""
    ring = ring_with(100)
    ring.subscribe("another run", {"telemetry": 77})
    assert sent(ring)[0].first == 1
    ring.acknowledge("telemetry", 30)
    ring.subscribe(ring.run, {"telemetry": 40})
    assert [frame.first for frame in sent(ring)] == [41, 51, 61, 71, 81, 91]
    assert ring.counts()["telemetry"] == {"held": 60, "first": 41, "last": 100, "dropped": 0}
    ring.acknowledge("telemetry", 100)
    assert ring.empty


def test_at_most_256_frames_wait_for_an_acknowledgement() -> None:
    """A recorder that takes but does not commit is not flooded."""
    ring = ring_with(10 * (IN_FLIGHT + 20))
    ring.subscribe("", {})
    assert len(sent(ring)) == IN_FLIGHT
    assert sent(ring) == []
    ring.acknowledge("telemetry", 50)
    assert len(sent(ring)) == 5


def test_overflow_is_told_as_a_gap_before_the_next_record() -> None:
    """The oldest records go; what went is told, acknowledged and counted."""
    ring = ring_with(200, limit=100)
    ring.subscribe("", {})
    gap, *frames = sent(ring)
    assert (gap.body, gap.first, gap.last, gap.kind) == (None, 1, 100, "telemetry")
    assert frames[0].first == 101
    assert ring.counts()["telemetry"]["dropped"] == 100
    ring.acknowledge("telemetry", 100)
    ring.subscribe(ring.run, {"telemetry": 100})
    assert sent(ring)[0].first == 101


def test_a_gap_begins_behind_what_the_recorder_has() -> None:
    """Records that were stored before they were dropped here are no loss."""
    ring = ring_with(200, limit=100)
    ring.subscribe(ring.run, {"telemetry": 60})
    assert (sent(ring)[0].first, sent(ring)) == (61, [])


def test_overflow_under_a_slow_subscriber_leaves_no_hole() -> None:
    """What was sent and not acknowledged when it was dropped is a gap for the next subscriber only."""
    ring = ring_with(100, limit=100)
    ring.subscribe("", {})
    assert len(sent(ring)) == 10
    for _ in range(5):
        ring.add(readings(10), ())
        ring.encode(SECOND, 0, everything=True)
    assert [frame.first for frame in sent(ring)] == [101, 111, 121, 131, 141]
    ring.subscribe(ring.run, {"telemetry": 20})
    assert [(frame.body is None, frame.first) for frame in sent(ring)][:2] == [(True, 21), (False, 51)]


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "ack", "again"]), st.integers(1, 30)), max_size=60))
def test_numbers_told_are_contiguous_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """Adding, overflow, sending, acknowledging and reconnecting in any order: the recorder never sees a hole."""
    ring = Ring(FakeClock(), telemetry_records=50)
    ring.subscribe("", {})
    stored = 0
    pending: list[int] = []
    for what, amount in steps:
        if what == "add":
            ring.add(readings(amount), ())
            ring.encode(SECOND, 0, everything=True)
        elif what == "take":
            for frame in ring.take():
                assert frame.first == (pending[-1] if pending else stored) + 1
                pending.append(frame.last)
        elif what == "ack" and pending:
            stored = pending[min(amount, len(pending)) - 1]
            pending = [last for last in pending if last > stored]
            ring.acknowledge("telemetry", stored)
        elif what == "again":
            pending = []
            ring.subscribe(ring.run, {"telemetry": stored})


def test_an_acknowledgement_of_what_never_was_is_refused() -> None:
    """A confused recorder must not make control forget."""
    ring = ring_with(10)
    for lane, upto in (("telemetry", 11), ("audit", 1), ("telemetry", -1)):
        with pytest.raises(ValueError, match="no such record"):
            ring.acknowledge(lane, upto)


def test_events_are_ready_at_once_and_readings_are_gathered() -> None:
    """An event is encoded without waiting; readings fill a frame until a second has passed."""
    clock = FakeClock()
    woken: list[int] = []
    ring = Ring(clock, wake=lambda: woken.append(1))
    now = clock.now_ns()
    due = ring.encode(now, 0)
    ring.add(readings(1, now), ())
    due = ring.encode(now, due)
    assert len(woken) == 1, "the first reading of a run goes at once"
    ring.add(readings(3, now), ())
    due = ring.encode(now + SECOND // 2, due)
    assert len(woken) == 1
    ring.add((), events(EventClass.ALARM))
    due = ring.encode(now + SECOND // 2, due)
    assert len(woken) == 2
    ring.encode(now + SECOND, due)
    assert [frame.count for frame in sent(ring)] == [1, 1, 3]


def test_flush_leaves_nothing_behind() -> None:
    """At the end everything handed over is encoded, also what would have waited."""
    ring = Ring(SystemClock())
    ring.start()
    ring.add(readings(3), events(EventClass.SYSTEM))
    ring.flush(5.0)
    assert sum(frame.count for frame in sent(ring)) == 4
    assert not ring.alive()
