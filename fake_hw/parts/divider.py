"""A resistance against ground below a known resistor: which voltage lies between them."""


def volts(ohm: float, supply_v: float, pull_ohm: float) -> float:
    """By Ohm's law from the current through both; no current through an infinite resistance."""
    if ohm == float("inf"):
        return supply_v
    current_a = supply_v / (pull_ohm + ohm)
    return supply_v - current_a * pull_ohm
