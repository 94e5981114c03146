"""What control hands over for keeping: numbered records, each with an identity given once; and what becomes of them."""

from dataclasses import dataclass
from enum import StrEnum


class Lane(StrEnum):
    """A sequence of record numbers; contiguous within one run."""

    TELEMETRY = "telemetry"
    EVENTS = "events"


class RecordClass(StrEnum):
    """The unit of accounting. Telemetry fills its own lane, the others share the events lane."""

    TELEMETRY = "telemetry"
    ALARM = "alarm"
    OUTPUT = "output"
    AUDIT = "audit"
    SYSTEM = "system"
    DEVICE = "device"

    @property
    def lane(self) -> Lane:
        """The lane its records are numbered in."""
        return Lane.TELEMETRY if self is RecordClass.TELEMETRY else Lane.EVENTS


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows `first` … `last` of one run and lane, as one body that nobody parses on the way.

    mono: CLOCK_BOOTTIME, ts: wall clock, both ms, of the first row. body: a JSON array of `count` rows.
    """

    run: str
    lane: Lane
    kind: RecordClass
    first: int
    count: int
    boot: str
    mono: int
    ts: int
    trusted: bool
    sim: bool
    body: bytes

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + self.count - 1


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers `first` … `last` that are lost for good, and why (one word)."""

    run: str
    lane: Lane
    kind: RecordClass
    first: int
    last: int
    cause: str = "overflow"

    @property
    def count(self) -> int:
        """How many records are lost."""
        return self.last - self.first + 1


class Outcome(StrEnum):
    """What finally became of a stored batch."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch and the row it lies in; `epoch` names the life of the database file that gave the number."""

    row: int
    epoch: str
    batch: Batch


@dataclass(frozen=True, slots=True)
class Settlement:
    """A stored batch and its outcome, to be booked with the next commit."""

    stored: Stored
    outcome: Outcome
