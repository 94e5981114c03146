"""The ring: every record of this run, numbered and encoded, until the recorder has it or room runs out."""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from queue import Empty, SimpleQueue

from gateway.control.records import ROWS_LIMIT, TELEMETRY, Frame, Lane, RowWriter, event_rows
from gateway.core.clock import Clock
from gateway.core.event import Event
from gateway.core.reading import Reading

TELEMETRY_RECORDS = 30 * 1000
"""30 minutes at 1,000 readings per minute."""
TELEMETRY_BYTES = 6 * 1024 * 1024
EVENT_RECORDS = 20_000
EVENT_BYTES = 6 * 1024 * 1024
IN_FLIGHT = 256
"""Frames of a lane that may be unacknowledged (docs/local-protocol.md)."""
FRAME_S = 1.0
"""How long readings are gathered into one frame; events go at once."""
FIRST_FRAME_S = 0.05
"""The first frame of a run goes sooner: the first reading is known to everybody at once."""
GATHER_S = 0.002
"""A pause before encoding what has just happened: the output guard is driving now and needs the interpreter."""
_GAPS_LIMIT = 1000

_log = logging.getLogger(__name__)


class LaneRing:
    """One lane: frames in order of their numbers, the oldest given up when there is no room. Not thread-safe."""

    def __init__(self, lane: Lane, records: int, size: int) -> None:
        self.lane = lane
        self._records_limit = records
        self._size_limit = size
        self._frames: deque[Frame] = deque()
        self._gaps: deque[Frame] = deque()
        self._size = 0
        self._sent = 0  # frames at the left of `_frames` that the subscriber has been sent
        self._told = 0  # the last number the subscriber has been sent or told about
        self.held = 0
        self.last = 0
        self.dropped = 0

    @property
    def fill(self) -> float:
        """How full it is, 0 to 1."""
        return max(self.held / self._records_limit, self._size / self._size_limit)

    @property
    def first(self) -> int:
        """The oldest number still held; one more than `last` when none is."""
        return self._frames[0].first if self._frames else self.last + 1

    def add(self, frame: Frame) -> None:
        """Append a frame that begins behind `last`."""
        assert frame.body is not None
        self._frames.append(frame)
        self.held += frame.count
        self._size += len(frame.body)
        self.last = frame.last
        while len(self._frames) > 1 and (self.held > self._records_limit or self._size > self._size_limit):
            self._give_up_oldest()

    def restart(self, have: int) -> None:
        """A subscriber begins that has everything up to `have`."""
        self._sent = 0
        self._told = have
        self.acknowledge(have)

    def acknowledge(self, upto: int) -> None:
        """Forget what the recorder has stored. A number that was never given forgets everything held."""
        while self._frames and self._frames[0].last <= upto:
            self._drop_oldest()
        while self._gaps and self._gaps[0].last <= upto:
            self._gaps.popleft()

    def take(self) -> Frame | None:
        """The next frame or gap for the subscriber; None when it has everything or has not acknowledged enough."""
        for gap in self._gaps:
            if gap.last > self._told:
                first = max(gap.first, self._told + 1)
                self._told = gap.last
                return Frame(gap.lane, gap.kind, first, gap.last - first + 1)
        if self._sent >= min(IN_FLIGHT, len(self._frames)):
            return None
        frame = self._frames[self._sent]
        self._sent += 1
        self._told = frame.last
        return frame

    def _drop_oldest(self) -> Frame:
        frame = self._frames.popleft()
        self.held -= frame.count
        self._size -= len(frame.body or b"")
        self._sent = max(0, self._sent - 1)
        return frame

    def _give_up_oldest(self) -> None:
        """The oldest frame becomes part of a gap."""
        frame = self._drop_oldest()
        if not self.dropped:
            _log.warning("the ring of %s is full: the oldest records are lost until the recorder is back", self.lane)
        self.dropped += frame.count
        before = self._gaps[-1] if self._gaps else None
        if before and (before.kind == frame.kind or len(self._gaps) >= _GAPS_LIMIT) and before.last + 1 == frame.first:
            self._gaps[-1] = Frame(self.lane, before.kind, before.first, before.count + frame.count)
        else:
            self._gaps.append(Frame(self.lane, frame.kind, frame.first, frame.count))


class Ring:
    """Takes what the loop hands over, numbers and encodes it in a thread of its own, and serves one subscriber.

    `add` is for any thread and never waits, not even for a lock. `wake` tells the server that frames are ready.
    run: 16 hex digits, new for each life of control.
    """

    def __init__(
        self,
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
        remember: Callable[[Sequence[Event]], None] = lambda _events: None,
        telemetry_records: int = TELEMETRY_RECORDS,
    ) -> None:
        self.run = secrets.token_hex(8)
        self.wake = wake
        self._clock = clock
        self._remember = remember
        self._lanes: dict[str, LaneRing] = {
            "telemetry": LaneRing("telemetry", telemetry_records, TELEMETRY_BYTES),
            "events": LaneRing("events", EVENT_RECORDS, EVENT_BYTES),
        }
        self._inbox: deque[tuple[Sequence[Reading], Sequence[Event]]] = deque()
        self._readings: list[Reading] = []
        self._writer = RowWriter()
        self._waiting = 0
        self._lock = threading.Lock()
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ring", daemon=True)

    def start(self) -> None:
        """Begin to number and encode."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def add(self, readings: Sequence[Reading], events: Sequence[Event]) -> None:
        """Hand over records; events are encoded at once, readings within a second."""
        self._inbox.append((readings, events))
        self._waiting += len(readings)
        if events or self._waiting >= ROWS_LIMIT:
            self._waiting = 0
            self._bell.put(True)

    def flush(self, timeout_s: float) -> None:
        """Encode everything now and end the thread; waits at most `timeout_s`."""
        self._bell.put(False)
        self._thread.join(timeout_s)

    def subscribe(self, run: str, have: dict[str, int]) -> None:
        """A subscriber begins: behind `have` when it knows this run, else at the oldest record held."""
        with self._lock:
            for name, lane in self._lanes.items():
                lane.restart(have.get(name, 0) if run == self.run else 0)

    def acknowledge(self, lane: str, upto: int) -> None:
        """The recorder has committed everything up to `upto`. Raises ValueError for what was never sent."""
        with self._lock:
            if lane not in self._lanes or not 0 <= upto <= self._lanes[lane].last:
                raise ValueError(f"an acknowledgement of {lane!r} up to {upto}: there is no such record in this run")
            self._lanes[lane].acknowledge(upto)

    def take(self) -> Iterator[Frame]:
        """Frames and gaps to send now, events first. Stop iterating when the subscriber has no more room."""
        for name in ("events", "telemetry"):
            while True:
                with self._lock:
                    frame = self._lanes[name].take()
                if frame is None:
                    break
                yield frame

    def counts(self) -> dict[str, dict[str, int]]:
        """lane → held, first, last, dropped."""
        with self._lock:
            return {
                name: {"held": lane.held, "first": lane.first, "last": lane.last, "dropped": lane.dropped}
                for name, lane in self._lanes.items()
            }

    @property
    def fill(self) -> float:
        """How full the fuller lane is, 0 to 1."""
        with self._lock:
            return max(lane.fill for lane in self._lanes.values())

    @property
    def empty(self) -> bool:
        """Whether everything encoded so far has been acknowledged."""
        with self._lock:
            return not any(lane.held for lane in self._lanes.values())

    def _run(self) -> None:
        going, due_ns = True, 0
        while going:
            try:
                going = self._bell.get(timeout=self._rest_s(due_ns))
                time.sleep(GATHER_S)
            except Empty:
                going = True
            try:
                due_ns = self.encode(self._clock.now_ns(), due_ns, everything=not going)
            except Exception:
                _log.exception("records could not be encoded: they are lost")
                self._readings.clear()

    def _rest_s(self, due_ns: int) -> float:
        if not due_ns:
            return FIRST_FRAME_S
        return max(0.0, (due_ns - self._clock.now_ns()) / 1e9)

    def encode(self, now_ns: int, due_ns: int, *, everything: bool = False) -> int:
        """Number and encode the inbox; telemetry that fills no frame waits until `due_ns`. Returns the next one."""
        events: list[Event] = []
        while self._inbox:
            readings, more = self._inbox.popleft()
            self._readings.extend(readings)
            events.extend(more)
        due = everything or now_ns >= due_ns
        frames = list(self._event_frames(events, now_ns))
        while len(self._readings) >= ROWS_LIMIT or (due and self._readings):
            frames.append(self._telemetry_frame(self._readings[:ROWS_LIMIT], now_ns))
            del self._readings[:ROWS_LIMIT]
            due_ns = now_ns + round(FRAME_S * 1e9)
        if frames:
            self.wake()
        if events:
            self._remember(events)
        if due and due_ns:
            due_ns = now_ns + round(FRAME_S * 1e9)
        return due_ns

    def _telemetry_frame(self, readings: list[Reading], now_ns: int) -> Frame:
        readings.sort(key=lambda reading: reading.time_ns)  # stable: a point's own order stays
        mono_ms = readings[0].time_ns // 1_000_000
        body = self._writer.telemetry(readings, mono_ms)
        return self._put(Frame("telemetry", TELEMETRY, 0, len(readings), mono_ms, body=body), now_ns)

    def _event_frames(self, events: list[Event], now_ns: int) -> Iterator[Frame]:
        for kind, some in groupby(events, key=lambda event: event.kind):
            rows = sorted(some, key=lambda event: event.time_ns)
            for start in range(0, len(rows), ROWS_LIMIT):
                part = rows[start : start + ROWS_LIMIT]
                mono_ms = part[0].time_ns // 1_000_000
                frame = Frame("events", kind.value, 0, len(part), mono_ms, body=event_rows(part, mono_ms))
                yield self._put(frame, now_ns)

    def _put(self, frame: Frame, now_ns: int) -> Frame:
        """Number it, label it with the wall clock, and let it in."""
        wall = self._clock.wall()
        ts_ms = wall.ms - (now_ns // 1_000_000 - frame.mono_ms)
        with self._lock:
            lane = self._lanes[frame.lane]
            frame = replace(frame, first=lane.last + 1, ts_ms=ts_ms, trusted=wall.trusted)
            lane.add(frame)
        return frame
