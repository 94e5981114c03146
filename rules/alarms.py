"""Alarms: ISA-18.2's states as a table (tests/oracles/alarm_transitions.csv is the law), with delays and shelving."""

from enum import StrEnum
from typing import Any

from gateway.core.errors import Refused
from gateway.core.event import EventClass
from rules.board import SECOND_NS, Board, Cause
from rules.definition import Alarm
from rules.demand import Demand
from rules.expression import Expression
from rules.saved import DAY_NS, Saved, compact, duration_ns, earliest, elapsed, flag, remaining, since

_CONDITION = "condition"


class State(StrEnum):
    """What the operator sees of an alarm, in ISA-18.2's words."""

    NORM = "NORM"
    UNACK = "UNACK"
    ACKED = "ACKED"
    RTNUN = "RTNUN"
    LUNACK = "LUNACK"
    LACKED = "LACKED"
    SHLVD = "SHLVD"


class Trigger(StrEnum):
    """What moves an alarm. condition_on and condition_off come after their delays."""

    ON = "condition_on"
    OFF = "condition_off"
    ACK = "ack"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    EXPIRE = "expire"


_TABLE: dict[tuple[State, Trigger], State] = {
    (State.NORM, Trigger.ON): State.UNACK,
    (State.UNACK, Trigger.ACK): State.ACKED,
    (State.UNACK, Trigger.OFF): State.RTNUN,
    (State.ACKED, Trigger.OFF): State.NORM,
    (State.RTNUN, Trigger.ACK): State.NORM,
    (State.RTNUN, Trigger.ON): State.UNACK,
    (State.LUNACK, Trigger.ACK): State.LACKED,
    (State.LUNACK, Trigger.ON): State.UNACK,
    (State.LUNACK, Trigger.RESET): State.RTNUN,
    (State.LACKED, Trigger.RESET): State.NORM,
    (State.LACKED, Trigger.ON): State.UNACK,
    **{(state, Trigger.SHELVE): State.SHLVD for state in State},
}
_LATCHING: dict[tuple[State, Trigger], State] = {
    (State.UNACK, Trigger.OFF): State.LUNACK,
    (State.ACKED, Trigger.OFF): State.LACKED,
}


def transition(state: State, trigger: Trigger, latch: bool, active: bool) -> State | None:
    """The next state, None when the trigger means nothing here. active: the condition, after its delays."""
    if state is State.SHLVD and trigger in (Trigger.UNSHELVE, Trigger.EXPIRE):
        return State.UNACK if active else State.NORM
    if latch and (state, trigger) in _LATCHING:
        return _LATCHING[state, trigger]
    return _TABLE.get((state, trigger))


class AlarmState:
    """One alarm now. active: its condition after the delays; the board's causes say who keeps it on."""

    def __init__(self, definition: Alarm, condition: Expression | None, language: str) -> None:
        self.definition = definition
        self.name = definition.name
        self.state = State.NORM
        self.active = False
        self.demand = None if condition is None else _demand(definition, condition)
        self._text = _text(definition, language)
        self._change_since_ns: int | None = None  # the condition has differed from `active` since then
        self._shelved_until_ns: int | None = None
        self._since_ns = 0
        self._cause = Cause("", {})
        self.view: dict[str, Any] = {}
        self._publish()

    def succeed(self, predecessor: "AlarmState") -> None:
        """After `restore`: the state began when it began, not when the configuration changed."""
        if self.state is predecessor.state:
            self._since_ns = predecessor._since_ns
            self._publish()

    def update(self, board: Board) -> int | None:
        """Look at the condition and the causes; the time of the next look, if one is due by itself."""
        deadline_ns = self._ask(board)
        delay_ns = self._delay(board)
        if self._shelved_until_ns is not None and board.now_ns >= self._shelved_until_ns:
            self._move(board, Trigger.EXPIRE, Cause("shelving has run out", {}))
        self._publish()
        return earliest(deadline_ns, delay_ns, self._shelved_until_ns)

    def _ask(self, board: Board) -> int | None:
        if self.demand is None:
            return None
        answer = self.demand.settle(board)
        if not answer.firm:
            return None
        causes = board.causes[self.name]
        described = board.cause(f"alarm {self.name}", self.demand.expression)
        if answer.asks:
            causes.setdefault(_CONDITION, described)
        elif causes.pop(_CONDITION, None) is not None:
            self._cause = described
        return answer.deadline_ns

    def _delay(self, board: Board) -> int | None:
        causes = board.causes[self.name]
        if bool(causes) == self.active:
            self._change_since_ns = None
            return None
        if self._change_since_ns is None:
            self._change_since_ns = board.now_ns
        delay_s = self.definition.off_delay_s if self.active else self.definition.for_s
        due_ns = self._change_since_ns + round(delay_s * SECOND_NS)
        if board.now_ns < due_ns:
            return due_ns
        self._change_since_ns = None
        self.active, board.edge = not self.active, True
        if self.active:
            self._cause = self._current(board) or next(iter(causes.values()))
            self._move(board, Trigger.ON, self._cause)
        else:
            self._move(board, Trigger.OFF, self._current(board) or board.ended.get(self.name, self._cause))
        return None

    def _current(self, board: Board) -> Cause | None:
        """The condition with today's values, when there is one and no other cause speaks."""
        if self.demand is None or set(board.causes[self.name]) - {_CONDITION}:
            return None
        return board.cause(f"alarm {self.name}", self.demand.expression)

    def _move(self, board: Board, trigger: Trigger, cause: Cause, **data: Any) -> bool:
        state = transition(self.state, trigger, self.definition.latch, self.active)
        if state is None:
            return False
        before, self.state, self._since_ns, board.edge = self.state, state, board.now_ns, True
        if state is not State.SHLVD:
            self._shelved_until_ns = None
        told: dict[str, Any] = {
            "before": before.value,
            "trigger": trigger.value,
            "active": self.active,
            "text": self._text,
        }
        told |= {"priority": self.definition.priority, "reason": cause.reason, "inputs": cause.inputs}
        board.emit(EventClass.ALARM, self.name, state.value, {**told, **data})
        self._publish()
        return True

    def acknowledge(self, board: Board, who: str) -> str:
        """A person has seen it. Raises Refused when there is nothing to acknowledge."""
        if not self._move(board, Trigger.ACK, Cause(f"acknowledged by {who}", {}), who=who):
            raise Refused(f"alarm {self.name} is {self.state.value}: there is nothing to acknowledge")
        return f"alarm {self.name} is acknowledged"

    def reset(self, board: Board, who: str) -> str:
        """Take a latched alarm back. Raises Refused while its condition is on, or when it is not latched."""
        if self.active and self.definition.latch:
            raise Refused(f"alarm {self.name} is still active ({self._cause.reason}): remove its cause, then reset")
        if not self._move(board, Trigger.RESET, Cause(f"reset by {who}", {}), who=who):
            raise Refused(f"alarm {self.name} is {self.state.value}: there is nothing to reset")
        return f"alarm {self.name} is reset"

    def shelve(self, board: Board, for_s: float, reason: str, who: str) -> str:
        """Silence for `for_s` seconds. Raises Refused when forbidden, too long or without a reason."""
        limit_s = self.definition.shelve_max_s
        if limit_s <= 0:
            raise Refused(f"alarm {self.name} can't be shelved")
        if not 0 < for_s <= limit_s:
            raise Refused(f"alarm {self.name} can be shelved for at most {limit_s:g} s, not {for_s:g} s")
        if not reason.strip():
            raise Refused(f"shelving alarm {self.name} needs a reason")
        self._shelved_until_ns = board.now_ns + round(for_s * SECOND_NS)
        board.forced.add(f"alarm {self.name}")
        self._move(
            board, Trigger.SHELVE, Cause(f"shelved by {who} for {for_s:g} s: {reason}", {}), who=who, for_s=for_s
        )
        return f"alarm {self.name} is shelved for {for_s:g} s"

    def unshelve(self, board: Board, who: str) -> str:
        """Let it speak again. Raises Refused when it is not shelved."""
        if not self._move(board, Trigger.UNSHELVE, Cause(f"unshelved by {who}", {}), who=who):
            raise Refused(f"alarm {self.name} is {self.state.value}, not shelved")
        return f"alarm {self.name} is {self.state.value} again"

    def _publish(self) -> None:
        self.view = {
            "alarm": self.name,
            "state": self.state.value,
            "active": self.active,
            "priority": self.definition.priority,
            "text": self._text,
            "since_ns": self._since_ns,
            "shelved_until_ns": self._shelved_until_ns,
            "reason": self._cause.reason,
        }

    def save(self, now_ns: int) -> Saved:
        """What must survive: state, condition, a running delay, what is left of the shelving."""
        return compact(
            state="" if self.state is State.NORM else self.state.value,
            active=self.active,
            on=self.demand is not None and self.demand.last is True,
            delay_ns=elapsed(now_ns, self._change_since_ns),
            shelve_ns=remaining(now_ns, self._shelved_until_ns),
        )

    def restore(self, data: Saved, board: Board, now_ns: int) -> None:
        """Take a saved state over; shelving of unknown length ends. Raises ValueError (and changes nothing)."""
        state, active, on = State(data.get("state", State.NORM)), flag(data, "active"), flag(data, "on")
        delay_ns = duration_ns(data, "delay_ns")
        shelve_ns, limit_ns = duration_ns(data, "shelve_ns", DAY_NS), round(self.definition.shelve_max_s * SECOND_NS)
        if state is State.SHLVD and (shelve_ns is None or limit_ns <= 0):
            state = State.UNACK if active else State.NORM
        self.state, self.active, self._since_ns = state, active, now_ns
        self._change_since_ns = since(now_ns, delay_ns)
        self._shelved_until_ns = None
        if shelve_ns is not None and state is State.SHLVD:
            self._shelved_until_ns = now_ns + min(shelve_ns, limit_ns)  # the limit may have become stricter
        if self.demand is not None and on:
            self.demand.last = True
            board.causes[self.name][_CONDITION] = Cause(f"alarm {self.name}: as before the restart", {})
        self._publish()


def _demand(definition: Alarm, condition: Expression) -> Demand:
    meaning = {"trip": True, "off": False, "on": True, "hold": False}
    return Demand(condition, definition.on_bad_input, meaning, frozenset(meaning))


def _text(definition: Alarm, language: str) -> str:
    words = definition.text or {}
    return words.get(language) or words.get("en") or next(iter(words.values()), definition.name)
