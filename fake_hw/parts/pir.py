"""A PIR sensor: its output is active while somebody moves."""

from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.dry_contact import CONTACT_FAULTS, DryContact


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options
    condition = machine.condition(name, PART.faults)
    moving = machine.probes(name, PART, wiring, condition)["presence"]
    machine.bus(wiring.kind, wiring.device)
    active_level = 1 if options["active"] == "high" else 0
    machine.lines.wire(options["line"], 1 - active_level)
    output = DryContact(machine, condition, options["line"], active_level)
    machine.steps.append(lambda: output.move(moving.value() > 0.5))


PART = FakePart(
    name="pir",
    quantities=lambda _wiring: {"presence": Quantity(0.0, drift_per_s=0.0)},
    faults=CONTACT_FAULTS - {"short"},
    place=_place,
)
