"""A resistance measured in a voltage divider: supply, known resistor, input, unknown resistance, ground."""

import math


def resistance_ohm(volts: float, supply_v: float, pull_ohm: float) -> float:
    """Ohms between the input and ground; infinite when the input has the supply's voltage, 0 when it has none."""
    if volts >= supply_v:
        return math.inf
    return pull_ohm * max(0.0, volts) / (supply_v - volts)


def told_ohm(ohm: float) -> str:
    """A resistance for a message."""
    if math.isinf(ohm):
        return "no current flows"
    return f"{ohm / 1000:.2f} kOhm" if ohm >= 1000 else f"{ohm:.0f} Ohm"
