"""Avia HX711 as the kernel's driver shows it: 24 bits, most significant first, made offset binary."""

import errno
import random
from collections.abc import Callable, Mapping

from fake_hw.buses.iio import Device
from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring


class Hx711:
    """Its `attributes` are what a read of the kernel's files gives after clocking out a value."""

    def __init__(self, condition: Condition, counts: Callable[[], float], chance: random.Random) -> None:
        self._condition = condition
        self._counts = counts
        self._chance = chance

    def attributes(self) -> Mapping[str, str | int]:
        """The raw value of channel A, or the errno of a part that never pulls DOUT low."""
        fault = self._condition.fault
        if not self._condition.plugged or fault == "nack":
            return {"in_voltage0_raw": errno.EIO}
        return {"in_voltage0_raw": f"{self._bits(fault) ^ 0x800000}\n", "in_voltage_scale": "0.000153295\n"}

    def _bits(self, fault: str) -> int:
        """What is clocked out: two's complement, or what the wire makes of it."""
        fixed = {"zeros": 0x000000, "ones": 0xFFFFFF, "saturated": 0x7FFFFF, "cut": 0x800000}
        if fault in fixed:
            return fixed[fault]
        if fault == "garbage":
            return self._chance.randrange(1 << 24)
        bits = min(0x7FFFFF, max(-0x800000, round(self._counts()))) % (1 << 24)
        return bits ^ 1 << self._chance.randrange(24) if fault == "flip" else bits


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    weight: Probe = machine.probes(name, PART, wiring, condition)["weight"]
    tare, slope = wiring.options["tare"], wiring.options["counts_per_kg"]
    part = Hx711(condition, lambda: tare + slope * weight.value(), machine.chance)
    label = str(wiring.options.get("iio", "hx711"))
    machine.bus(wiring.kind).attach(Device("hx711", part.attributes, "" if label == "hx711" else label))


PART = FakePart(
    name="hx711",
    quantities=lambda _wiring: {"weight": Quantity(7.5, noise=0.002, drift_per_s=0.05, tolerance=0.015)},
    faults=VALUE_FAULTS | {"nack", "zeros", "ones", "saturated", "cut", "flip", "garbage"},
    place=_place,
)
