"""A Modbus relay board or drive: the coils and registers that are placed, each with its load."""

from fake_hw.buses.modbus import MODBUS_FAULTS
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.modbus_slave import RegisterSlave

_BROWNOUT = "brownout"


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options
    is_coil = options["kind"] == "coil"
    on, off = (1, 0) if is_coil else (options["on_value"], options["off_value"])
    condition = machine.condition(name, PART.faults)
    point, at = f"{name}.on", options["at"]
    table = {at: off}
    machine.truths.setdefault(point, 0.0)

    def follow() -> None:
        machine.truths[point] = float(table[at] == on)

    def step() -> None:
        if condition.fault == _BROWNOUT:
            condition.heal()
            table[at] = off
        if not condition.plugged:
            table[at] = off
        follow()

    slave = RegisterSlave(coils=table if is_coil else None, holdings=None if is_coil else table, written=follow)
    machine.bus(wiring.kind, wiring.device).attach(options["unit"], slave, condition, wiring.baud)
    machine.steps.append(step)


PART = FakePart(
    name="modbus_output",
    quantities=lambda _wiring: {"on": Quantity(0.0)},
    faults=MODBUS_FAULTS | {_BROWNOUT},
    place=_place,
)
"""`on`: whether the load has power. `brownout`: a dip of the supply, after which everything is off."""
