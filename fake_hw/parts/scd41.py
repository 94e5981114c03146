"""Sensirion SCD41 (datasheet version 1.4): periodic measurement every 5 s, whose result can be fetched once.

It is placed as a part that has long been measuring, as a gateway that restarts finds it; pulling it takes its power.
"""

from collections.abc import Callable, Mapping

from fake_hw.buses.i2c import Nack
from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.sensirion import Command, CommandPart, Words, ticks

PERIOD_S = 5.0
LOW_POWER_PERIOD_S = 30.0
_SERIAL = (0xF896, 0x9F07, 0x3BBE)


class Scd41(CommandPart):
    """While it measures it knows five commands only (table 9) and acknowledges no other."""

    def __init__(self, clock: Callable[[], float], probes: Mapping[str, Probe]) -> None:
        self._now = clock
        self._probes = probes
        self._period_s = PERIOD_S
        self._due_s = clock()
        self.pressure_hpa = 1013
        commands = {
            0x21B1: Command(0.0, lambda _: self._start(PERIOD_S)),
            0x21AC: Command(0.0, lambda _: self._start(LOW_POWER_PERIOD_S)),
            0xEC05: Command(0.001, self._fetch),
            0x3F86: Command(0.5, lambda _: self._stop()),
            0xE4B8: Command(0.001, lambda _: (0x8000 | 0x0006 * self._is_due(),)),
            0xE000: Command(0.001, self._pressure),
            0x3682: Command(0.001, lambda _: self._when_idle(_SERIAL)),
            0x202F: Command(0.001, lambda _: self._when_idle((0x1440,))),
            0x219D: Command(PERIOD_S, lambda _: self._single_shot()),
        }
        super().__init__(clock, commands)

    def power_off(self) -> None:
        """Forget everything: it comes back idle, at 1013 hPa."""
        self._stop()
        self.pressure_hpa = 1013

    def _is_due(self) -> bool:
        return self._period_s < 0 or (self._period_s > 0 and self._now() >= self._due_s)

    def _start(self, period_s: float) -> Words:
        self._when_idle(())
        self._period_s, self._due_s = period_s, self._now() + period_s
        return ()

    def _stop(self) -> Words:
        self._period_s = 0.0
        return ()

    def _single_shot(self) -> Words:
        self._when_idle(())
        self._period_s = -1.0
        return ()

    def _fetch(self, _arguments: Words) -> Words:
        """The last measurement, which is taken to have ended just now. Raises Nack when it was fetched already."""
        if not self._is_due():
            return ()  # it takes the command and has nothing to show
        if self._period_s < 0:
            self._period_s = 0.0
        self._due_s = self._now() + self._period_s
        co2_ppm = min(40000, max(0, round(self._probes["co2"].value())))
        temperature = (self._probes["temperature"].value() + 45.0) / 175.0
        return co2_ppm, ticks(temperature), ticks(self._probes["humidity"].value() / 100.0)

    def _pressure(self, arguments: Words) -> Words:
        if arguments:
            self.pressure_hpa = arguments[0]
        return (self.pressure_hpa,)

    def _when_idle(self, answer: Words) -> Words:
        if self._period_s:
            raise Nack
        return answer


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Scd41(machine.clock, machine.probes(name, PART, wiring, condition))
    machine.bus(wiring.kind, wiring.device).attach(0x62, part, condition)
    machine.steps.append(lambda: None if condition.plugged else part.power_off())


PART = FakePart(
    name="scd41",
    quantities=lambda _wiring: {
        "co2": Quantity(820.0, noise=2.0, drift_per_s=5.0, tolerance=13.0),
        "temperature": Quantity(24.0, noise=0.02, drift_per_s=0.1, tolerance=0.12),
        "humidity": Quantity(51.0, noise=0.1, drift_per_s=0.1, tolerance=0.6),
    },
    faults=BUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
