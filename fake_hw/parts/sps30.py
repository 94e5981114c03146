"""Sensirion SPS30 on I2C (datasheet version 1.0): particle mass and number as floats or whole numbers, each second.

It is placed as a part that has long been measuring, as a gateway that restarts finds it; pulling it takes its power.
"""

import struct
from collections.abc import Callable, Mapping

from fake_hw.buses.i2c import Nack
from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.sensirion import Command, CommandPart, Words

_FLOAT, _UINT16 = 0x0300, 0x0500
_MASSES = ("pm1", "pm2_5", "pm4", "pm10")
STATUS_BITS = {"fan": 4, "laser": 5, "speed": 21}


class Sps30(CommandPart):
    """`broken`: names of STATUS_BITS, shown by the status register until they are mended."""

    def __init__(self, clock: Callable[[], float], probes: Mapping[str, Probe]) -> None:
        self._now = clock
        self._probes = probes
        self._format = _FLOAT
        self._due_s = clock()
        self.broken: set[str] = set()
        commands = {
            0x0010: Command(0.020, self._start),
            0x0104: Command(0.020, lambda _: self._stop()),
            0x0202: Command(0.0, lambda _: (int(self._now() >= self._due_s),)),
            0x0300: Command(0.0, lambda _: self._values()),
            0xD206: Command(0.0, lambda _: self._status()),
            0xD210: Command(0.005, lambda _: ()),
        }
        super().__init__(clock, commands)

    def power_down(self) -> None:
        """Idle, until told to measure."""
        self._due_s = float("inf")

    def _start(self, arguments: Words) -> Words:
        if self._due_s != float("inf") or list(arguments) not in ([_FLOAT], [_UINT16]):
            raise Nack
        (self._format,) = arguments
        self._due_s = self._now() + 1.0
        return ()

    def _stop(self) -> Words:
        self.power_down()
        return ()

    def _values(self) -> Words:
        """Four masses, five numbers and the typical size. Raises Nack when idle."""
        if self._due_s == float("inf"):
            raise Nack
        if self._now() >= self._due_s:
            self._due_s = self._now() + 1.0
        masses = [max(0.0, self._probes[each].value()) for each in _MASSES]
        numbers = [masses[0] * factor for factor in (6.0, 7.5, 7.9, 8.0, 8.1)]
        if self._format == _UINT16:
            return tuple(min(0xFFFF, round(each)) for each in (*masses, *numbers, 520.0))
        return struct.unpack(">20H", struct.pack(">10f", *masses, *numbers, 0.52))

    def _status(self) -> Words:
        flags = sum(1 << STATUS_BITS[each] for each in self.broken)
        return flags >> 16, flags & 0xFFFF


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Sps30(machine.clock, machine.probes(name, PART, wiring, condition))
    machine.bus(wiring.kind, wiring.device).attach(0x69, part, condition)
    machine.steps.append(lambda: None if condition.plugged else part.power_down())


PART = FakePart(
    name="sps30",
    quantities=lambda _wiring: {
        each: Quantity(start, noise=0.05, drift_per_s=1.0, tolerance=0.4)
        for each, start in zip(_MASSES, (4.0, 6.5, 7.2, 8.0), strict=True)
    },
    faults=BUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
