"""A part that a kernel driver reads: one attribute in thousandths of its unit."""

import errno
from collections.abc import Mapping

from fake_hw.buses.iio import Device
from fake_hw.faults import VALUE_FAULTS
from fake_hw.machine import FakePart, Machine, Quantity, Wiring


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    options = wiring.options
    element = machine.probes(name, PART, wiring, condition)[options["channel"]]

    def attributes() -> Mapping[str, str | int]:
        fault = condition.fault
        if not condition.plugged or fault == "nack":
            return {options["attribute"]: errno.EIO}
        if fault == "hang":
            return {options["attribute"]: errno.ETIMEDOUT}
        text = f"{round((element.value() - options['zero']) / options['scale'])}\n"
        special = {"empty": "", "garbage": "nonsense\n", "ones": "4294967295\n"}
        if fault == "flip":
            text = f"{int(text) ^ 1 << machine.chance.randrange(10)}\n"
        return {options["attribute"]: special.get(fault, text)}

    machine.bus(wiring.kind).attach(Device(options["sensor"], attributes))


def _quantities(wiring: Wiring) -> dict[str, Quantity]:
    middle = (wiring.options["low"] + wiring.options["high"]) / 2
    return {wiring.options["channel"]: Quantity(middle, noise=0.01, tolerance=0.06)}


PART = FakePart(
    "kernel_sensor", _quantities, VALUE_FAULTS | {"nack", "hang", "empty", "garbage", "ones", "flip"}, _place
)
