"""A contact with one resistor in series and one across it, at the end of a long wire."""

from collections.abc import Callable

from fake_hw.faults import Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts import divider
from fake_hw.parts.ads1115 import CHIP_FAULTS, ELEMENT_FAULTS, connect

_WIRE_OHM = 12.0


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options

    def volts(condition: Condition) -> Callable[[], float]:
        probe = machine.probes(name, PART, wiring, condition)[options["channel"]]

        def shown() -> float:
            is_open = probe.value() > 0.5
            loop_ohm = options["line_ohm"] + _WIRE_OHM + (options["contact_ohm"] if is_open else 0.0)
            fault_ohm = {"cut": float("inf"), "short": _WIRE_OHM}.get(condition.fault, loop_ohm)
            return divider.volts(fault_ohm, options["supply_v"], options["pull_ohm"])

        return shown

    connect(machine, name, wiring, volts)


PART = FakePart(
    name="eol_loop",
    quantities=lambda wiring: {wiring.options["channel"]: Quantity(0.0, drift_per_s=0.0)},
    faults=CHIP_FAULTS | ELEMENT_FAULTS,
    place=_place,
)
