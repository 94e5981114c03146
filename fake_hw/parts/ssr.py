"""A heater behind a zero-crossing relay: it conducts from one zero of the mains to another, and only then."""

import math
from collections.abc import Iterable

from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.gpio_load import LOAD_FAULTS, GpioLoad


def conducted_s(switched: Iterable[tuple[float, bool]], begin_s: float, end_s: float, per_s: int) -> float:
    """For how long of this time it conducts, when its input changes like this and the mains has `per_s` zeros."""
    zeros = [(math.ceil(at_s * per_s) / per_s, on) for at_s, on in switched]
    ends = [at_s for at_s, _ in zeros[1:]] + [end_s]
    spans = ((max(begin_s, at_s), min(end_s, until_s)) for (at_s, on), until_s in zip(zeros, ends, strict=True) if on)
    return sum(max(0.0, until_s - from_s) for from_s, until_s in spans)


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    period_s, per_s = wiring.options["period_s"], 2 * wiring.options["mains"]

    def tell() -> None:
        now_s = machine.clock()
        share = conducted_s(load.switched, now_s - period_s, now_s, per_s) / period_s
        machine.truths[f"{name}.level"] = 100.0 * share
        machine.truths[f"{name}.on"] = float(load.has_power())

    load = GpioLoad(machine, condition, wiring, tell)
    tell()


PART = FakePart(
    name="ssr",
    quantities=lambda _wiring: {"level": Quantity(0.0, tolerance=2.0)},
    faults=LOAD_FAULTS,
    place=_place,
)
