"""The one thread that writes: gathers, commits in groups, acknowledges what is durable, and never gives up."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.core.record import Batch, Gap, Lane, RecordClass
from gateway.recorder.intake import GROUP_BYTES, Intake
from gateway.recorder.outgoing import Outgoing
from gateway.recorder.store import Store, StoreFailed, has_room

BULK_FRAMES = 128
OUTCOMES_WAIT_S = 5.0
"""How long the outcome of an event may wait for the next event's commit to ride in."""
STALLED_S = 3.0
_RETRY_S = (0.5, 5.0)
_CHORES_S = 1.0
_IDLE_S = 0.5
_log = logging.getLogger(__name__)

Acknowledge = Callable[[Lane, str, int], None]


@dataclass(slots=True)
class _LaneState:
    """When a lane is due, and how it fares."""

    committed_s: float = float("-inf")
    outcomes_since_s: float | None = None
    retry_at_s: float = 0.0
    retry_s: float = _RETRY_S[0]
    problem: str = "not opened yet"


class Keeper:
    """Keeps what the intake holds. Telemetry every `commit_s`, its first batch and events at once.

    acknowledge: called after the commit, in the keeper's thread, with the last durable number of a run.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        outgoing: Outgoing,
        *,
        clock: Clock,
        acknowledge: Acknowledge,
        commit_s: float,
    ) -> None:
        self._store = store
        self._intake = intake
        self._outgoing = outgoing
        self._clock = clock
        self._acknowledge = acknowledge
        self.commit_s = commit_s
        self._lanes = {lane: _LaneState() for lane in Lane}
        self._busy_since_s: float | None = None
        self._chores_s = 0.0
        self._warmed = False
        self.disk_ok = True  # looked at once a second; the reserve and the reused WAL carry on for a while below that
        self._stopping = False
        self.opened = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Open the store and begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Commit what waits, close the files and end; waits at most `timeout_s` for the disk."""
        self._stopping = True
        self._intake.wake()
        self._thread.join(timeout_s)

    def alive(self) -> bool:
        """Whether the thread runs. A stalled disk is no death: `ok` tells that."""
        return self._thread.is_alive()

    @property
    def ok(self) -> bool:
        """Whether both lanes can be kept now: files usable, and no write hangs."""
        busy_s = self._busy_since_s
        stalled = busy_s is not None and time.monotonic() - busy_s > STALLED_S
        return not stalled and not any(state.problem for state in self._lanes.values())

    @property
    def known(self) -> bool:
        """Whether `ok` means something: the store has been tried. Starting is no failure."""
        busy_s = self._busy_since_s
        return self.opened.is_set() or (busy_s is not None and time.monotonic() - busy_s > STALLED_S)

    @property
    def problem(self) -> str:
        """What is wrong, "" when nothing is."""
        problems = [state.problem for state in self._lanes.values() if state.problem]
        if not problems and not self.ok:
            return f"the disk of {self._store.directory} hangs"
        return "; ".join(problems)

    def have(self, run: str) -> dict[str, int]:
        """The last number stored of this run per lane, 0 for none."""
        return {lane.value: self._store.outboxes[lane].ledger.have.get(run, 0) for lane in Lane}

    def _run(self) -> None:
        self._guarded(self._open)
        self.opened.set()
        while not self._stopping:
            self._intake.wait(self._rest_s(time.monotonic()))
            self._guarded(self._turn)
        self._guarded(self._finish)
        self._store.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        self._busy_since_s = time.monotonic()
        try:
            work()
        except Exception:
            _log.exception("the keeper stumbled and goes on")
            time.sleep(_RETRY_S[0])  # a fault that stays must not become a busy loop
        finally:
            self._busy_since_s = None

    def _open(self) -> None:
        self._store.open()
        for lane, outbox in self._store.outboxes.items():
            if outbox.is_open:
                self._lanes[lane].problem = ""
                self._outgoing.opened(outbox.ledger)

    def _finish(self) -> None:
        """Commit what waits, in as many groups as it takes, unless the disk refuses."""
        self._turn(everything=True)
        while self.ok and any(self._intake.size(lane)[0] for lane in Lane):
            self._turn(everything=True)

    def _turn(self, everything: bool = False) -> None:
        for lane in (Lane.EVENTS, Lane.TELEMETRY):  # events first: they are few and urgent
            now_s = time.monotonic()
            if everything or self._due_s(lane, now_s) <= now_s:
                self._commit(lane, now_s)
        if everything or time.monotonic() >= self._chores_s:
            self._chores_s = time.monotonic() + _CHORES_S
            self._chores()

    def _rest_s(self, now_s: float) -> float:
        due_s = min(self._due_s(lane, now_s) for lane in Lane)
        return max(0.0, min(_IDLE_S, due_s - now_s))

    def _due_s(self, lane: Lane, now_s: float) -> float:
        """When this lane's next commit must begin; far in the future when nothing waits."""
        state = self._lanes[lane]
        frames, size = self._intake.size(lane)
        due_s = float("inf")
        if frames:
            gather_s = self.commit_s if lane is Lane.TELEMETRY and frames < BULK_FRAMES and size < GROUP_BYTES else 0.0
            due_s = state.committed_s + gather_s
        if self._outgoing.has_unbooked(lane):
            state.outcomes_since_s = state.outcomes_since_s or now_s
            wait_s = self.commit_s if lane is Lane.TELEMETRY else OUTCOMES_WAIT_S
            due_s = min(due_s, state.outcomes_since_s + wait_s)
        return max(due_s, state.retry_at_s) if state.problem else due_s

    def _commit(self, lane: Lane, now_s: float) -> None:
        arrivals, outcomes = self._intake.waiting(lane), self._outgoing.unbooked(lane)
        if not arrivals and not outcomes:
            return
        state = self._lanes[lane]
        try:
            stored = self._store.keep(lane, arrivals, outcomes)
        except StoreFailed as error:
            self._failed(state, str(error), now_s)
            return
        self._worked(state, lane)
        state.committed_s, state.outcomes_since_s = now_s, None
        self._intake.kept(lane, arrivals)
        self._outgoing.opened(self._store.outboxes[lane].ledger)  # when the file had to be replaced
        self._outgoing.booked(lane, outcomes)
        self._outgoing.committed(self._store.outboxes[lane].ledger, stored)
        for run in dict.fromkeys(arrival.run for arrival in arrivals):
            last = max(arrival.first + arrival.count - 1 for arrival in arrivals if arrival.run == run)
            self._acknowledge(lane, run, last)

    def _failed(self, state: _LaneState, problem: str, now_s: float) -> None:
        if not state.problem:
            _log.error("%s", problem)
            state.retry_s = _RETRY_S[0]
        state.problem = problem
        state.retry_at_s = now_s + state.retry_s
        state.retry_s = min(state.retry_s * 2, _RETRY_S[1])

    def _worked(self, state: _LaneState, lane: Lane) -> None:
        if state.problem:
            _log.warning("%s can be written again", self._store.outboxes[lane].path)
        state.problem, state.retry_s = "", _RETRY_S[0]

    # -- chores: once a second ----------------------------------------------------------------------------------------

    def _chores(self) -> None:
        for lane, state in self._lanes.items():
            self._look_after(lane, state)
        self.disk_ok = has_room(self._store.directory)
        if self.ok or self._stopping:
            self._tell()
        if self._store.ballast.restore() and self._warmed:
            _log.info("the ballast in %s is there again", self._store.directory)
        if not self._warmed and self.ok and self._lanes[Lane.TELEMETRY].committed_s > 0:
            self._warmed = True  # after the first commit: nothing may delay that
            self._store.warm()

    def _look_after(self, lane: Lane, state: _LaneState) -> None:
        """Notice a file that was moved away, and try a broken one again although nothing waits for it."""
        now_s = time.monotonic()
        if self._intake.size(lane)[0] or (state.problem and now_s < state.retry_at_s):
            return
        try:
            self._outgoing.opened(self._store.ready(lane).ledger)
        except StoreFailed as error:
            self._failed(state, str(error), now_s)
        else:
            self._worked(state, lane)

    def _tell(self) -> None:
        """Make SYSTEM events, of the recorder's own run, from lost ranges and the store's news."""
        events = self._store.outboxes[Lane.EVENTS]
        if not events.is_open:
            return
        notes = list(self._store.notes)
        facts = [("store", what, data) for what, data in notes]
        told: dict[Lane, list[int]] = {}
        for lane, outbox in self._store.outboxes.items():
            gaps = outbox.untold() if outbox.is_open else []
            told[lane] = [number for number, _ in gaps]
            facts += [("outbox", "lost", _gap_data(gap)) for _, gap in gaps]
        if not facts:
            return
        try:
            stored = self._store.keep(Lane.EVENTS, [self._own_event(facts)], (), told[Lane.EVENTS])
            self._outgoing.committed(events.ledger, stored)
            self._store.forget(notes)
            if told[Lane.TELEMETRY]:
                self._store.keep(Lane.TELEMETRY, (), (), told[Lane.TELEMETRY])
        except StoreFailed as error:
            _log.error("%d events about the store wait: %s", len(facts), error)

    def _own_event(self, facts: list[tuple[str, str, dict[str, object]]]) -> Batch:
        ledger = self._store.outboxes[Lane.EVENTS].ledger
        wall = self._clock.wall()
        rows = [{"s": subject, "w": what, "t": 0, "x": data} for subject, what, data in facts]
        return Batch(
            run=ledger.epoch,
            lane=Lane.EVENTS,
            kind=RecordClass.SYSTEM,
            first=ledger.have.get(ledger.epoch, 0) + 1,
            count=len(rows),
            boot=self._clock.boot_id,
            mono=self._clock.now_ns() // 1_000_000,
            ts=wall.ms,
            trusted=wall.trusted,
            sim=False,
            body=json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode(),
        )


def _gap_data(gap: Gap) -> dict[str, object]:
    return {
        "lane": gap.lane.value,
        "class": gap.kind.value,
        "run": gap.run,
        "first": gap.first,
        "last": gap.last,
        "count": gap.count,
        "cause": gap.cause,
    }
