"""A relay behind a driver board on a GPIO line; its truth is what the contact does."""

from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_WELDED, _CUT = "welded", "cut"


def contact(fault: str, energised: bool, closed: bool) -> bool:
    """Whether the contact is closed: one that welded (it was closed before) stays so, a cut coil never pulls."""
    if fault == _WELDED:
        return closed or energised
    return energised and fault != _CUT


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    line, active = wiring.options["line"], int(wiring.options["active"] == "high")
    condition = machine.condition(name, PART.faults)
    point = f"{name}.on"
    machine.bus(wiring.kind, wiring.device)
    machine.lines.wire(line, 1 - active)  # the driver board's resistor, to the level that does not energise
    machine.truths.setdefault(point, 0.0)

    def follow(_level: int) -> None:
        energised = condition.plugged and machine.lines.level(line) == active
        machine.truths[point] = float(contact(condition.fault, energised, machine.truths[point] > 0.5))

    machine.lines.loads[line] = follow
    machine.steps.append(lambda: follow(0))


PART = FakePart(
    name="relay",
    quantities=lambda _wiring: {"on": Quantity(0.0)},
    faults=frozenset({_WELDED, _CUT}),
    place=_place,
)
"""`on`: whether the load has power; a read-back of the line can't show what became of it."""
