"""The loop: the one thread that owns all state. It waits on one queue and on nothing else."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Protocol

from gateway.core.clock import Clock
from gateway.core.command import Command
from gateway.core.event import Event
from gateway.core.reading import Reading, Value
from gateway.local.server import Reply
from rules.engine import Decisions, Engine

DRAIN_LIMIT = 256
"""Messages taken into one step at most: a flood must not postpone decisions."""
REST_NS = 500_000_000
"""The longest the loop sleeps: it feeds the watchdog."""
_RETRY_NS = 100_000_000
SAVE_NS = 60_000_000_000
"""Running times are saved this often besides the edges that are saved at once."""

_log = logging.getLogger(__name__)


class Guard(Protocol):
    """Who drives the outputs: `OutputGuards`."""

    def refresh(self, targets: Mapping[str, Value], now_ns: int) -> None:
        """Take every output's target and renew its lease; never blocks."""
        ...


class Records(Protocol):
    """Who keeps what happened: `Ring`."""

    def add(self, readings: Sequence[Reading], events: Sequence[Event]) -> None:
        """Hand over records; never blocks."""
        ...


class Keeper(Protocol):
    """Who makes the state durable: `StateKeeper`."""

    def offer(self, state: dict[str, object]) -> None:
        """Hand over the newest state; never blocks."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A command and where its answer goes. `answer` must not block."""

    command: Command
    answer: Reply


@dataclass(frozen=True, slots=True)
class Happened:
    """News from another thread, to be recorded in order with the decisions."""

    event: Event


@dataclass(frozen=True, slots=True)
class Swap:
    """Another engine takes over between two steps. done: told whether it did; must not block.

    wanted: asked once, just before; false when whoever asked for it has given up waiting.
    """

    engine: Engine
    lease_s: float
    done: Callable[[Exception | None], None]
    wanted: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave the loop after what is queued before this."""


Message = Sequence[Reading] | Asked | Happened | Swap | Stop


class Loop:
    """Steps the engine. `put` is for any thread and for signal handlers; all else belongs to the loop's thread.

    fed: called after each sound step, at least twice a second: the watchdog. lease_s: the shortest lease.
    """

    def __init__(
        self,
        engine: Engine,
        guard: Guard,
        records: Records,
        keeper: Keeper,
        *,
        clock: Clock,
        lease_s: float,
        fed: Callable[[int], None] = lambda _now_ns: None,
    ) -> None:
        self.engine = engine
        self._queue: SimpleQueue[Message] = SimpleQueue()
        self.put: Callable[[Message], None] = self._queue.put
        self._guard = guard
        self._records = records
        self._keeper = keeper
        self._clock = clock
        self._refresh_ns = _refresh_ns(lease_s)
        self._fed = fed
        self._answers: dict[int, Reply] = {}
        self._token = 0
        self._due_ns = 0
        self._saved_ns = clock.now_ns()
        self._newest: dict[str, int] = {}
        self._running = True
        self._failing = False
        self.steps = 0
        self.slowest_ns = 0

    def run(self, look_first: Collection[str] = (), within_s: float = 0.0) -> None:
        """Step until told to stop. In the main thread, so that signals find it.

        look_first: points to be read, for at most `within_s`, before the first decision. Until then the outputs stay
        as they were claimed, safe: a siren must not sound because its sensor has not been asked yet.
        """
        self._turn_safely(self._look_first(set(look_first), within_s))
        while self._running:
            self._turn_safely(self._wait())

    def _look_first(self, missing: set[str], within_s: float) -> list[Message]:
        messages: list[Message] = []
        end_ns = self._clock.now_ns() + round(within_s * 1e9)
        while missing and (left_s := (end_ns - self._clock.now_ns()) / 1e9) > 0:
            try:
                message = self._queue.get(timeout=left_s)
            except Empty:
                break
            messages.append(message)
            if isinstance(message, Stop):
                break
            if isinstance(message, Sequence):
                missing.difference_update(reading.point for reading in message)
        return messages

    def _wait(self) -> list[Message]:
        """What has come, at most DRAIN_LIMIT messages; empty when it is only time for a step."""
        messages: list[Message] = []
        timeout_s = (self._due_ns - self._clock.now_ns()) / 1e9
        try:
            messages.append(self._queue.get(timeout=max(0.0, timeout_s)))
            while len(messages) < DRAIN_LIMIT:
                messages.append(self._queue.get_nowait())
        except Empty:
            pass  # all that waited is taken, or the time has come
        return messages

    def _turn_safely(self, messages: Sequence[Message]) -> None:
        try:
            self.turn(messages)
            self._failing = False
        except Exception as error:
            # No refresh and no watchdog: leases lapse and outputs go safe, unless a later step succeeds.
            if not self._failing:
                _log.exception("a step failed: outputs hold only until their leases end")
            self._failing = True
            self._due_ns = self._clock.now_ns() + _RETRY_NS
            self._give_up(messages, error)

    def _give_up(self, messages: Sequence[Message], error: Exception) -> None:
        """Whoever waits for an answer from a step that failed gets one."""
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer(False, f"control failed inside ({type(error).__name__}): see the log, then look what has been done")
        for message in messages:
            if isinstance(message, Swap):
                message.done(error)

    def turn(self, messages: Sequence[Message]) -> None:
        """One step with everything in `messages`, and what follows from it; outputs first."""
        begin_ns = self._clock.now_ns()
        readings, commands, events = self._sort(messages)
        decisions = self.engine.step(begin_ns, self._fresh(readings), commands)
        self._guard.refresh(decisions.drive, begin_ns)
        self._records.add(readings, (*events, *decisions.events))
        self._persist(decisions, begin_ns)
        for reply in decisions.replies:
            self._answers.pop(reply.token)(reply.ok, reply.message)
        self._plan(decisions, begin_ns)
        self._fed(begin_ns)
        for message in messages:
            if isinstance(message, Swap):
                self._swap(message)

    def _sort(self, messages: Sequence[Message]) -> tuple[list[Reading], list[Command], list[Event]]:
        points = self.engine.points
        readings: list[Reading] = []
        commands: list[Command] = []
        events: list[Event] = []
        for message in messages:
            if isinstance(message, Asked):
                self._token += 1
                self._answers[self._token] = message.answer
                commands.append(replace(message.command, token=self._token))
            elif isinstance(message, Happened):
                events.append(message.event)
            elif isinstance(message, Stop):
                self._running = False
            elif not isinstance(message, Swap):
                readings.extend([reading for reading in message if reading.point in points])
        return readings, commands, events

    def _fresh(self, readings: Sequence[Reading]) -> list[Reading]:
        """Without those that are older than what is known: a level read before an edge, a poll overtaken by another."""
        newest, fresh = self._newest, []
        for reading in readings:
            if reading.time_ns >= newest.get(reading.point, 0):
                newest[reading.point] = reading.time_ns
                fresh.append(reading)
        return fresh

    def _persist(self, decisions: Decisions, now_ns: int) -> None:
        if decisions.persist or now_ns - self._saved_ns >= SAVE_NS:
            self._saved_ns = now_ns
            self._keeper.offer(self.engine.state())

    def _plan(self, decisions: Decisions, begin_ns: int) -> None:
        due_ns = begin_ns + self._refresh_ns
        self._due_ns = due_ns if decisions.next_ns is None else min(due_ns, decisions.next_ns)
        self.steps += 1
        self.slowest_ns = max(self.slowest_ns, self._clock.now_ns() - begin_ns)

    def _swap(self, swap: Swap) -> None:
        """Let another engine take over; the old one stays when that fails."""
        if not swap.wanted():
            return
        now_ns = self._clock.now_ns()
        try:
            swap.engine.succeed(self.engine, now_ns)
        except Exception as error:
            _log.exception("the new configuration could not take over")
            swap.done(error)
            return
        self.engine = swap.engine
        self._refresh_ns = _refresh_ns(swap.lease_s)
        self._due_ns = now_ns
        self._keeper.offer(self.engine.state())
        swap.done(None)


def _refresh_ns(lease_s: float) -> int:
    """How often leases are renewed: three times within the shortest, at least twice a second."""
    return min(REST_NS, round(lease_s * 1e9 / 3))
