"""Which message goes next: lanes with shares of one window; what each answer of the broker means. No I/O of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gateway.core.record import Batch, Lane, Outcome, RecordClass, Stored
from gateway.uplink.source import Source

WINDOW = 100
"""Our own limit of unacknowledged messages; the broker's Receive Maximum may lower it (mosquitto: 20)."""
FLIGHT_BYTES = 4 * 1024 * 1024
ISLANDS_LIMIT = 32
"""Separate delivered stretches; beyond that live waits, so that the ledger in each commit stays small."""
_PAUSE_S = (1.0, 30.0)
_ASIDE_S = 30.0
_TOPIC_CODES = frozenset({0x10, 0x87, 0x97})
"""No subscriber, not authorised, quota exceeded: about the topic, whatever the message. The oldest is tried again."""

_EVENTS = (RecordClass.ALARM, RecordClass.AUDIT, RecordClass.OUTPUT, RecordClass.SYSTEM, RecordClass.DEVICE)


class Verdict(Enum):
    """What a PUBACK's reason code means for us."""

    TAKEN = "taken"
    LATER = "later"  # not now: the topic pauses and tries again
    NEVER = "never"  # this very message can't be taken


def judge(code: int) -> Verdict:
    """The verdict of an MQTT 5 PUBACK reason code (MQTT 5.0, table 3-4).

    0x10, no matching subscribers, stored nothing. 0x99 (payload format invalid) is about the message for ever;
    0x87 (not authorised) and the rest are faults of the broker's set-up, which someone may mend: nothing is lost.
    """
    if code == 0x00:
        return Verdict.TAKEN
    return Verdict.NEVER if code == 0x99 else Verdict.LATER


@dataclass(slots=True)
class Gate:
    """One topic's readiness: unproven until its first acknowledgement, paused after a refusal."""

    proven: bool = False
    until_s: float = 0.0
    pause_s: float = _PAUSE_S[0]
    refused: int = 0  # the last reason code that was a refusal, 0 for none

    def refuse(self, code: int, now_s: float) -> None:
        """Pause, twice as long each time."""
        if self.proven or now_s >= self.until_s:
            self.until_s = now_s + self.pause_s
            self.pause_s = min(self.pause_s * 2, _PAUSE_S[1])
        self.proven, self.refused = False, code

    def take(self) -> None:
        """The broker took one: open."""
        self.proven, self.pause_s, self.refused, self.until_s = True, _PAUSE_S[0], 0, 0.0


@dataclass(frozen=True, slots=True)
class Flight:
    """A message that waits for its PUBACK."""

    stored: Stored
    topic: str  # "live", "backlog" or a class of events
    sent_s: float


class Sender:
    """One connection's sending. events > live > backlog; a lower lane leaves the upper ones a share of the window.

    seen: called with every live batch, sent as such or not.
    """

    def __init__(
        self, source: Source, receive_maximum: int, now_s: float, seen: Callable[[Batch], None] = lambda _: None
    ) -> None:
        self._source = source
        self._seen = seen
        self._window = max(1, min(WINDOW, receive_maximum))
        share = self._window // 5
        self._room = {"events": self._window, "live": self._window - share, "backlog": self._window - 2 * share}
        self._gates = {name: Gate() for name in ("live", "backlog", *(kind.value for kind in _EVENTS))}
        self._flights: dict[int, Flight] = {}
        self._flight_bytes = 0
        self._taken = {lane: source.settled(lane) for lane in Lane}
        self._generation = {lane: source.generation(lane) for lane in Lane}
        self._fetched: dict[Lane, list[Stored]] = {lane: [] for lane in Lane}
        self._hungry = dict.fromkeys(Lane, True)
        self._aside: list[tuple[float, Stored]] = []
        self._now_s = now_s
        source.go_live(True)

    @property
    def in_flight(self) -> int:
        """Messages that wait for their PUBACK."""
        return len(self._flights)

    @property
    def refusals(self) -> dict[str, int]:
        """Topics that are paused and the reason code that did it."""
        return {name: gate.refused for name, gate in self._gates.items() if gate.refused}

    def oldest_s(self) -> float:
        """When the oldest unacknowledged message was sent; infinity for none."""
        return next((flight.sent_s for flight in self._flights.values()), float("inf"))

    def stir(self) -> None:
        """Something may have been committed, or a pause may be over: look again."""
        self._hungry = dict.fromkeys(Lane, True)
        while self._aside and self._aside[0][0] <= self._now_s:
            self._give_back(self._aside.pop(0)[1])

    def has_room(self, others: int) -> bool:
        """Whether a message that is not stored may go, beside `others` such messages in flight."""
        return len(self._flights) + others < self._window

    def next(self, now_s: float, others: int = 0) -> tuple[Stored, str] | None:
        """The next batch to publish and its topic ("live", "backlog", or the class of events); None to wait.

        others: messages in flight that are not ours; they fill the same window.
        """
        self._now_s = now_s
        self._follow_files()
        flying = len(self._flights) + others
        if self._flight_bytes > FLIGHT_BYTES:
            return None
        if flying < self._room["events"] and (found := self._next_event()) is not None:
            return found, found.batch.kind.value
        if flying < self._room["live"] and (found := self._next_live()) is not None:
            return found, "live"
        if flying < self._room["backlog"] and (found := self._next_backlog()) is not None:
            return found, "backlog"
        return None

    def sent(self, mid: int, stored: Stored, topic: str, now_s: float) -> None:
        """It was published under this packet id."""
        self._flights[mid] = Flight(stored, topic, now_s)
        self._flight_bytes += len(stored.batch.body)
        self._taken[stored.batch.lane].add(stored.row)

    def acknowledged(self, mid: int, code: int, now_s: float) -> bool:
        """The broker's answer; False when it is to none of ours."""
        flight = self._flights.pop(mid, None)
        if flight is None:
            return False
        self._flight_bytes -= len(flight.stored.batch.body)
        verdict, gate = judge(code), self._gates[flight.topic]
        if verdict is Verdict.LATER:
            gate.refuse(code, now_s)
            if code in _TOPIC_CODES:
                self._give_back(flight.stored)
            else:  # perhaps it is this message: let another one try first
                self._aside.append((now_s + _ASIDE_S, flight.stored))
            return True
        if not gate.proven:
            self._hungry[flight.stored.batch.lane] = True
        gate.take()
        self._source.settle(flight.stored, Outcome.DELIVERED if verdict is Verdict.TAKEN else Outcome.REJECTED)
        return True

    def reject(self, stored: Stored) -> None:
        """It can never be published, e.g. because the broker takes no message of its size."""
        self._taken[stored.batch.lane].add(stored.row)
        self._source.settle(stored, Outcome.REJECTED)

    def _next_event(self) -> Stored | None:
        ready = [kind for kind in _EVENTS if self._is_ready(kind.value)]
        queue = self._fetched[Lane.EVENTS]
        while queue or self._fetch(Lane.EVENTS, ready):
            stored = queue.pop(0)
            if stored.row in self._taken[Lane.EVENTS]:
                continue
            if stored.batch.kind in ready:
                return stored
            queue.clear()  # its topic has paused since: fetch anew, without its class
            self._hungry[Lane.EVENTS] = True
        return None

    def _next_live(self) -> Stored | None:
        if not self._is_ready("live"):
            if self._gates["live"].refused:
                self._pass_live_on()
            return None
        if len(self._taken[Lane.TELEMETRY]) > ISLANDS_LIMIT:
            self._pass_live_on()
            return None
        while (stored := self._source.live()) is not None:
            self._seen(stored.batch)
            if stored.row not in self._taken[Lane.TELEMETRY]:
                return stored
        return None

    def _pass_live_on(self) -> None:
        """What waits here is stored too: let the backlog have it."""
        while (stored := self._source.live()) is not None:
            self._seen(stored.batch)
            self._hungry[Lane.TELEMETRY] = True

    def _next_backlog(self) -> Stored | None:
        if not self._is_ready("backlog"):
            return None
        queue, taken = self._fetched[Lane.TELEMETRY], self._taken[Lane.TELEMETRY]
        while queue or self._fetch(Lane.TELEMETRY, [RecordClass.TELEMETRY]):
            stored = queue.pop(0)
            if stored.row not in taken:
                return stored
        return None

    def _is_ready(self, topic: str) -> bool:
        """Whether this topic may send: proven, or its one probe is due and not under way."""
        gate = self._gates[topic]
        if gate.proven:
            return True
        probing = any(flight.topic == topic for flight in self._flights.values())
        return not probing and self._now_s >= gate.until_s

    def _fetch(self, lane: Lane, kinds: list[RecordClass]) -> bool:
        """Read the next stored batches of a lane; False when there are none, until `stir`."""
        if not self._hungry[lane] or not kinds:
            return False
        before = self._source.live_floor() if lane is Lane.TELEMETRY else 1 << 62
        start = self._taken[lane].first_free(1)
        taken = self._taken[lane]
        found = self._source.pending(lane, start, before, kinds)
        while found and all(stored.row in taken for stored in found):  # all in flight, or delivered out of order
            start = taken.first_free(found[-1].row + 1)
            found = self._source.pending(lane, start, before, kinds)
        self._fetched[lane].extend(found)
        self._hungry[lane] = bool(found)
        return bool(found)

    def _give_back(self, stored: Stored) -> None:
        lane = stored.batch.lane
        if stored.epoch == self._generation[lane]:
            self._taken[lane].remove(stored.row)
        self._fetched[lane].clear()  # the oldest goes first again
        self._hungry[lane] = True

    def _follow_files(self) -> None:
        """A replaced file numbers its rows anew: begin with its books."""
        for lane in Lane:
            generation = self._source.generation(lane)
            if generation != self._generation[lane]:
                self._generation[lane] = generation
                self._taken[lane] = self._source.settled(lane)
                self._fetched[lane].clear()
                self._hungry[lane] = True
