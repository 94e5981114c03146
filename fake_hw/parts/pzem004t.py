"""Peacefair PZEM-004T v3: ten input registers and three holding registers (its manual, section 2.3)."""

from collections.abc import Callable

from fake_hw.buses.modbus import MODBUS_FAULTS
from fake_hw.faults import VALUE_FAULTS
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.modbus_slave import RegisterSlave

_THRESHOLD_W = 0x59D8
_DELIVERED = 1  # the unit number it has when new


def pzem004t(unit: int, measured: Callable[[str], float]) -> RegisterSlave:
    """The meter's controller. measured: the driver's channel → what flows now, in V, A, W, Wh, Hz."""
    inputs = dict.fromkeys(range(10), 0)
    holdings = {0: 0, 1: _THRESHOLD_W, 2: unit}

    def measure() -> None:
        """0.1 V, mA, 0.1 W and Wh as two words with the low one first, 0.1 Hz, 0.01, alarm."""
        pairs = (round(measured("current") * 1000), round(measured("power") * 10), int(measured("energy")))
        halves = [half for value in pairs for half in (value & 0xFFFF, value >> 16 & 0xFFFF)]
        alarm = 0xFFFF if measured("power") > holdings[1] else 0
        factor = round(measured("power_factor") * 100)
        row = [round(measured("voltage") * 10), *halves, round(measured("frequency") * 10), factor, alarm]
        inputs.update(enumerate(row))

    return RegisterSlave(inputs=inputs, holdings=holdings, before=measure)


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    unit = wiring.options.get("unit", _DELIVERED)
    slave = pzem004t(unit, lambda channel: max(0.0, probes[channel].value()))
    machine.bus(wiring.kind, wiring.device or wiring.url).attach(unit, slave, condition, wiring.baud)


PART = FakePart(
    name="pzem004t",
    quantities=lambda _wiring: {
        "voltage": Quantity(221.5, noise=0.05, drift_per_s=2.0, tolerance=0.35),
        "current": Quantity(6.2, noise=0.0005, drift_per_s=0.5, tolerance=0.004),
        "power": Quantity(1351.3, noise=0.05, drift_per_s=50.0, tolerance=0.35),
        "energy": Quantity(70_000.0, drift_per_s=10.0, tolerance=1.0),
        "frequency": Quantity(60.0, noise=0.01, drift_per_s=0.1, tolerance=0.11),
        "power_factor": Quantity(0.98, drift_per_s=0.01, tolerance=0.0051),
    },
    faults=MODBUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
