"""What the wire of a transmitter says: 4-20 mA in a shunt, 0-10 V behind a divider, 0.5-4.5 V, on any converter.

Standard: NAMUR NE 43 (2003), signal level for the failure information of digital transmitters. Its limits are
milliamperes of a 4-20 mA loop; other signals have the same parts of their span.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from gateway.core.driver import Channel
from gateway.core.errors import SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample

FAILURE_LOW_MA, VALID_LOW_MA, VALID_HIGH_MA, FAILURE_HIGH_MA = 3.6, 3.8, 20.5, 21.0
FAILURE_PERSISTS_S = 4.0
"""How long NE 43 lets a failure signal stand before it is one."""
_LOW_MA, _SPAN_MA = 4.0, 16.0

SignalName = Literal["4-20 mA", "0-20 mA", "0-10 V", "2-10 V", "0-5 V", "1-5 V", "0.5-4.5 V"]


class Band(Enum):
    """Where a signal lies."""

    FAILURE_LOW = "failure low"
    BELOW = "below the range"
    VALID = "valid"
    ABOVE = "above the range"
    FAILURE_HIGH = "failure high"


@dataclass(frozen=True, slots=True)
class Scaling:
    """The straight line from a signal to a quantity. low, high: the signal's range, in `unit` ("mA" or "V").

    at_low, at_high: what they mean. per_volt: how much of the signal is one volt at the converter.
    """

    low: float
    high: float
    at_low: float
    at_high: float
    per_volt: float = 1.0
    unit: str = "V"

    def __post_init__(self) -> None:
        if self.high <= self.low:
            raise ValueError(
                f"high ({self.high} {self.unit}) must be above low ({self.low} {self.unit}); "
                "swap at_low and at_high instead"
            )
        if self.at_low == self.at_high:
            raise ValueError(f"at_low and at_high are both {self.at_low}: the signal would mean nothing")

    @property
    def highest_v(self) -> float:
        """Volts at the converter that are a failure: it must be able to see them."""
        return self._signal(FAILURE_HIGH_MA) / self.per_volt

    def part(self, volts: float) -> float:
        """The part of the signal's span, 0 at low and 1 at high; rounded, so that a limit is met exactly."""
        return round((volts * self.per_volt - self.low) / (self.high - self.low), 9)

    def value(self, volts: float) -> float:
        """What the signal means."""
        return self.at_low + self.part(volts) * (self.at_high - self.at_low)

    def band(self, volts: float) -> Band:
        """Where NE 43 puts the signal."""
        part = self.part(volts)
        if part <= _part(FAILURE_LOW_MA):
            return Band.FAILURE_LOW
        if part >= _part(FAILURE_HIGH_MA):
            return Band.FAILURE_HIGH
        if part < _part(VALID_LOW_MA):
            return Band.BELOW
        return Band.ABOVE if part > _part(VALID_HIGH_MA) else Band.VALID

    def channel(self, name: str, unit: str, digits: int = 2) -> Channel:
        """The channel of a transmitter: its valid range, and no more than all of it in one second."""
        span = self.at_high - self.at_low
        ends = self.at_low + _part(VALID_LOW_MA) * span, self.at_low + _part(VALID_HIGH_MA) * span
        return Channel(name, unit, min(ends), max(ends), digits=digits, max_per_s=abs(span))

    def told(self, volts: float) -> str:
        """The signal in its own unit, for a message."""
        return f"{volts * self.per_volt:.3f} {self.unit}"

    def _signal(self, loop_ma: float) -> float:
        return self.low + _part(loop_ma) * (self.high - self.low)


def scaling(signal: SignalName, at_low: float, at_high: float, *, shunt_ohm: float, divider: float) -> Scaling:
    """The line of a standard signal. divider: volts of the signal per volt at the converter.

    Raises ValueError for a current without a shunt, a voltage with one, and a current behind a divider.
    """
    range_text, unit = signal.split()
    low, high = range_text.split("-")
    if (shunt_ohm and unit == "V") or (divider != 1 and unit == "mA"):
        raise ValueError(f"a signal of {signal} has no {'shunt' if unit == 'V' else 'divider'}: remove that key")
    if unit == "V":
        return Scaling(float(low), float(high), at_low, at_high, divider)
    if not shunt_ohm:
        raise ValueError(f"a signal of {signal} needs the key 'shunt', e.g. shunt: 150 Ohm")
    return Scaling(float(low), float(high), at_low, at_high, 1000.0 / shunt_ohm, "mA")


class Transmitter:
    """One transmitter's signal over time. A failure is never a Good value, from the first conversion that shows it.

    patience_s: how long the failure of a transmitter that has worked is only Uncertain, before it is BadSensorFailure.
    One that has not been seen working gets no such time, so that a driver opened anew does not give it again.
    """

    def __init__(
        self,
        scaling: Scaling,
        channel: str,
        where: str,
        patience_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scaling = scaling
        self._channel = channel
        self._where = where
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._works = False
        self._failing_since_s: float | None = None

    def sample(self, volts: float) -> Sample:
        """The quantity now. Raises SensorFailure."""
        band = self._scaling.band(volts)
        value = self._scaling.value(volts)
        if band in (Band.FAILURE_LOW, Band.FAILURE_HIGH):
            self._failed(band, volts)
            detail = f"{self._where} has {self._scaling.told(volts)}: a failure if it stays so"
            return Sample(self._channel, value, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, detail)
        self._works, self._failing_since_s = True, None
        if band is Band.VALID:
            return Sample(self._channel, value)
        detail = f"{self._where} has {self._scaling.told(volts)}, {band.value}: no failure yet"
        return Sample(self._channel, value, Reason.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, detail)

    def _failed(self, band: Band, volts: float) -> None:
        now_s = self._monotonic()
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if self._works and now_s - self._failing_since_s < self._patience_s:
            return
        scaling = self._scaling
        if band is Band.FAILURE_HIGH:
            limit = f"above the range's {scaling.high:g} {scaling.unit}"
            cause = "short circuit or the transmitter reports a fault"
        elif scaling.low > 0:
            limit = f"below the live zero of {scaling.low:g} {scaling.unit}"
            cause = "broken wire or transmitter without power"
        else:
            limit, cause = f"below {scaling.low:g} {scaling.unit}", "its wires are swapped"
        raise SensorFailure(f"{self._where} has {scaling.told(volts)}, {limit}: {cause}")


def _part(loop_ma: float) -> float:
    return round((loop_ma - _LOW_MA) / _SPAN_MA, 9)
