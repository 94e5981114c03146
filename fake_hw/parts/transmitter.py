"""A transmitter: a voltage at the converter's input for its range, and past it for its own diagnosis."""

import random

from fake_hw.faults import Condition, Probe

_SUPPLY_V = 5.0
# Parts of the span that a transmitter still follows the quantity to (3.68 mA and 20.8 mA of a 4-20 mA loop).
_UNDER, _OVER = -0.02, 1.05


class LoopTransmitter:
    """Its output against ground; the ADC's input resistance pulls a cut wire to 0 V. ends_v: for at_low and at_high."""

    def __init__(
        self,
        condition: Condition,
        probe: Probe,
        at_low: float,
        at_high: float,
        chance: random.Random,
        *,
        ends_v: tuple[float, float] = (0.5, 4.5),
    ) -> None:
        self._condition = condition
        self._probe = probe
        self._at_low, self._at_high = at_low, at_high
        self._chance = chance
        self._low_v, self._high_v = ends_v

    def volts(self) -> float:
        """The voltage now: cut or unplugged 0 V, `ones` or `short` its supply, `garbage` anything."""
        fault = self._condition.fault
        if not self._condition.plugged or fault == "cut":
            return 0.0
        if fault in {"ones", "short"}:
            return max(_SUPPLY_V, self._high_v * 1.1)
        if fault == "garbage":
            return self._chance.uniform(0.0, _SUPPLY_V)
        share = (self._probe.value() - self._at_low) / (self._at_high - self._at_low)
        return self._low_v + min(_OVER, max(_UNDER, share)) * (self._high_v - self._low_v)
