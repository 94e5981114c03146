"""Eastron SDM630 V2 (its Modbus protocol description V1.8, input registers)."""

from fake_hw.buses.modbus import MODBUS_FAULTS
from fake_hw.faults import VALUE_FAULTS
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts import sdm

# parameter number n of the description stands at 2 (n - 1)
ADDRESSES = {
    **{f"voltage_l{phase}": 2 * (phase - 1) for phase in (1, 2, 3)},
    **{f"current_l{phase}": 4 + 2 * phase for phase in (1, 2, 3)},
    **{f"power_l{phase}": 10 + 2 * phase for phase in (1, 2, 3)},
    "power": 52,
    "power_factor": 62,
    "frequency": 70,
    "import_energy": 72,
    "export_energy": 74,
}


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    sdm.place(machine, name, wiring, PART, ADDRESSES)


PART = FakePart(
    name="sdm630",
    quantities=lambda _wiring: {
        **{f"voltage_l{phase}": Quantity(229.0 + phase, 0.02, 2.0, 0.2) for phase in (1, 2, 3)},
        **{f"current_l{phase}": Quantity(20.0 + phase, 0.001, 0.5, 0.01) for phase in (1, 2, 3)},
        **{f"power_l{phase}": Quantity(4500.0 + 100 * phase, 0.1, 50.0, 0.8) for phase in (1, 2, 3)},
        "power": Quantity(14_100.0, noise=0.2, drift_per_s=50.0, tolerance=1.5),
        "power_factor": Quantity(0.95, drift_per_s=0.01, tolerance=0.001),
        "frequency": Quantity(49.98, noise=0.001, drift_per_s=0.1, tolerance=0.02),
        "import_energy": Quantity(23_456.5, drift_per_s=0.1, tolerance=0.02),
        "export_energy": Quantity(12.25, drift_per_s=0.1, tolerance=0.02),
    },
    faults=MODBUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
