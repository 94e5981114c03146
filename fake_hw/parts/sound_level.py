"""DFRobot SEN0232: 50 dB(A) per volt, from 0.6 V at 30 dB(A)."""

from collections.abc import Callable

from fake_hw.faults import Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.ads1115 import CHIP_FAULTS, ELEMENT_FAULTS, connect

_SUPPLY_V = 3.3
_LOWEST_DB, _HIGHEST_DB = 30.0, 130.0


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    def volts(condition: Condition) -> Callable[[], float]:
        probe = machine.probes(name, PART, wiring, condition)["level"]

        def shown() -> float:
            if condition.fault == "cut":
                return 0.0
            if condition.fault == "short":
                return _SUPPLY_V
            return min(_HIGHEST_DB, max(_LOWEST_DB, probe.value())) / 50.0

        return shown

    connect(machine, name, wiring, volts)


PART = FakePart(
    name="sound_level",
    quantities=lambda _wiring: {"level": Quantity(62.0, noise=0.05, drift_per_s=1.0, tolerance=0.3)},
    faults=CHIP_FAULTS | ELEMENT_FAULTS,
    place=_place,
)
