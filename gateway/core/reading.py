"""What was seen: a driver's `Sample` and the poller's `Reading`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.quality import Quality, Reason

Value = float | bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value of one channel, as a driver saw it.

    A driver returns samples or raises; it never returns an old value as new. `value` is in the channel's unit.
    A device that fails as a whole raises; where one channel of several has no value, its sample is `missing`.
    time_ns: CLOCK_BOOTTIME of the measurement, where a read waits for the device to speak; 0: as the read began.
    """

    channel: str
    value: Value
    reason: Reason = Reason.GOOD
    detail: str = ""  # words for a person when it is not good
    time_ns: int = 0

    @staticmethod
    def missing(channel: str, reason: Reason, detail: str) -> "Sample":
        """The channel has no value now, while others of its device have one. reason: Bad…"""
        return Sample(channel, math.nan, reason, detail)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened once at a device, such as a scan: never repeated, never sampled away.

    It becomes an event about the device; `what` is its verb, e.g. "scanned": a small letter, then small letters,
    digits and _. data: JSON-ready.
    """

    what: str
    data: Mapping[str, str | float | bool]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the gateway knows of one point at one instant. Only the poller makes readings.

    point: ``device.channel``. value: in the point's unit; None exactly when the quality is BAD.
    time_ns: CLOCK_BOOTTIME, nanoseconds. detail: words for a person, empty when good.
    """

    point: str
    value: Value | None
    reason: Reason
    time_ns: int
    detail: str = ""

    @property
    def quality(self) -> Quality:
        """Good, Uncertain or Bad."""
        return self.reason.quality
