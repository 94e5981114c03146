"""What hangs on a PWM line: a fan or a lamp that gets the mean of the pulses."""

from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_CHANNEL = {12: 0, 18: 0, 13: 1, 19: 1}


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    controller = machine.bus("pwm")
    machine.bus(wiring.kind, wiring.device)
    machine.condition("pwm").carrier = machine.condition(wiring.device)
    channel, turned = _CHANNEL[wiring.options["line"]], wiring.options["active"] == "low"

    def step() -> None:
        controller.look()
        high = controller.level(channel)
        level = 100.0 * (1.0 - high if turned else high)
        if not condition.plugged or condition.fault == "cut":
            level = 0.0
        elif condition.fault == "welded":
            level = 100.0
        machine.truths[f"{name}.level"] = level

    machine.truths[f"{name}.level"] = 0.0
    machine.steps.append(step)


PART = FakePart(
    name="pwm",
    quantities=lambda _wiring: {"level": Quantity(0.0)},
    faults=frozenset({"welded", "cut"}),
    place=_place,
)
