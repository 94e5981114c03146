"""Sensirion SGP41 (datasheet version 1.0): raw ticks of two metal-oxide pixels, 50 ms after each command.

Quantities are the ticks; the driver's channels are indices that it learns from them. More gas is fewer VOC ticks and
more NOx ticks.
"""

from collections.abc import Callable, Mapping

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.sensirion import Command, CommandPart, Words

_SELF_TEST_PASSED = 0xD400
_SERIAL = (0x0000, 0x01E2, 0xB3C4)


class Sgp41(CommandPart):
    """`arguments`: of the last measurement (ticks of %RH and °C); `conditioned_s`: how long the NOx pixel was."""

    def __init__(self, clock: Callable[[], float], probes: Mapping[str, Probe]) -> None:
        self._now = clock
        self._probes = probes
        self._conditioning_since_s: float | None = None
        self.conditioned_s = 0.0
        self.arguments: Words = ()
        commands = {
            0x2612: Command(0.050, self._condition),
            0x2619: Command(0.050, self._measure),
            0x280E: Command(0.320, lambda _: (_SELF_TEST_PASSED,)),
            0x3615: Command(0.001, lambda _: self._end_conditioning()),
            0x3682: Command(0.001, lambda _: _SERIAL),
        }
        super().__init__(clock, commands)

    def _condition(self, arguments: Words) -> Words:
        self.arguments = arguments
        if self._conditioning_since_s is None:
            self._conditioning_since_s = self._now()
        return (self._ticks("voc_ticks"),)

    def _measure(self, arguments: Words) -> Words:
        self.arguments = arguments
        self._end_conditioning()
        return self._ticks("voc_ticks"), self._ticks("nox_ticks")

    def _end_conditioning(self) -> Words:
        if self._conditioning_since_s is not None:
            self.conditioned_s = self._now() - self._conditioning_since_s
            self._conditioning_since_s = None
        return ()

    def _ticks(self, quantity: str) -> int:
        return min(0xFFFF, max(0, round(self._probes[quantity].value())))


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Sgp41(machine.clock, machine.probes(name, PART, wiring, condition))
    machine.bus(wiring.kind, wiring.device).attach(0x59, part, condition)


PART = FakePart(
    name="sgp41",
    quantities=lambda _wiring: {
        "voc_ticks": Quantity(30000.0, noise=5.0, drift_per_s=-50.0, tolerance=31.0),
        "nox_ticks": Quantity(15500.0, noise=3.0, drift_per_s=50.0, tolerance=19.0),
    },
    faults=BUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
