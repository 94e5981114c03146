"""What a site declares: interlocks, alarms and rules as frozen data, in seconds and UCUM units."""

from dataclasses import dataclass
from typing import Literal

from gateway.core.output import Slot
from gateway.core.reading import Value

Effect = Value | Literal["inhibit_start"]
"""What an interlock forces: a value, or `inhibit_start` (the output may stop, it may not start)."""


@dataclass(frozen=True, slots=True)
class BadInput:
    """What a bad or silent input does to a condition that needs it.

    trip: the interlock acts. off: as if the condition were false. on: as if it were true.
    hold: the last verdict stays for at most `hold_s`, then an interlock trips, and a rule or alarm goes false.
    """

    policy: Literal["trip", "off", "on", "hold"]
    hold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Interlock:
    """Forces outputs while its cause stands. `trip` acts when the condition is true, `permissive` when it is false.

    latch: stays tripped after the cause is gone until `reset` by an installer. bypass_max_s: 0 means forbidden.
    """

    name: str
    kind: Literal["trip", "permissive"]
    condition: str
    outputs: dict[str, Effect]
    on_bad_input: BadInput
    slot: Slot = Slot.LIFE_SAFETY
    for_s: float = 0.0
    latch: bool = True
    bypass_max_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Tells people. States and transitions are ISA-18.2's (`tests/oracles/alarm_transitions.csv`).

    condition: "" for an alarm that only rules raise. text: language code → message.
    """

    name: str
    condition: str = ""
    for_s: float = 0.0
    off_delay_s: float = 0.0
    priority: Literal["low", "medium", "high", "urgent"] = "medium"
    group: str = ""
    latch: bool = False
    shelve_max_s: float = 8 * 3600.0
    on_bad_input: BadInput = BadInput("hold", 60.0)
    text: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SetOutput:
    """Hold an output at a value in the rule's slot while the rule is active."""

    output: str
    value: Value


@dataclass(frozen=True, slots=True)
class RaiseAlarm:
    """Keep an alarm's condition on while the rule is active."""

    alarm: str


@dataclass(frozen=True, slots=True)
class Log:
    """Record a SYSTEM event with this text when the rule becomes active."""

    text: str


Action = SetOutput | RaiseAlarm | Log


@dataclass(frozen=True, slots=True)
class Rule:
    """While active, `then` holds: from `condition` (after for_s) until `until` (default: the condition is false).

    off_delay_s: stays active that long after its end.
    """

    name: str
    condition: str
    then: tuple[Action, ...]
    until: str = ""
    for_s: float = 0.0
    off_delay_s: float = 0.0
    slot: Slot = Slot.RULE
    on_bad_input: BadInput = BadInput("off")


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Everything the engine needs. points: name → UCUM unit ("" = two-state)."""

    points: dict[str, str]
    interlocks: tuple[Interlock, ...]
    alarms: tuple[Alarm, ...]
    rules: tuple[Rule, ...]
