"""One output guard per bus: a board that hangs delays neither the gas valve's line nor its lease."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.control.guard import SILENT_NS, YIELD_S, Claim, OutputGuard
from gateway.core.clock import Clock
from gateway.core.driver import Bus, BusKind
from gateway.core.event import Event, EventClass
from gateway.core.reading import Value
from gateway.settings.model import Output

PROMPT: frozenset[BusKind] = frozenset({"gpio"})
"""Buses on which nothing can hang but the kernel: control is as alive as their guards are."""
SLOW_SILENT_NS = 5_000_000_000
"""How long one output on another bus may take: other units' turns, a late reply, a command and its proof."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Share:
    """One bus: its guard and the outputs it has."""

    bus: str
    prompt: bool
    guard: OutputGuard
    outputs: tuple[Output, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(output.name for output in self.outputs)


class OutputGuards:
    """The guards of all buses, as one. `claim` and `tell` are called by several threads.

    refresh is the loop's; start, configure and stop are one thread's at a time; check is the overseer's.
    """

    def __init__(self, claim: Claim, tell: Callable[[Event], None], clock: Clock) -> None:
        self._claim = claim
        self._tell = tell
        self._clock = clock
        self._shares: tuple[_Share, ...] = ()  # replaced as a whole, the prompt ones first
        self._hanging: dict[str, frozenset[str]] = {}  # bus → the outputs that were told to be lost with it
        self._ending = False

    def start(self, outputs: Sequence[Output], buses: Iterable[Bus], timeout_s: float = 2.0) -> bool:
        """As `configure`, for the first time."""
        return self.configure(outputs, buses, timeout_s)

    def configure(self, outputs: Sequence[Output], buses: Iterable[Bus], timeout_s: float = 2.0) -> bool:
        """Own exactly these outputs; False when that is not so within the time, and the guards go on trying.

        What leaves a bus is safe before it is claimed on another, where it rests if it was on. GPIO lines are waited
        for; boards on other buses are claimed in their own time, and told of when they can't be.
        """
        give_up_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        rests = self._rests(outputs)
        left = self._leave(outputs, give_up_ns)
        kinds = {bus.name: bus.type for bus in buses}
        names = dict.fromkeys(output.bus for output in outputs)
        shares = [self._share(name, kinds.get(name) in PROMPT, outputs) for name in names]
        for share in shares:
            share.guard.adopt(share.outputs, rests)
        self._shares = tuple(sorted(shares, key=lambda share: not share.prompt))
        return all([share.guard.settled(self._left_s(give_up_ns)) for share in shares if share.prompt]) and left

    def refresh(self, targets: Mapping[str, Value], now_ns: int) -> None:
        """The loop's word on every output; renews every lease. Never blocks; see `OutputGuard.refresh`."""
        if any([share.guard.order(_of(share, targets), now_ns) for share in self._shares]):
            time.sleep(YIELD_S)

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Drive every output safe and close them, all buses at once; False when one did not manage in time."""
        give_up_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        self._ending, ended = True, self._shares
        for share in ended:
            share.guard.stop(0.0)
        return all([share.guard.stop(self._left_s(give_up_ns)) for share in ended])

    def alive(self) -> bool:
        """Whether every guard of GPIO lines turns; only then may control live on."""
        return all(share.guard.alive() for share in self._shares if share.prompt)

    @property
    def ok(self) -> bool:
        """Whether every output has the level it is to have."""
        return all(share.guard.alive() for share in self._shares) and None not in self.driven.values()

    @property
    def driven(self) -> dict[str, Value | None]:
        """The level last put on each output; None when it could not be, or when its guard hangs on the bus."""
        driven: dict[str, Value | None] = {}
        for share in self._shares:
            known = share.guard.driven if share.guard.alive() else {}
            driven.update({output.name: known.get(output.name) for output in share.outputs})
        return driven

    def check(self, now_ns: int) -> None:
        """For the overseer: tell of outputs that are lost because their bus hangs, and of their return."""
        for share in () if self._ending else self._shares:
            alive = share.guard.alive()
            if not alive and share.bus not in self._hanging:
                self._lost(share, now_ns)
            elif alive and share.bus in self._hanging:
                self._found(share, now_ns)

    def _lost(self, share: _Share, now_ns: int) -> None:
        known = share.guard.driven
        names = frozenset(name for name in share.names if known.get(name, False) is not None)
        self._hanging[share.bus] = names
        message = f"the bus {share.bus} hangs: check its adapter and what is wired to it"
        _log.error("%s can't be driven: %s", ", ".join(sorted(names)), message)
        for name in sorted(names):
            self._tell(Event(EventClass.SYSTEM, name, "drive_failed", now_ns, {"message": message}))

    def _found(self, share: _Share, now_ns: int) -> None:
        """A line that fails by now has been told of by its guard."""
        known = share.guard.driven
        for name in sorted(self._hanging.pop(share.bus) & share.names):
            if known.get(name) is not None:
                self._tell(Event(EventClass.SYSTEM, name, "drive_restored", now_ns, {"level": known[name]}))

    def _rests(self, outputs: Iterable[Output]) -> dict[str, int]:
        """Output → until when it rests, for those that come from another bus."""
        now_ns = self._clock.now_ns()
        return {
            output.name: share.guard.rest_until_ns(output, now_ns)
            for output in outputs
            for share in self._shares
            if output.name in share.names and output.bus != share.bus
        }

    def _leave(self, outputs: Sequence[Output], give_up_ns: int) -> bool:
        """Have every guard let go of what it loses, all at once; whether they did in time."""
        buses = {output.name: output.bus for output in outputs}
        ended, reduced, shares = [], [], []
        for share in self._shares:
            stay = tuple(each for each in share.outputs if buses.get(each.name) == share.bus)
            if stay:
                shares.append(replace(share, outputs=stay))
            else:
                ended.append(share.guard)
            if stay and stay != share.outputs:
                share.guard.adopt(stay)
                reduced.append(share.guard)
        self._shares = tuple(shares)  # a guard that ends by our will must not count as dead
        for guard in ended:
            guard.stop(0.0)
        gone = [guard.stop(self._left_s(give_up_ns)) for guard in ended]
        return all([*gone, *[guard.settled(self._left_s(give_up_ns)) for guard in reduced]])

    def _share(self, bus: str, prompt: bool, outputs: Sequence[Output]) -> _Share:
        """The bus's share from now on, with the guard it has had or a new one that has begun."""
        own = tuple(output for output in outputs if output.bus == bus)
        for share in self._shares:
            if share.bus == bus and share.names & {output.name for output in own}:
                return _Share(bus, prompt, share.guard, own)
        guard = OutputGuard(self._claim, self._tell, self._clock, SILENT_NS if prompt else SLOW_SILENT_NS)
        guard.begin()
        return _Share(bus, prompt, guard, own)

    def _left_s(self, give_up_ns: int) -> float:
        return max(0.0, (give_up_ns - self._clock.now_ns()) / 1e9)


def _of(share: _Share, targets: Mapping[str, Value]) -> dict[str, Value]:
    return {each.name: targets[each.name] for each in share.outputs if each.name in targets}
