"""A meter's pulse output: one closed contact per unit that flowed. `total` follows from what it has counted."""

from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.dry_contact import CONTACT_FAULTS, DryContact, Pulses

_SHORTEST_S = 0.005


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options
    condition = machine.condition(name, PART.faults)
    flowed = machine.probes(name, PART, wiring, condition)["count"]
    closed_level = 1 if options["pull"] == "down" else 0
    if options["pull"] == "none":
        machine.lines.wire(options["line"], 1 - closed_level)
    machine.bus(wiring.kind, wiring.device)
    contact = DryContact(machine, condition, options["line"], closed_level)
    pulses = Pulses(machine, contact, max(_SHORTEST_S, 2 * options["debounce_s"] + 0.01))

    def step() -> None:
        pulses.follow(round(flowed.value()))
        machine.truths[f"{name}.total"] = pulses.made * options["per_pulse"]

    machine.steps.append(step)


PART = FakePart(
    name="pulse_counter",
    quantities=lambda wiring: {
        "count": Quantity(0.0, drift_per_s=0.0),
        "total": Quantity(0.0, drift_per_s=0.0, tolerance=wiring.options["per_pulse"]),
    },
    faults=CONTACT_FAULTS - {"short"},
    place=_place,
)
