"""What control does with a command: most go to the loop; a reset or bypass is saved first; sim and reload go aside."""

import logging
from collections.abc import Callable
from typing import Any

from gateway.control.durable import StateKeeper
from gateway.control.loop import Asked, Happened, Message
from gateway.control.side import SideThread
from gateway.core.clock import Clock
from gateway.core.command import Command
from gateway.core.event import Event, EventClass
from gateway.core.role import Verb
from gateway.local.server import Reply

DURABLE = frozenset({Verb.RESET, Verb.BYPASS})
"""They weaken a protection, so they must be on the disk before they act."""
REFUSALS_PER_S = 10
"""Refused requests that get an AUDIT event of their own; a peer must not wash the ring out with them."""
AUDITED_CHARACTERS = 200
"""What is kept of a text in a refused request: it was never checked."""
_AUDITED_BELOW = 1e15
CROWDED = "too many of these wait already: try again in a moment"

Simulate = Callable[[str], dict[str, Any]]
_log = logging.getLogger(__name__)


class Commands:
    """Carries commands out. Called in the server's thread; answers come from the thread that did the work.

    simulate: passes a line to the simulator and waits for its answer; None in a run on real hardware.
    reload: loads the snapshot and swaps it in; "" or what is wrong with it.
    """

    def __init__(
        self,
        *,
        put: Callable[[Message], None],
        keeper: StateKeeper,
        side: SideThread,
        clock: Clock,
        reload: Callable[[], str],
        simulate: Simulate | None = None,
    ) -> None:
        self._put = put
        self._keeper = keeper
        self._side = side
        self._clock = clock
        self._reload = reload
        self._simulate = simulate
        self._refusals = 0
        self._refusals_ns = 0

    def carry_out(self, command: Command, reply: Reply) -> None:
        """Do it, now or later; `reply` is called once."""
        if command.verb in DURABLE:
            Durable(command, reply, self._put, self._keeper, self._answered).begin()
        elif command.verb is Verb.SIM:
            self._aside(command, reply, self._simulated)
        elif command.verb is Verb.RELOAD:
            self._aside(command, reply, self._reloaded)
        else:
            self._put(Asked(command, reply))

    def refused(self, who: str, role: str, fields: dict[str, Any], message: str) -> None:
        """Audit what a role may not do."""
        now_ns = self._clock.now_ns()
        if now_ns - self._refusals_ns >= 1_000_000_000:
            self._refusals, self._refusals_ns = 0, now_ns
        self._refusals += 1
        if self._refusals > REFUSALS_PER_S:
            return
        asked = {key: _short(value) for key, value in fields.items() if key in ("value", "for_s", "reason")}
        verb = str(_short(fields.get("verb", fields.get("kind", ""))))
        told = {"verb": verb, "who": who, "role": role, "ok": False, "message": message}
        subject = str(_short(fields.get("target", ""))) or "connection"
        self._put(Happened(Event(EventClass.AUDIT, subject, verb, now_ns, {**told, **asked})))

    def _aside(self, command: Command, reply: Reply, work: Callable[[Command], tuple[bool, str]]) -> None:
        def job() -> None:
            ok, message = work(command)
            self._answered(command, ok, message)
            reply(ok, message)

        if not self._side.submit(job):
            reply(False, CROWDED)

    def _simulated(self, command: Command) -> tuple[bool, str]:
        if self._simulate is None:
            return False, "this is no simulated run: there is no simulator to command"
        try:
            answer = self._simulate(command.target)
        except (OSError, ValueError) as error:
            return False, f"the simulator does not answer ({error}): is it running?"
        return bool(answer.get("ok")), str(answer.get("message", ""))

    def _reloaded(self, _command: Command) -> tuple[bool, str]:
        problem = self._reload()
        return (False, problem) if problem else (True, "the new configuration runs")

    def _answered(self, command: Command, ok: bool, message: str) -> None:
        """The AUDIT event of a command that the engine does not see."""
        told = {"verb": command.verb.value, "who": command.who, "role": command.role.value, "ok": ok}
        data = {**told, "message": message}
        subject = command.target or "configuration"
        self._put(Happened(Event(EventClass.AUDIT, subject, command.verb.value, self._clock.now_ns(), data)))


class Durable:
    """A command on its way: put down on the disk, stepped, its state saved, answered. What fails ends it there."""

    def __init__(
        self,
        command: Command,
        reply: Reply,
        put: Callable[[Message], None],
        keeper: StateKeeper,
        refuse: Callable[[Command, bool, str], None],
    ) -> None:
        self._command = command
        self._reply = reply
        self._put = put
        self._keeper = keeper
        self._refuse = refuse

    def begin(self) -> None:
        """Put it down; nothing acts before that is on the disk."""
        self._keeper.intend(self, self._command, self._put_down)

    def _put_down(self, problem: str) -> None:
        if not problem:
            self._put(Asked(self._command, self._stepped))
            return
        message = f"not carried out, because it can't be saved: {problem}"
        self._keeper.fulfilled(self, _nothing)
        self._refuse(self._command, False, message)
        self._reply(False, message)

    def _stepped(self, ok: bool, message: str) -> None:
        def saved(problem: str) -> None:
            self._reply(ok, f"{message}; but it could not be saved: {problem}" if problem else message)

        self._keeper.fulfilled(self, saved if ok else _nothing)
        if not ok:
            self._reply(False, message)


def _short(value: object) -> str | bool | float:
    """What a peer wrote, as the audit keeps it: it may be anything, and JSON knows no infinity."""
    if isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < _AUDITED_BELOW):
        return value
    return str(value)[:AUDITED_CHARACTERS]


def _nothing(_problem: str) -> None:
    """Nobody waits."""
