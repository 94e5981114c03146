"""Eastron SDM120 (its Modbus protocol description V2.4, input registers)."""

from fake_hw.buses.modbus import MODBUS_FAULTS
from fake_hw.faults import VALUE_FAULTS
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts import sdm

# parameter number n of the description stands at 2 (n - 1)
ADDRESSES = {
    "voltage": 0,
    "current": 6,
    "power": 12,
    "power_factor": 30,
    "frequency": 70,
    "import_energy": 72,
    "export_energy": 74,
}


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    sdm.place(machine, name, wiring, PART, ADDRESSES)


PART = FakePart(
    name="sdm120",
    quantities=lambda _wiring: {
        "voltage": Quantity(230.4, noise=0.02, drift_per_s=2.0, tolerance=0.2),
        "current": Quantity(11.25, noise=0.001, drift_per_s=0.5, tolerance=0.01),
        "power": Quantity(2540.0, noise=0.1, drift_per_s=50.0, tolerance=0.8),
        "power_factor": Quantity(0.98, drift_per_s=0.01, tolerance=0.001),
        "frequency": Quantity(50.02, noise=0.001, drift_per_s=0.1, tolerance=0.02),
        "import_energy": Quantity(1234.56, drift_per_s=0.1, tolerance=0.02),
        "export_energy": Quantity(7.89, drift_per_s=0.1, tolerance=0.02),
    },
    faults=MODBUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
