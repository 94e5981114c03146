"""Sensirion SHT3x (datasheet version 7): single shots without clock stretching."""

from collections.abc import Callable

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.sensirion import Command, CommandPart, Words, ticks

# single shot command → conversion time in seconds (table 4, maxima)
_MEASURE_S = {0x2400: 0.0155, 0x240B: 0.0065, 0x2416: 0.0045}
_BREAK, _RESET, _RESET_S = 0x3093, 0x30A2, 0.0015


class Sht3x(CommandPart):
    """Measures when told to and does not acknowledge a read before it has finished."""

    def __init__(self, clock: Callable[[], float], temperature_c: Probe, humidity_pct: Probe) -> None:
        self._temperature_c = temperature_c
        self._humidity_pct = humidity_pct
        commands = {code: Command(duration_s, self._measure) for code, duration_s in _MEASURE_S.items()}
        commands[_BREAK] = Command(0.001, lambda _: ())
        commands[_RESET] = Command(_RESET_S, lambda _: ())
        super().__init__(clock, commands)

    def _measure(self, _arguments: Words) -> Words:
        temperature = (self._temperature_c.value() + 45.0) / 175.0
        return ticks(temperature), ticks(self._humidity_pct.value() / 100.0)


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    part = Sht3x(machine.clock, probes["temperature"], probes["humidity"])
    machine.bus(wiring.kind, wiring.device).attach(wiring.options["address"], part, condition)


PART = FakePart(
    name="sht3x",
    quantities=lambda _wiring: {
        "temperature": Quantity(22.0, noise=0.02, drift_per_s=0.1, tolerance=0.12),
        "humidity": Quantity(48.0, noise=0.1, drift_per_s=0.1, tolerance=0.6),
    },
    faults=BUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
