"""What people and the cloud may ask for, and the answer in clear words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.core.command import Command, Reply
from gateway.core.errors import Refused
from gateway.core.event import EventClass
from gateway.core.reading import Value
from gateway.core.role import ALLOWED, WRITE_SLOT, Role, Verb
from rules.alarms import AlarmState
from rules.arbitration import Claim
from rules.board import SECOND_NS, Board, shown
from rules.interlocks import InterlockState
from rules.outputs import OutputArbiter
from rules.saved import DAY_NS

SET_MAX_S = DAY_NS / SECOND_NS

_Named = TypeVar("_Named")


@dataclass(frozen=True, slots=True)
class House:
    """Everything a command can be about, by name."""

    interlocks: Mapping[str, InterlockState]
    alarms: Mapping[str, AlarmState]
    outputs: Mapping[str, OutputArbiter]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did; the answer is written when the step has been decided."""

    command: Command
    ok: bool
    message: str


def execute(command: Command, house: House, board: Board) -> Outcome:
    """Carry one command out, or refuse it; never raises."""
    try:
        if command.verb not in ALLOWED[command.role]:
            raise Refused(f"role {command.role.value} may not {command.verb.value}: {_entitled(command.verb)}")
        return Outcome(command, True, _do(command, house, board))
    except Refused as refusal:
        return Outcome(command, False, str(refusal))


def answer(outcome: Outcome, house: House, board: Board) -> Reply:
    """The reply, and its AUDIT event. A `set` that is overruled is told by whom."""
    command, message = outcome.command, outcome.message
    if outcome.ok and command.verb is Verb.SET:
        output = house.outputs[command.target]
        overruling = output.overruling(_value(output, command))
        message = f"{message}; {overruling}" if overruling else message
    asked: dict[str, Any] = {"value": command.value, "for_s": command.for_s, "reason": command.reason or None}
    fields = {name: _plain(value) for name, value in asked.items() if value is not None}
    told = {"verb": command.verb.value, "who": command.who, "role": command.role.value, "ok": outcome.ok}
    board.emit(EventClass.AUDIT, command.target, command.verb.value, {**told, "message": message, **fields})
    return Reply(command.token, outcome.ok, message)


def _do(command: Command, house: House, board: Board) -> str:
    verb = command.verb
    if verb is Verb.SET or verb is Verb.RELEASE:
        return _write(command, _find(command.target, house.outputs, "output"), board)
    if verb is Verb.BYPASS:
        interlock = _find(command.target, house.interlocks, "interlock")
        for_s = _duration(command, "a bypass needs its time: for_s in seconds, 0 ends it")
        return interlock.bypass(board, for_s, command.reason, command.who)
    if verb is Verb.RESET:
        if command.target in house.interlocks:
            return house.interlocks[command.target].reset(board)
        known: Mapping[str, AlarmState | InterlockState] = {**house.interlocks, **house.alarms}
        found = _find(command.target, known, "interlock or alarm")
        assert isinstance(found, AlarmState)
        return found.reset(board, command.who)
    if verb in (Verb.ACK, Verb.SHELVE, Verb.UNSHELVE):
        return _alarm(command, _find(command.target, house.alarms, "alarm"), board)
    raise Refused(f"{verb.value} is not decided here")


def _alarm(command: Command, alarm: AlarmState, board: Board) -> str:
    if command.verb is Verb.SHELVE:
        for_s = _duration(command, "shelving needs its time: for_s in seconds")
        return alarm.shelve(board, for_s, command.reason, command.who)
    act: Callable[[Board, str], str] = alarm.acknowledge if command.verb is Verb.ACK else alarm.unshelve
    return act(board, command.who)


def _write(command: Command, output: OutputArbiter, board: Board) -> str:
    slot = WRITE_SLOT[command.role]
    if command.verb is Verb.RELEASE:
        return output.clear(board, slot, command.who)
    value = _value(output, command)
    words = shown(value, output.policy.unit)
    for_s = _duration(command, f"say for how long {output.name} shall be {words}: for_s in seconds, at most 24 h")
    if not 0 < for_s <= SET_MAX_S:
        raise Refused(f"{output.name} can be set for more than 0 and at most {SET_MAX_S:g} s (24 h), not {for_s:g} s")
    reason = f"set {words} by {command.who} ({command.role.value}) for {for_s:g} s"
    reason = f"{reason}: {command.reason}" if command.reason else reason
    until_ns = board.now_ns + round(for_s * SECOND_NS)
    output.write(board, slot, Claim(value, reason, {}, until_ns, command.who))
    return f"{output.name}: slot {slot} is {words} for {for_s:g} s"


def _value(output: OutputArbiter, command: Command) -> Value:
    """What the output is to be. Raises Refused for what it can't be."""
    if command.value is None:
        raise Refused(
            f"say what {output.name} shall be: on, off{' or a level in percent' if output.policy.unit else ''}"
        )
    try:
        return output.policy.value_of(command.value)
    except ValueError as error:
        raise Refused(str(error)) from error


def _duration(command: Command, missing: str) -> float:
    if command.for_s is None:
        raise Refused(missing)
    if not command.for_s - command.for_s == 0:
        raise Refused(f"for_s is {command.for_s}, not a number of seconds")
    return command.for_s


def _find(name: str, known: Mapping[str, _Named], what: str) -> _Named:
    if name in known:
        return known[name]
    from difflib import get_close_matches  # only needed to explain a mistake

    close = get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known)) or 'none'}"
    raise Refused(f"there is no {what} '{name}'; {hint}")


def _entitled(verb: Verb) -> str:
    roles = [role.value for role in Role if verb in ALLOWED[role]]
    return f"ask someone who is {' or '.join(roles)}"


def _plain(value: Value | str) -> Value | str | None:
    """JSON has no NaN and no infinity."""
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value
