"""Something that happened and must be kept: an alarm's change, a decision, an audit line, a scan, our own news."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class EventClass(StrEnum):
    """The kinds of record on the events lane; each has its own account and topic `ev/<class>`."""

    ALARM = "alarm"
    OUTPUT = "output"
    AUDIT = "audit"
    SYSTEM = "system"
    DEVICE = "device"  # a driver's Occurrence


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `subject` is the alarm, output, interlock, device or process it is about; `data` is JSON-ready.

    time_ns: CLOCK_BOOTTIME. An OUTPUT event's data: value, before, slot, reason, inputs (point → value or null),
    overruled (slot → value). An AUDIT event's: verb, who, role, ok, message and the command's fields.
    """

    kind: EventClass
    subject: str
    what: str  # the new state or the verb, e.g. "UNACK", "off", "set", "started"
    time_ns: int
    data: dict[str, Any]
