"""A light beam across a passage: its receiver holds the line low while the beam arrives."""

from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.dry_contact import CONTACT_FAULTS, DryContact, Pulses


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    machine.bus(wiring.kind, wiring.device)
    beam = DryContact(machine, condition, options["line"], 0)
    passages = Pulses(machine, beam, 2 * options["debounce_s"] + 0.01, resting=True)

    def step() -> None:
        if probes["blocked"].value() > 0.5:
            beam.move(False)
        else:
            passages.follow(round(probes["count"].value()))

    machine.steps.append(step)


PART = FakePart(
    name="beam_counter",
    quantities=lambda _wiring: {
        "count": Quantity(0.0, drift_per_s=0.0),
        "blocked": Quantity(0.0, drift_per_s=0.0),
    },
    faults=CONTACT_FAULTS - {"short"},
    place=_place,
)
