"""Sensirion SEN66 (SEN6x datasheet version 0.9): nine quantities each second, unknown ones at their upper limit.

It is placed as a part that has long been measuring, as a gateway that restarts finds it; pulling it takes its power.
"""

from collections.abc import Callable, Mapping

from fake_hw.buses.i2c import Nack
from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.sensirion import Command, CommandPart, Words

_LAYOUT = (  # channel, parts per unit, signed
    ("pm1", 10, False),
    ("pm2_5", 10, False),
    ("pm4", 10, False),
    ("pm10", 10, False),
    ("humidity", 100, True),
    ("temperature", 200, True),
    ("voc_index", 10, True),
    ("nox_index", 10, True),
    ("co2", 1, False),
)
_FIRST_S = {"nox_index": 10.5, "co2": 5.5}  # others are known after the first second
_LONG_AGO = -3600.0
_SELF_CHECK_S = 2.0  # the fan is looked at every second, and twice before its flag is set
STATUS_BITS = {"fan": 4, "rht": 6, "gas": 7, "co2": 9, "pm": 11, "speed": 21}


class Sen66(CommandPart):
    """`broken`: names of STATUS_BITS; a broken group has no values.

    Its flag stays until it is cleared or the power goes, and comes back with the next self-check.
    "speed" goes by itself.
    """

    def __init__(self, clock: Callable[[], float], probes: Mapping[str, Probe]) -> None:
        self._now = clock
        self._probes = probes
        self._since_s: float | None = clock() + _LONG_AGO
        self._shown_s = clock() + _LONG_AGO
        self.broken: set[str] = set()
        self._flagged: set[str] = set()
        self._cleared_s = clock() + _LONG_AGO
        name = tuple(int.from_bytes(b"SEN66".ljust(32, b"\0")[place : place + 2], "big") for place in range(0, 32, 2))
        commands = {
            0x0021: Command(0.050, lambda _: self._start()),
            0x0104: Command(1.4, lambda _: self._stop()),
            0x0202: Command(0.020, lambda _: (int(self._is_new()),)),
            0x0300: Command(0.020, lambda _: self._measured()),
            0xD206: Command(0.020, lambda _: self._status()),
            0xD210: Command(0.020, lambda _: self._cleared()),
            0xD014: Command(0.020, lambda _: name),
        }
        super().__init__(clock, commands)

    def power_down(self) -> None:
        """Measure no more, until told to, and know of no error."""
        self._since_s = None
        self._flagged.clear()

    def _stop(self) -> Words:
        self._since_s = None
        return ()

    def _start(self) -> Words:
        if self._since_s is not None:
            raise Nack
        self._since_s = self._shown_s = self._now()
        return ()

    def _is_new(self) -> bool:
        return self._since_s is not None and self._now() >= self._shown_s + 1.0

    def _measured(self) -> Words:
        if self._is_new():
            self._shown_s = self._now()
        return tuple(self._word(*row) for row in _LAYOUT)

    def _word(self, channel: str, per_unit: int, signed: bool) -> int:
        low, high = (-0x8000, 0x7FFF) if signed else (0, 0xFFFF)
        if self._since_s is None or self._now() < self._since_s + _FIRST_S.get(channel, 1.0):
            return high
        if channel.partition("_")[0] in self._dead():
            return high
        return min(high - 1, max(low, round(self._probes[channel].value() * per_unit))) & 0xFFFF

    def _dead(self) -> set[str]:
        """First words of the channels that have no values."""
        groups = {"rht": {"humidity", "temperature"}, "gas": {"voc", "nox"}, "co2": {"co2"}}
        groups["pm"] = {"pm1", "pm2", "pm4", "pm10"}
        return set().union(*(groups.get(each, set()) for each in self.broken))

    def _status(self) -> Words:
        if self._now() >= self._cleared_s + _SELF_CHECK_S:
            self._flagged |= self.broken - {"speed"}
        flags = sum(1 << STATUS_BITS[each] for each in self._flagged | (self.broken & {"speed"}))
        return flags >> 16, flags & 0xFFFF

    def _cleared(self) -> Words:
        status = self._status()
        self._flagged.clear()
        self._cleared_s = self._now()
        return status


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Sen66(machine.clock, machine.probes(name, PART, wiring, condition))
    machine.bus(wiring.kind, wiring.device).attach(0x6B, part, condition)
    machine.steps.append(lambda: None if condition.plugged else part.power_down())


PART = FakePart(
    name="sen66",
    quantities=lambda _wiring: {
        "pm1": Quantity(4.0, noise=0.05, drift_per_s=1.0, tolerance=0.4),
        "pm2_5": Quantity(6.5, noise=0.05, drift_per_s=1.0, tolerance=0.4),
        "pm4": Quantity(7.2, noise=0.05, drift_per_s=1.0, tolerance=0.4),
        "pm10": Quantity(8.0, noise=0.05, drift_per_s=1.0, tolerance=0.4),
        "humidity": Quantity(47.0, noise=0.05, drift_per_s=0.1, tolerance=0.35),
        "temperature": Quantity(25.0, noise=0.01, drift_per_s=0.1, tolerance=0.07),
        "voc_index": Quantity(100.0, noise=0.5, drift_per_s=5.0, tolerance=3.2),
        "nox_index": Quantity(1.5, noise=0.02, drift_per_s=1.0, tolerance=0.2),
        "co2": Quantity(820.0, noise=2.0, drift_per_s=5.0, tolerance=13.0),
    },
    faults=BUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
