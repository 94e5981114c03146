"""A switch on a GPIO line: closed it joins the line to ground, or to the supply where the Pi pulls down."""

from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.dry_contact import CONTACT_FAULTS, DryContact


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options
    probe = machine.probes(name, PART, wiring, machine.condition(name, PART.faults))[options["channel"]]
    closed_level = 1 if options["pull"] == "down" else 0
    if options["pull"] == "none":
        machine.lines.wire(options["line"], 1 - closed_level)
    machine.bus(wiring.kind, wiring.device)
    contact = DryContact(machine, machine.condition(name), options["line"], closed_level)
    true_level = 1 if options["active"] == "high" else 0

    def step() -> None:
        level = true_level if probe.value() > 0.5 else 1 - true_level
        contact.move(level == closed_level)

    machine.steps.append(step)


PART = FakePart(
    name="contact",
    quantities=lambda wiring: {wiring.options["channel"]: Quantity(0.0, drift_per_s=0.0)},
    faults=CONTACT_FAULTS,
    place=_place,
)
