"""The decisions of the gateway: `step(now, readings, commands) → decisions`. Pure: no clock, no I/O, no randomness.

Order inside a step: points → interlocks → alarms → rules → arbiter, repeated while something they did concerns another
of them (an output's point, an alarm raised by a rule). Only conditions whose inputs changed or whose time has come are
looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.command import Command, Reply
from gateway.core.event import Event, EventClass
from gateway.core.output import OutputPolicy
from gateway.core.reading import Reading, Value
from rules import interlocks, outputs
from rules.alarms import AlarmState
from rules.arbitration import PriorityArray
from rules.board import GRACE_NS, Board
from rules.commands import House, answer, execute
from rules.definition import Alarm, Rulebook
from rules.demand import Demand
from rules.expression import compile_expression
from rules.interlocks import InterlockState
from rules.outputs import OutputArbiter
from rules.saved import section
from rules.site_rules import RuleState

STATE_VERSION = 1
ROUNDS_MAX = 1000
"""A step ends after so many rounds even if something still asks for another; that goes on in the next step."""

_Conditional = InterlockState | AlarmState | RuleState
_Item = _Conditional | OutputArbiter


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one step decided. drive: every output's target. persist: durable state has changed.

    next_ns: call `step` again at the latest then (CLOCK_BOOTTIME), None when nothing is timed.
    """

    drive: dict[str, Value]
    events: tuple[Event, ...]
    replies: tuple[Reply, ...]
    persist: bool
    next_ns: int | None


class Engine:
    """All interlocks, alarms, rules and outputs of a site. One thread steps it; views may be read from any other.

    language: of the alarm texts. Raises ExpressionError when a condition does not compile.
    """

    def __init__(self, rulebook: Rulebook, outputs: Sequence[OutputPolicy], language: str = "en") -> None:
        units = {**rulebook.points, **{policy.point: policy.unit for policy in outputs}}
        alarms = (*rulebook.alarms, *_built_in(rulebook, outputs))
        arrays = {policy.name: PriorityArray(policy.safe) for policy in outputs}
        self._board = Board(units, arrays, [alarm.name for alarm in alarms])
        self._interlocks = {
            each.name: InterlockState(each, compile_expression(each.condition, units)) for each in rulebook.interlocks
        }
        self._alarms = {
            each.name: AlarmState(each, compile_expression(each.condition, units) if each.condition else None, language)
            for each in alarms
        }
        self._rules = {
            each.name: RuleState(
                each,
                compile_expression(each.condition, units),
                compile_expression(each.until, units) if each.until else None,
            )
            for each in rulebook.rules
        }
        self._outputs = {policy.name: OutputArbiter(policy, arrays[policy.name]) for policy in outputs}
        self._house = House(self._interlocks, self._alarms, self._outputs)
        self._items: list[_Item] = []
        self._demands: list[Demand | None] = []
        self._places: dict[str, int] = {}
        self._users: dict[str, tuple[int, ...]] = {}
        self._deadlines: dict[int, int] = {}
        self._started = False
        self._broken_off = False  # a fault ended the last step: whoever it had not reached yet must look again
        self._arrange()

    def _arrange(self) -> None:
        """Number all items in the order of a step, and note which points concern which of them."""
        groups: tuple[tuple[str, dict[str, Any]], ...] = (
            ("interlock", self._interlocks),
            ("alarm", self._alarms),
            ("rule", self._rules),
            ("output", self._outputs),
        )
        users: dict[str, list[int]] = {}
        for kind, group in groups:
            for name, item in group.items():
                self._places[f"{kind} {name}"] = len(self._items)
                for point in _inputs(item):
                    users.setdefault(point, []).append(len(self._items))
                self._items.append(item)
                self._demands.append(None if isinstance(item, OutputArbiter) else item.demand)
        self._users = {point: tuple(places) for point, places in users.items()}

    @property
    def points(self) -> dict[str, Reading]:
        """The newest reading of every point. Its size never changes; do not change it."""
        return self._board.points

    def outputs_view(self) -> list[dict[str, Any]]:
        """Every output: output, value, slot, slot_name, reason, since_ns, slots."""
        return [item.view for item in self._outputs.values()]

    def alarms_view(self) -> list[dict[str, Any]]:
        """Every alarm: alarm, state, active, priority, text, since_ns, shelved_until_ns, reason."""
        return [item.view for item in self._alarms.values()]

    def interlocks_view(self) -> list[dict[str, Any]]:
        """Every interlock: interlock, tripped, cause, latched, bypassed_until_ns, reason."""
        return [item.view for item in self._interlocks.values()]

    def step(self, now_ns: int, readings: Sequence[Reading] = (), commands: Sequence[Command] = ()) -> Decisions:
        """Take in what is new and decide. now_ns: CLOCK_BOOTTIME, never less than before. Never blocks."""
        board = self._board
        board.now_ns = max(now_ns, board.now_ns)
        if not self._started:
            self._start()
        elif self._broken_off:
            self._look_at_all()
        self._broken_off = True
        board.learn(readings)
        self._force_due()
        self._settle()
        outcomes = [execute(command, self._house, board) for command in commands]
        self._settle()
        replies = tuple(answer(outcome, self._house, board) for outcome in outcomes)
        drive: dict[str, Value] = {name: output.value for name, output in self._outputs.items()}
        events, persist = tuple(board.events), board.edge
        board.events, board.edge = [], False
        self._broken_off = False
        return Decisions(drive, events, replies, persist, self._next_ns())

    def _start(self) -> None:
        self._started = True
        board = self._board
        board.grace_until_ns = board.now_ns + GRACE_NS
        for output in self._outputs.values():
            output.start(board)
        self._look_at_all()

    def _look_at_all(self) -> None:
        for demand in self._demands:
            if demand is not None:
                demand.look(self._board.values)
        self._board.forced.update(self._places)

    def _force_due(self) -> None:
        board, now_ns = self._board, self._board.now_ns
        due = [place for place, deadline_ns in self._deadlines.items() if deadline_ns <= now_ns]
        if due:
            names = list(self._places)
            board.forced.update(names[place] for place in due)
        if 0 < board.grace_until_ns <= now_ns:
            board.grace_until_ns = 0
            board.forced.update(self._places)

    def _settle(self) -> None:
        """Let everything that is concerned look again, in order, until nothing is (or ROUNDS_MAX)."""
        board = self._board
        for _ in range(ROUNDS_MAX):
            if not (board.changed or board.forced):
                return
            places = {self._places[name] for name in board.forced}
            places.update(self._concerned())
            board.forced.clear()
            for place in sorted(places):
                deadline_ns = self._items[place].update(board)
                if deadline_ns is None:
                    self._deadlines.pop(place, None)
                else:
                    self._deadlines[place] = deadline_ns

    def _concerned(self) -> list[int]:
        """The items that a changed point concerns: outputs by their read-back, others when their verdict changed."""
        board = self._board
        if not board.changed:
            return []
        values, demands, users = board.values, self._demands, self._users
        places: set[int] = set()
        for point in board.changed:
            if point in users:
                places.update(users[point])
        board.changed.clear()
        return [place for place in places if (demand := demands[place]) is None or demand.look(values)]

    def _next_ns(self) -> int | None:
        deadlines = list(self._deadlines.values())
        if self._board.changed or self._board.forced:
            deadlines.append(self._board.now_ns + outputs.ECHO_NS)
        if self._board.grace_until_ns:
            deadlines.append(self._board.grace_until_ns)
        return min(deadlines, default=None)

    def state(self) -> dict[str, Any]:
        """Everything that must survive a restart, JSON-ready; running times as what has passed or is left of them."""
        now_ns = self._board.now_ns
        groups = (("interlocks", self._interlocks), ("alarms", self._alarms), ("rules", self._rules))
        saved: dict[str, Any] = {"version": STATE_VERSION}
        for key, group in (*groups, ("outputs", self._outputs)):
            entries = {name: item.save(now_ns) for name, item in group.items()}
            saved[key] = {name: entry for name, entry in entries.items() if entry}
        return saved

    def restore(self, state: dict[str, Any], now_ns: int) -> None:
        """Take over what `state` returned, before the first step. Time that passed in between does not count.

        Unknown or damaged parts are left out, each with a SYSTEM event in the next step.
        """
        board = self._board
        board.now_ns = now_ns
        if not isinstance(state, dict) or state.get("version") != STATE_VERSION:
            self._ignored("state", f"not of version {STATE_VERSION}")
            return
        self._restore_group(state, "alarms", self._alarms, lambda item, data: item.restore(data, board, now_ns))
        self._restore_group(state, "interlocks", self._interlocks, lambda item, data: item.restore(data, board, now_ns))
        self._restore_group(state, "rules", self._rules, lambda item, data: item.restore(data, board, now_ns))
        self._restore_group(state, "outputs", self._outputs, lambda item, data: item.restore(data, now_ns))

    def succeed(self, predecessor: "Engine", now_ns: int) -> None:
        """Before the first step, take over from a running engine of another configuration without an edge on an output.

        What both know goes on: points, latches, timers, claims of people, each output's value and minimum times.
        """
        self.restore(predecessor.state(), now_ns)
        self._board.learn([reading for name, reading in predecessor.points.items() if name in self.points])
        self._succeed_demands(predecessor)
        for name, interlock in self._interlocks.items():
            if name in predecessor._interlocks:
                interlock.succeed(predecessor._interlocks[name])
        for name, alarm in self._alarms.items():
            if name in predecessor._alarms:
                alarm.succeed(predecessor._alarms[name])
        for name, output in self._outputs.items():
            if name in predecessor._outputs:
                output.succeed(predecessor._outputs[name], self._board)

    def _succeed_demands(self, predecessor: "Engine") -> None:
        for name, place in self._places.items():
            if name in predecessor._places:
                demand, before = self._demands[place], predecessor._demands[predecessor._places[name]]
                if demand is not None and before is not None:
                    demand.succeed(before)

    def _restore_group(
        self, state: dict[str, Any], key: str, group: dict[str, Any], restore: Callable[[Any, dict[str, Any]], None]
    ) -> None:
        try:
            entries = section(state, key)
        except ValueError as error:
            self._ignored(key, str(error))
            return
        for name in entries:
            try:
                if name not in group:
                    raise ValueError("the configuration no longer has it")
                restore(group[name], section(entries, name))
            except (ValueError, TypeError, KeyError) as error:
                self._ignored(f"{key}/{name}", str(error))

    def _ignored(self, part: str, why: str) -> None:
        message = f"saved {part} is ignored: {why}"
        self._board.emit(EventClass.SYSTEM, "state", "ignored", {"part": part, "message": message})


def _built_in(rulebook: Rulebook, policies: Sequence[OutputPolicy]) -> list[Alarm]:
    trips = [interlocks.trip_alarm(each) for each in rulebook.interlocks]
    bypasses = [interlocks.bypass_alarm(each) for each in rulebook.interlocks if each.bypass_max_s > 0]
    return [*trips, *bypasses, *(outputs.mismatch_alarm(each) for each in policies if each.read_back)]


def _inputs(item: _Item) -> frozenset[str]:
    if isinstance(item, OutputArbiter):
        return frozenset({item.policy.read_back} - {""})
    if isinstance(item, RuleState):
        return item.inputs
    return frozenset() if item.demand is None else item.demand.expression.inputs
