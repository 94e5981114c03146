"""Polling one bus in a thread of its own: each device at its own rate, a deadline per read, one outcome per poll.

Used by control and by field. What an outcome means (a Reading, a sample row) is decided by whoever gets it. What has
happened at a device is an event at once, also when the read that brought it came too late to be an outcome.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.core.driver import Driver
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected
from gateway.core.event import Event, EventClass
from gateway.core.quality import Reason
from gateway.core.reading import Occurrence, Sample
from gateway.local.letters import is_sendable
from gateway.local.schedule import Breaker, Schedule

CHECK_S = 0.05
"""How often the overseer looks: a missed deadline is known this much later at most."""
REOPEN_NS = 10_000_000_000
"""A bus on which nothing has answered for this long is closed and opened afresh."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one poll of one device gave: samples, or None and why.

    time_ns: when the read began (a value is at least that fresh), when a device that is waited for spoke, or when the
    poll failed; CLOCK_BOOTTIME.
    """

    device: str
    time_ns: int
    samples: tuple[Sample, ...] | None
    reason: Reason = Reason.GOOD
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PolledDevice:
    """A device as its worker needs it. open: opens the bus too when that is needed; may block, raises OSError."""

    name: str
    every_ns: int
    deadline_ns: int
    open: Callable[[], Driver]


@dataclass(slots=True)
class _Poll:
    """A read under way. Whoever sets `closed` first, under the worker's lock, gives the poll its outcome."""

    device: PolledDevice
    begin_ns: int
    closed: bool = False

    @property
    def deadline_ns(self) -> int:
        return self.begin_ns + self.device.deadline_ns


@dataclass(slots=True)
class _State:
    """What the worker remembers of a device. driver: None until opened, and again after a failure."""

    breaker: Breaker
    driver: Driver | None = None
    reason: Reason = Reason.BAD_WAITING_FOR_INITIAL_DATA
    detail: str = ""


class BusWorker:
    """Polls the devices of one bus; `sink` gets every outcome, in order per device, and must only enqueue.

    sink runs in the worker's or the overseer's thread. reopen: closes the bus so that the next `open` starts afresh.
    happened: gets every occurrence as an event, once, in the worker's thread, and must only enqueue.
    ended: called in the worker's thread when it ends. spread: see Schedule.
    """

    def __init__(
        self,
        bus: str,
        devices: Sequence[PolledDevice],
        sink: Callable[[Outcome], None],
        clock: Clock,
        reopen: Callable[[], None] = lambda: None,
        *,
        happened: Callable[[Event], None] = lambda _event: None,
        ended: Callable[[], None] = lambda: None,
        spread: bool = True,
    ) -> None:
        self.bus = bus
        self._devices = {device.name: device for device in devices}
        self._states = {device.name: _State(Breaker(device.every_ns)) for device in devices}
        self._sink = sink
        self._clock = clock
        self._reopen = reopen
        self._happened = happened
        self._ended = ended
        self._schedule = Schedule({device.name: device.every_ns for device in devices}, clock.now_ns(), spread=spread)
        self._answered_ns = clock.now_ns()
        self._lock = threading.Lock()
        self._poll: _Poll | None = None
        self._stop = threading.Event()
        self._thread = self._new_thread()

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self, timeout_s: float = 0.0) -> bool:
        """Take no new poll; waits at most `timeout_s` for the one under way. True when the thread has ended."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def hanging(self) -> bool:
        """Whether a read is past its deadline: the bus serves nobody."""
        with self._lock:
            return self._poll is not None and self._poll.closed

    @property
    def dead(self) -> bool:
        """Whether a read hangs, or each device of the bus failed when it was last asked."""
        return self.hanging or all(state.breaker.failures for state in self._states.values())

    def alive(self) -> bool:
        """Whether the thread exists; one that has ended is replaced by the next `check`."""
        return self._thread.is_alive()

    def check(self, now_ns: int) -> None:
        """For the overseer: close what is past its deadline, speak for the devices behind it, replace a dead thread."""
        if not self._stop.is_set() and not self._thread.is_alive():
            _log.error("the worker of bus %s had ended: it is started again", self.bus)
            self._close_orphan(now_ns)
            self._thread = self._new_thread()
            self._thread.start()
        with self._lock:
            if self._poll is not None and now_ns >= self._poll.deadline_ns:
                self._speak_for_the_blocked(self._poll, now_ns)

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name=f"bus-{self.bus}", daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            now_ns = self._clock.now_ns()
            wait_ns = self._schedule.next_ns - now_ns
            if wait_ns > 0:
                self._stop.wait(wait_ns / 1e9)
            else:
                self.serve(now_ns)
        for state in self._states.values():  # whoever polls this bus next needs what they hold
            self._forget_driver(state)
        self._ended()

    def serve(self, now_ns: int) -> None:
        """Poll the device whose turn it is, if any. Blocks as long as its driver does."""
        with self._lock:
            poll = self._begin(now_ns)
        if poll is None:
            return
        outcome, error = self._read(poll)
        with self._lock:
            self._close(poll, outcome, error)
            self._poll = None
        if outcome.samples is None:
            self._perhaps_reopen(outcome.time_ns)

    def _begin(self, now_ns: int) -> _Poll | None:
        """The poll to make now. A resting device gets its outcome at once, without a touch of the bus."""
        name = self._schedule.take(now_ns)
        if name is None:
            return None
        state = self._states[name]
        if state.breaker.resting(now_ns):
            self._sink(Outcome(name, now_ns, None, state.reason, state.detail))
            return None
        self._poll = _Poll(self._devices[name], now_ns)
        return self._poll

    def _read(self, poll: _Poll) -> tuple[Outcome, Exception | None]:
        """Ask the device; whatever happens becomes an outcome, and the exception if it was none of the expected."""
        name, state = poll.device.name, self._states[poll.device.name]
        try:
            if state.driver is None:
                state.driver = poll.device.open()
            begin_ns = self._clock.now_ns()
            samples = self._samples(name, state.driver.read())
            return Outcome(name, max((each.time_ns for each in samples), default=0) or begin_ns, samples), None
        except DeviceError as error:
            reason, detail, unexpected = error.reason, str(error), None
            if state.breaker.failures == 0 and not isinstance(error, NotConnected):
                # One disturbed answer: what the driver has learnt (a gas sensor's baseline takes hours) is still true.
                return Outcome(name, self._clock.now_ns(), None, reason, detail), None
        except OSError as error:
            reason, detail, unexpected = Reason.BAD_COMMUNICATION_ERROR, f"{name}: {error}", None
        except Exception as error:
            reason, detail, unexpected = Reason.BAD_INTERNAL_ERROR, f"{type(error).__name__}: {error}", error
        self._forget_driver(state)
        return Outcome(name, self._clock.now_ns(), None, reason, detail), unexpected

    def _samples(self, name: str, seen: Sequence[Sample | Occurrence]) -> tuple[Sample, ...]:
        """What was measured; what happened goes its own way, whether or not anybody still waits for this poll."""
        for each in seen:
            if isinstance(each, Occurrence):
                self._tell(Event(EventClass.DEVICE, name, each.what, self._clock.now_ns(), dict(each.data)))
        return tuple(each for each in seen if isinstance(each, Sample))

    def _tell(self, event: Event) -> None:
        """Hand an event on, but none that can't be written: it would take those beside it with it."""
        if is_sendable(event):
            self._happened(event)
        else:
            words = "%s: its occurrence %.40r holds what no record can: report this as a fault of its driver"
            _log.error(words, event.subject, event.what)

    def _forget_driver(self, state: _State) -> None:
        """The part may have lost its settings or been exchanged: open it again next time."""
        close = getattr(state.driver, "close", None)
        state.driver = None
        if close is not None:
            try:
                close()
            except OSError as error:
                _log.debug("closing after a failure on bus %s: %s", self.bus, error)

    def _close(self, poll: _Poll, outcome: Outcome, error: Exception | None = None) -> None:
        """Give the poll its one outcome, unless it has one already. Under the lock.

        A read that fails while the worker stops was broken off by us: no failure of the device.
        """
        if poll.closed or (outcome.samples is None and self._stop.is_set()):
            return
        poll.closed = True
        self._note(outcome, error)
        self._sink(outcome)

    def _note(self, outcome: Outcome, error: Exception | None) -> None:
        """Count, remember why, and log once on loss and once on return."""
        state = self._states[outcome.device]
        if outcome.samples is not None:
            if state.breaker.failures:
                _log.info("%s on bus %s answers again", outcome.device, self.bus)
            state.breaker.succeeded()
            self._answered_ns = outcome.time_ns
            return
        if not state.breaker.failures:
            _log.warning("%s on bus %s is lost: %s", outcome.device, self.bus, outcome.detail, exc_info=error)
        state.breaker.failed(outcome.time_ns)
        state.reason, state.detail = outcome.reason, outcome.detail

    def _speak_for_the_blocked(self, poll: _Poll, now_ns: int) -> None:
        """The read hangs: it and every poll that falls due behind it get their outcome here. Under the lock."""
        hanging = poll.device.name
        limit_s = poll.device.deadline_ns / 1e9
        timeout = DeviceTimeout(f"{hanging} has not answered within {limit_s:g} s: check its wires and its supply")
        self._close(poll, Outcome(hanging, now_ns, None, timeout.reason, str(timeout)))
        while (name := self._schedule.take(now_ns)) is not None:
            if name == hanging:
                self._sink(Outcome(name, now_ns, None, timeout.reason, str(timeout)))
            else:
                detail = f"bus {self.bus} is blocked by {hanging}, which does not answer: check {hanging}"
                self._sink(Outcome(name, now_ns, None, Reason.BAD_NO_COMMUNICATION, detail))

    def _close_orphan(self, now_ns: int) -> None:
        """The poll that a dead thread left open still gets its outcome."""
        with self._lock:
            if self._poll is not None:
                detail = f"the worker of bus {self.bus} ended in the middle of a read: see the log"
                self._close(
                    self._poll, Outcome(self._poll.device.name, now_ns, None, Reason.BAD_INTERNAL_ERROR, detail)
                )
                self._states[self._poll.device.name].driver = None
                self._poll = None

    def _perhaps_reopen(self, now_ns: int) -> None:
        if now_ns - self._answered_ns < REOPEN_NS or not self.dead:
            return
        self._answered_ns = now_ns
        for state in self._states.values():
            self._forget_driver(state)
        try:
            self._reopen()
        except OSError as error:
            _log.debug("closing bus %s: %s", self.bus, error)


class Overseer:
    """One thread that runs short checks 20 times a second; a check that raises is logged and hinders no other."""

    def __init__(self, clock: Clock, checks: Sequence[Callable[[int], None]]) -> None:
        self._clock = clock
        self._checks = list(checks)
        self._broken: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="overseer", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits at most 1 s."""
        self._stop.set()
        self._thread.join(1.0)

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.wait(CHECK_S):
            self.look(self._clock.now_ns())

    def look(self, now_ns: int) -> None:
        """Run every check once."""
        for number, check in enumerate(self._checks):
            try:
                check(now_ns)
                self._broken.discard(number)
            except Exception:
                if number not in self._broken:
                    _log.exception("a check failed")
                self._broken.add(number)
