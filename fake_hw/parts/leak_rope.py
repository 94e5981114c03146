"""A sensing rope: water joins its conductors, parallel to the resistor at its end."""

from collections.abc import Callable

from fake_hw.faults import Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts import divider
from fake_hw.parts.ads1115 import CHIP_FAULTS, ELEMENT_FAULTS, connect

_WATER_OHM = 8000.0


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options
    point = f"{name}.resistance"

    def volts(condition: Condition) -> Callable[[], float]:
        probes = machine.probes(name, PART, wiring, condition)

        def shown() -> float:
            rope_ohm = 1.0 / (1.0 / options["end_ohm"] + probes["wet"].value() / _WATER_OHM)
            machine.truths[point] = rope_ohm
            fault_ohm = {"cut": float("inf"), "short": 0.0}.get(condition.fault, rope_ohm)
            return divider.volts(fault_ohm, options["supply_v"], options["pull_ohm"])

        return shown

    connect(machine, name, wiring, volts)


PART = FakePart(
    name="leak_rope",
    quantities=lambda wiring: {
        "wet": Quantity(0.0, drift_per_s=0.0),
        "resistance": Quantity(wiring.options["end_ohm"], tolerance=wiring.options["end_ohm"] / 100),
    },
    faults=CHIP_FAULTS | ELEMENT_FAULTS,
    place=_place,
)
