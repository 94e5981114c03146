"""A heated tin-dioxide element: its resistance falls with the gas, along a straight line in double logarithms."""

import math
from collections.abc import Callable

from fake_hw.faults import Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.ads1115 import CHIP_FAULTS, ELEMENT_FAULTS, connect


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options

    def volts(condition: Condition) -> Callable[[], float]:
        probe = machine.probes(name, PART, wiring, condition)["concentration"]

        def shown() -> float:
            if condition.fault == "cut":
                return 0.0
            supply_v = options["supply_v"] / options["divider"]
            if condition.fault == "short":
                return float(supply_v)
            logarithm = (math.log10(max(probe.value(), 1e-3)) - math.log10(options["scale"])) / options["exponent"]
            element_ohm = options["r0_ohm"] * 10.0**logarithm
            return float(supply_v * options["load_ohm"] / (options["load_ohm"] + element_ohm))

        return shown

    connect(machine, name, wiring, volts)


PART = FakePart(
    name="mq_gas",
    quantities=lambda _wiring: {"concentration": Quantity(1000.0, noise=2.0, drift_per_s=10.0, tolerance=60.0)},
    faults=CHIP_FAULTS | ELEMENT_FAULTS,
    place=_place,
)
