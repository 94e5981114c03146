"""An alarm panel's relay: energised, and its contact closed, while all is well."""

from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.dry_contact import CONTACT_FAULTS, DryContact


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    alarm = machine.probes(name, PART, wiring, condition)[wiring.options["channel"]]
    machine.bus(wiring.kind, wiring.device)
    relay = DryContact(machine, condition, wiring.options["line"], 0)
    machine.steps.append(lambda: relay.move(alarm.value() < 0.5))


PART = FakePart(
    name="panel",
    quantities=lambda wiring: {wiring.options["channel"]: Quantity(0.0, drift_per_s=0.0)},
    faults=CONTACT_FAULTS,
    place=_place,
)
