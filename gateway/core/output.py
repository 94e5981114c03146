"""What the gateway drives, as declared, and what was decided for it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from gateway.core.reading import Value


class Slot(IntEnum):
    """The 16 priorities of an output with BACnet's meaning; `tests/oracles/bacnet_priority.csv` is the law.

    RELINQUISH_DEFAULT is not a slot: it says that all sixteen are empty and the safe value holds.
    """

    RELINQUISH_DEFAULT = 0
    ESTOP = 1
    LIFE_SAFETY = 2
    EQUIPMENT_TRIP = 3
    PERMISSIVE = 4
    EQUIPMENT_SEQUENCE = 5
    MIN_ON_OFF = 6
    START_STAGGER = 7
    MANUAL = 8
    REMOTE_MANUAL = 9
    LOAD_SHED = 10
    RESERVED = 11
    RULE_HIGH = 12
    RULE = 13
    OCCUPANCY = 14
    SCHEDULE = 15
    CONTROL = 16


@dataclass(frozen=True, slots=True)
class OutputPolicy:
    """What the arbiter must know of an output. Times in seconds; 0 means no such limit.

    unit: "" of a two-state output, whose values are bool; "%" of an analog one, whose values are 0.0 to 100.0.
    safe: the relinquish default, driven at start, at stop and when a lease lapses.
    lease_s: how long a decision holds without being refreshed. max_on_s acts as slot 4.
    read_back: the point that proves the real state, "" when none is wired; read_back_s: how long it may differ.
    """

    name: str
    safe: Value = False
    lease_s: float = 3.0
    min_on_s: float = 0.0
    min_off_s: float = 0.0
    max_on_s: float = 0.0
    read_back: str = ""
    read_back_s: float = 2.0
    unit: Literal["", "%"] = ""

    @property
    def point(self) -> str:
        """The point that follows the output: `fan.on` of a two-state one, `fan.level` of an analog one."""
        return f"{self.name}.level" if self.unit else f"{self.name}.on"

    @property
    def off(self) -> Value:
        """Its value when it is off."""
        return 0.0 if self.unit else False

    def value_of(self, asked: Value) -> Value:
        """This output's value for what was asked: on and off are 100 and 0 % of an analog one.

        The one place that says what an output may be set to. Raises ValueError with what may be asked.
        """
        if isinstance(asked, bool):
            return 100.0 * asked if self.unit else asked
        if not self.unit:
            raise ValueError(f"{self.name} is on or off, not {asked:g}: say on or off")
        if not 0.0 <= asked <= 100.0:
            raise ValueError(f"{self.name} goes from 0 to 100 %, not to {asked:g}: say a level between")
        return float(asked)


@dataclass(frozen=True, slots=True)
class OutputState:
    """An output now: the value commanded, the slot that holds it, and why."""

    name: str
    value: Value
    slot: Slot
    reason: str
    since_ns: int
