"""A three-wire transmitter: 0.5 V to 4.5 V for its range, and past it for its own diagnosis."""

import random

from fake_hw.faults import Condition, Probe

_LOW_V, _HIGH_V = 0.5, 4.5
_LOWEST_V, _HIGHEST_V, _SUPPLY_V = 0.42, 4.7, 5.0


class LoopTransmitter:
    """Its output against ground; the ADC's input resistance pulls a cut wire to 0 V."""

    def __init__(
        self, condition: Condition, probe: Probe, at_low: float, at_high: float, chance: random.Random
    ) -> None:
        self._condition = condition
        self._probe = probe
        self._at_low, self._at_high = at_low, at_high
        self._chance = chance

    def volts(self) -> float:
        """The voltage now: cut or unplugged 0 V, `ones` shorted to its supply, `garbage` anything."""
        fault = self._condition.fault
        if not self._condition.plugged or fault == "cut":
            return 0.0
        if fault == "ones":
            return _SUPPLY_V
        if fault == "garbage":
            return self._chance.uniform(0.0, _SUPPLY_V)
        share = (self._probe.value() - self._at_low) / (self._at_high - self._at_low)
        return min(_HIGHEST_V, max(_LOWEST_V, _LOW_V + share * (_HIGH_V - _LOW_V)))
