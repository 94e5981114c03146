"""The output guard: the only thread that touches the outputs of its bus. It drives what the loop last said, for as
long as a lease holds, and the safe level otherwise.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from types import MappingProxyType

from gateway.core.clock import Clock
from gateway.core.driver import OutputHandle
from gateway.core.event import Event, EventClass
from gateway.core.output import OutputPolicy
from gateway.core.reading import Value
from gateway.settings.model import Output

BEAT_S = 0.5
"""The longest the guard sleeps, so that its beat stays fresh."""
SILENT_NS = 2_000_000_000
"""A guard of GPIO lines without a beat for this long counts as dead: the watchdog is not fed."""
RETRY_NS = 250_000_000
"""The pause after a line that could not be claimed or driven."""
SHARE, LONGEST_RETRY_NS = 4, 5_000_000_000
"""From the second failure in a row on the pause is this many times what the try took: a dead unit leaves its bus to
others.
"""
STEADY_NS = 10_000_000_000
"""A line that failed again so soon after it was restored is told to be restored only when it has held for as long."""
CLOSE_PCT = 0.5
"""How far the read-back of a percentage may be from what was driven."""
_STUMBLE_S = 0.05
YIELD_S = 0.00005

Claim = Callable[[Output], OutputHandle]
Service = Callable[[int], int]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    """What the loop wants, and when it said so. Replaced as a whole: the latest wins, no lock is needed."""

    targets: Mapping[str, Value] = field(default_factory=dict)
    given_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the guard is to own, and until when what is new here rests."""

    outputs: tuple[Output, ...]
    rests: Mapping[str, int]


@dataclass(slots=True)
class _Line:
    """One output. driven: the level on the line, None while unknown. off_until_ns: a minimum off time that runs.

    service: what a handle that has something to do by itself wants called, at service_ns. may_be_on: it was driven on
    and has not been proven off since. told: the failure that everybody has heard of; steady_ns: when its end may be
    told.
    """

    output: Output
    handle: OutputHandle | None = None
    service: Service | None = None
    service_ns: int = 0
    driven: Value | None = None
    retry_ns: int = 0
    off_until_ns: int = 0
    lapsed: bool = False
    may_be_on: bool = False
    failing: str = ""
    told: str = ""
    steady_ns: int = 0
    restored_ns: int = -STEADY_NS


class OutputGuard:
    """Owns the outputs of one bus. `claim` claims one at its safe level; `tell` takes an Event and only enqueues.

    Every level is safe when the guard starts, when it stops, and whenever the loop has been silent for the output's
    lease. Nothing here waits for the loop, and the loop never waits for anything here. silent_ns: how long one line may
    keep the guard before it counts as hanging.
    """

    def __init__(self, claim: Claim, tell: Callable[[Event], None], clock: Clock, silent_ns: int = SILENT_NS) -> None:
        self._claim = claim
        self._tell = tell
        self._clock = clock
        self._order = _Order()
        self._lines: dict[str, _Line] = {}
        self._silent_ns = silent_ns
        self._wake: SimpleQueue[_Asked | None] = SimpleQueue()
        self._settled = threading.Event()
        self._stopping = False
        self._ended_safe = False
        self._beat_ns = clock.now_ns()
        self._driven: dict[str, Value | None] = {}
        self._thread = threading.Thread(target=self._run, name="output-guard", daemon=True)

    def start(self, outputs: Sequence[Output], timeout_s: float = 2.0) -> bool:
        """Claim every output at its safe level; False when that is not done within the time (it goes on trying)."""
        self.begin()
        self.adopt(outputs)
        return self.settled(timeout_s)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def adopt(self, outputs: Sequence[Output], rests: Mapping[str, int] | None = None) -> None:
        """Own exactly these outputs. Lines wired as before are not touched, removed ones are driven safe and closed.

        rests: until when (CLOCK_BOOTTIME ns) an output that is new here must not be energised. Returns at once.
        """
        self._settled.clear()
        self._wake.put(_Asked(tuple(outputs), rests or {}))

    def settled(self, timeout_s: float) -> bool:
        """Wait until what `adopt` asked has been done once; False when that takes longer."""
        return self._settled.wait(timeout_s)

    def rest_until_ns(self, output: Output, now_ns: int) -> int:
        """Until when an output of this guard must rest after it is released now, as its new policy says."""
        line = self._lines.get(output.name)
        return 0 if line is None else self._rest_until_ns(line, output.policy, now_ns)

    def refresh(self, targets: Mapping[str, Value], now_ns: int) -> None:
        """The loop's word on every output; renews every lease. Costs the caller 0.1 ms when a target changed."""
        if self.order(targets, now_ns):
            # Lets the guard have the interpreter before the loop goes on to wake the ring, the keeper and the server,
            # which would all stand in its way: the guard begins to drive after 0.05 ms (measured), without this 0.35.
            time.sleep(YIELD_S)

    def order(self, targets: Mapping[str, Value], now_ns: int) -> bool:
        """As `refresh` but without letting the guard go first; whether a target changed."""
        changed = targets != self._order.targets
        self._order = _Order(targets, now_ns)
        if changed:
            self._wake.put(None)
        return changed

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Drive every output safe and close the lines; False when that did not happen in time."""
        self._stopping = True
        self._wake.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and self._ended_safe

    def alive(self) -> bool:
        """Whether the thread runs and does not hang in a line."""
        return self._thread.is_alive() and self._clock.now_ns() - self._beat_ns < self._silent_ns

    @property
    def ok(self) -> bool:
        """Whether every line has the level it is to have."""
        return self.alive() and None not in self._driven.values()

    @property
    def driven(self) -> Mapping[str, Value | None]:
        """The level last put on each line; None when it could not be. A new mapping after each change."""
        return self._driven

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._take(self._rest_s())
                self.enforce(self._clock.now_ns())
            except Exception:
                _log.exception("the output guard stumbled and goes on")
                time.sleep(_STUMBLE_S)
            self._beat_ns = self._clock.now_ns()
        self._ended_safe = all([self._release(line) for line in self._lines.values()])

    def _take(self, rest_s: float) -> None:
        """Sleep until something is asked or `rest_s` has passed."""
        try:
            asked = self._wake.get(timeout=rest_s)
        except Empty:
            return
        if asked is not None:
            self._adopt(asked.outputs, asked.rests)

    def _rest_s(self) -> float:
        """Until the next lease runs out, a failed line may be tried again or a handle wants to be called."""
        now_ns = self._clock.now_ns()
        due_ns = now_ns + round(BEAT_S * 1e9)
        for line in self._lines.values():
            if line.failing:
                due_ns = min(due_ns, line.retry_ns)
                continue
            if line.service is not None:
                due_ns = min(due_ns, line.service_ns)
            if not line.lapsed:
                due_ns = min(due_ns, self._lease_end_ns(line))
        return max(0.0, (due_ns - now_ns) / 1e9)

    def _adopt(self, outputs: Sequence[Output], rests: Mapping[str, int] = MappingProxyType({})) -> None:
        now_ns, before = self._clock.now_ns(), self._lines
        self._lines = {output.name: self._line(output, before.get(output.name), now_ns) for output in outputs}
        for name in rests.keys() & (self._lines.keys() - before.keys()):
            self._lines[name].off_until_ns = rests[name]
        for name, line in before.items():
            if self._lines.get(name) is not line:
                self._release(line)
        self.enforce(now_ns)
        self._settled.set()

    def _line(self, output: Output, before: _Line | None, now_ns: int) -> _Line:
        """The same line under a new policy, or a new one: what was on elsewhere rests before it starts again."""
        if before is None:
            return _Line(output)
        if replace(before.output, policy=output.policy) == output:
            before.output = output
            return before
        return _Line(output, off_until_ns=self._rest_until_ns(before, output.policy, now_ns))

    def _rest_until_ns(self, line: _Line, policy: OutputPolicy, now_ns: int) -> int:
        if policy.safe or (line.driven is not None and not line.driven):
            return line.off_until_ns
        return now_ns + round(policy.min_off_s * 1e9)

    def enforce(self, now_ns: int) -> None:
        """Bring every line to the level that holds now."""
        for line in self._lines.values():
            now_ns = max(now_ns, self._clock.now_ns())  # the line before may have been slow
            level = self._level(line, now_ns)
            if line.failing and now_ns < line.retry_ns:
                continue
            if line.handle is None or line.driven != level or (line.service and now_ns >= line.service_ns):
                self._move(line, now_ns)
                self._beat_ns = self._clock.now_ns()
            if line.told and not line.failing and now_ns >= line.steady_ns:
                self._restored(line, now_ns)
        self._driven = {name: line.driven for name, line in self._lines.items()}

    def _level(self, line: _Line, now_ns: int) -> Value:
        """What the line must be at: the loop's latest target while its lease holds, else safe."""
        policy = line.output.policy
        if now_ns >= self._lease_end_ns(line):
            if not line.lapsed and self._order.given_ns:
                self._lapse(line, now_ns)
            line.lapsed = True
            return policy.safe
        line.lapsed = False
        target = 0.0 if now_ns < line.off_until_ns else self._order.targets.get(policy.name, policy.safe)
        return bool(target) if isinstance(policy.safe, bool) else float(target)

    def _lapse(self, line: _Line, now_ns: int) -> None:
        policy = line.output.policy
        line.off_until_ns = self._rest_until_ns(line, policy, now_ns)
        _log.error("%s goes to its safe state: no decision for %g s", policy.name, policy.lease_s)
        data = {"lease_s": policy.lease_s, "safe": policy.safe, "before": line.driven}
        self._tell(Event(EventClass.SYSTEM, policy.name, "lease_lapsed", now_ns, data))

    def _lease_end_ns(self, line: _Line) -> int:
        return self._order.given_ns + round(line.output.policy.lease_s * 1e9)

    def _move(self, line: _Line, now_ns: int) -> None:
        try:
            self._drive(line, now_ns)
        except Exception as error:  # whatever a driver raises must not keep the guard from the other lines
            end_ns = self._clock.now_ns()
            spared_ns = min(SHARE * (end_ns - now_ns), LONGEST_RETRY_NS) if line.failing else 0
            line.retry_ns = end_ns + max(RETRY_NS, spared_ns)
            self._failed(line, error, now_ns)
        else:
            line.failing = ""

    def _drive(self, line: _Line, now_ns: int) -> None:
        """Claim or look, drive, read back, and let the handle do what it does by itself: each where it is due."""
        handle = self._claimed(line, now_ns)
        level = self._level(line, max(now_ns, self._clock.now_ns()))  # claiming may have been slow
        if line.driven != level:
            line.may_be_on = line.may_be_on or bool(level)
            handle.drive(level)
            seen = handle.level()
            if not _follows(seen, level):
                raise OSError(f"it reads {seen} after it was driven {level}: check for a short circuit")
            line.driven, line.service_ns, line.may_be_on = level, now_ns, bool(level)
        if line.service is not None and now_ns >= line.service_ns:
            line.service_ns = line.service(now_ns)

    def _claimed(self, line: _Line, now_ns: int) -> OutputHandle:
        """The line's handle. What has lost its level while it was on, or loses it by being claimed, rests first."""
        handle = line.handle
        if handle is None:
            line.handle = handle = self._claim(line.output)
            line.service = getattr(handle, "service", None)
            line.driven = None
            lost = line.may_be_on
        else:
            lost = bool(line.failing) and line.may_be_on and handle.level() <= CLOSE_PCT
        if lost:
            line.off_until_ns = max(line.off_until_ns, self._rest_until_ns(line, line.output.policy, now_ns))
            line.may_be_on = False
        return handle

    def _failed(self, line: _Line, error: Exception, now_ns: int) -> None:
        name, handle = line.output.name, line.handle
        message = str(error) or type(error).__name__
        line.driven = None
        if line.failing and handle is not None:  # a second failure in a row: claim the line afresh
            line.handle = None
            _close(handle, name)
        if not line.failing:
            flaps = line.told or now_ns - line.restored_ns < STEADY_NS
            line.steady_ns = now_ns + STEADY_NS if flaps else now_ns
        if not line.told:
            unexpected = None if isinstance(error, OSError) else error
            _log.error("%s can't be driven: %s", name, message, exc_info=unexpected)
            self._tell(Event(EventClass.SYSTEM, name, "drive_failed", now_ns, {"message": message}))
        line.failing = line.told = message

    def _restored(self, line: _Line, now_ns: int) -> None:
        name = line.output.name
        line.told, line.restored_ns = "", now_ns
        _log.info("%s can be driven again", name)
        self._tell(Event(EventClass.SYSTEM, name, "drive_restored", now_ns, {"level": line.driven}))

    def _release(self, line: _Line) -> bool:
        """Safe, then closed; a line that fails here (False) is left to the safe-state program."""
        if line.handle is None:
            return False
        try:
            line.handle.drive(line.output.policy.safe)
        except Exception as error:  # the other lines must be released whatever this one's driver does
            _log.error("%s could not be driven safe on release: %s", line.output.name, error)
            return False
        finally:
            _close(line.handle, line.output.name)
            line.handle = None
        return True


def _follows(seen: Value, level: Value) -> bool:
    """Whether the read-back is what was driven; NaN never is."""
    return seen is level if isinstance(level, bool) else abs(seen - level) <= CLOSE_PCT


def _close(handle: OutputHandle, name: str) -> None:
    close = getattr(handle, "close", None)
    if close is None:
        return
    try:
        close()
    except OSError as error:
        _log.debug("closing the line of %s: %s", name, error)
