"""A lamp or buzzer: lit while it has power."""

from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.gpio_load import LOAD_FAULTS, GpioLoad


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)

    def tell() -> None:
        machine.truths[f"{name}.on"] = float(load.has_power())

    load = GpioLoad(machine, condition, wiring, tell)
    tell()


PART = FakePart(
    name="annunciator",
    quantities=lambda _wiring: {"on": Quantity(0.0)},
    faults=LOAD_FAULTS,
    place=_place,
)
