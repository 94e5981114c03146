"""The board everything in a step reads and writes: points, claims on outputs, causes of alarms, what happened."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.event import Event, EventClass
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Reading, Value
from rules.arbitration import Claim, PriorityArray
from rules.expression import Expression

SECOND_NS = 1_000_000_000
GRACE_NS = 10 * SECOND_NS
"""How long after the first step a point may be without its first value before that counts as a bad input."""

_BAD = frozenset(reason for reason in Reason if reason.quality is Quality.BAD)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something happened: a sentence, and the inputs with their values then (None: unusable)."""

    reason: str
    inputs: dict[str, Value | None]


class Board:
    """Owned by the one thread that steps the engine; `points` may be read from any thread.

    values holds the usable points only (Good and Uncertain). forced: items that must look again, by name.
    changed: points whose value or usability changed since conditions were last looked at.
    """

    def __init__(self, units: Mapping[str, str], arrays: dict[str, PriorityArray], alarms: Iterable[str]) -> None:
        self.units = dict(units)
        self.arrays = arrays
        self.causes: dict[str, dict[str, Cause]] = {name: {} for name in alarms}
        self.ended: dict[str, Cause] = {}
        waiting = Reason.BAD_WAITING_FOR_INITIAL_DATA
        self.points = {name: Reading(name, None, waiting, 0, "no data yet") for name in units}
        self.values: dict[str, Value] = {}
        self.now_ns = 0
        self.grace_until_ns = 0
        self.events: list[Event] = []
        self.edge = False
        self.changed: set[str] = set()
        self.forced: set[str] = set()
        self._seen: set[str] = set()
        self._switches = frozenset(name for name, unit in units.items() if unit == "")

    def learn(self, readings: Iterable[Reading]) -> None:
        """Take readings in order and note which points changed. A value of the wrong type or not finite is unusable."""
        points, values, switches = self.points, self.values, self._switches
        for reading in readings:
            name, value = reading.point, reading.value
            if name in points:
                points[name] = reading
            else:  # another thread may be iterating: never change the size of a published dict
                points = self.points = {**points, name: reading}
            if value is None or reading.reason in _BAD or not _fits(value, name in switches):
                if values.pop(name, None) is not None:
                    self.changed.add(name)
            elif values.get(name) != value:
                values[name] = value
                self._seen.add(name)
                self.changed.add(name)

    def waiting(self, inputs: Iterable[str]) -> bool:
        """Just started, and an input has never had a usable value yet."""
        return self.now_ns < self.grace_until_ns and not self._seen.issuperset(inputs)

    def cause(self, prefix: str, expression: Expression) -> Cause:
        """The sentence `prefix: condition with values`, and those values."""
        inputs = {name: self.values.get(name) for name in sorted(expression.inputs)}
        return Cause(f"{prefix}: {expression.explain(self._show)}", inputs)

    def emit(self, kind: EventClass, subject: str, what: str, data: dict[str, Any]) -> None:
        """Record something that happened now."""
        self.events.append(Event(kind, subject, what, self.now_ns, data))

    def claim(self, output: str, slot: int, holder: str, claim: Claim) -> None:
        """Fill a slot of an output on behalf of `holder`; the arbiter looks at it in this step."""
        self.arrays[output].put(slot, holder, claim)
        self.forced.add(f"output {output}")

    def release(self, output: str, slot: int, holder: str, cause: Cause) -> None:
        """Empty what `holder` had in a slot; `cause` says why it let go."""
        if self.arrays[output].drop(slot, holder):
            self.arrays[output].released = Claim(False, cause.reason, cause.inputs)
            self.forced.add(f"output {output}")

    def raise_alarm(self, alarm: str, source: str, cause: Cause) -> None:
        """Keep an alarm's condition on for `source`."""
        self.causes[alarm][source] = cause
        self.forced.add(f"alarm {alarm}")

    def lower_alarm(self, alarm: str, source: str, cause: Cause) -> None:
        """`source` no longer needs the alarm; `cause` says why."""
        if self.causes[alarm].pop(source, None) is not None:
            self.ended[alarm] = cause
            self.forced.add(f"alarm {alarm}")

    def _show(self, point: str) -> str:
        value = self.values.get(point)
        if value is None:
            return f"unknown ({self.points[point].reason.value})"
        return shown(value, self.units.get(point, ""))


def shown(value: Value, unit: str = "") -> str:
    """A value for a person: `on`, `31.2 %{LEL}`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if unit in ("", "1") else f"{value:g} {unit}"


def _fits(value: Value, is_switch: bool) -> bool:
    if isinstance(value, bool) or is_switch:
        return isinstance(value, bool) and is_switch
    return value - value == 0  # false for infinities and NaN
