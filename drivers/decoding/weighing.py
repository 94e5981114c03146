"""From a load cell's counts to kilograms, whether the load stands still, and how many pieces lie there."""

import math
from collections import deque

from gateway.core.driver import Channel
from gateway.core.errors import InvalidData
from gateway.core.quality import Reason
from gateway.core.reading import Sample

CERTAIN_WITHIN = 0.25
"""Of a piece's weight: so far from a whole number of pieces the count is certain; further off it is a guess."""


def mass_kg(raw: int, tare: int, counts_per_kg: float) -> float:
    """Kilograms of a converter's counts. tare: those of the empty platform. counts_per_kg: below 0 if they fall."""
    return (raw - tare) / counts_per_kg


def refuse_saturated(raw: int, lowest: int, highest: int) -> None:
    """Raises InvalidData when the converter is at an end of its range: it then says no more than 'beyond'."""
    if not lowest < raw < highest:
        raise InvalidData(
            f"the converter is at its limit ({raw}): overloaded, or a wire of the load cell (E+, E-, S+, S-) is off"
        )


class Settling:
    """The last weights of one scale. The load stands still when all of them lie within a band."""

    def __init__(self, weights: int, within_kg: float) -> None:
        self._last: deque[float] = deque(maxlen=weights)
        self._within_kg = within_kg

    def is_still(self, weight_kg: float) -> bool:
        """Remember a weight; True when as many as wanted have been seen and none is far from another."""
        self._last.append(weight_kg)
        return len(self._last) == self._last.maxlen and max(self._last) - min(self._last) <= self._within_kg

    def forget(self) -> None:
        """Begin anew: a weight is missing in between."""
        self._last.clear()


def channels(capacity_kg: float, unit_weight_g: float) -> tuple[Channel, ...]:
    """`weight`, `stable`, and `count` when a piece's weight is known (above 0)."""
    weight = Channel("weight", "kg", -capacity_kg, capacity_kg, digits=4)
    if not unit_weight_g:
        return (weight, Channel("stable"))
    most = math.floor(1000 * capacity_kg / unit_weight_g)
    return (weight, Channel("stable"), Channel("count", "1", 0, most, digits=0))


def samples(weight_kg: float, stable: bool, unit_weight_g: float) -> tuple[Sample, ...]:
    """The samples of `channels`, in their order."""
    weighed = (Sample("weight", weight_kg), Sample("stable", stable))
    return (*weighed, count(weight_kg, stable, unit_weight_g)) if unit_weight_g else weighed


def count(weight_kg: float, stable: bool, unit_weight_g: float) -> Sample:
    """The nearest whole number of pieces.

    UncertainSensorNotAccurate while the load moves, or when the weight lies more than CERTAIN_WITHIN of a piece from
    that number: then a foreign thing lies there, the pieces differ, or the scale is too coarse for them.
    """
    pieces = 1000 * weight_kg / unit_weight_g
    nearest = math.floor(pieces + 0.5)
    certain = stable and abs(pieces - nearest) <= CERTAIN_WITHIN
    return Sample("count", float(nearest), Reason.GOOD if certain else Reason.UNCERTAIN_SENSOR_NOT_ACCURATE)
