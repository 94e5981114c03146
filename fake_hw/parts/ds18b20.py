"""Maxim DS18B20 (19-7487): a scratchpad in sixteenths of a degree, and what w1_therm makes of it."""

import random
from collections.abc import Callable

from fake_hw.buses.onewire import Slave
from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.crc import dallas

_POWER_ON = 85 * 16  # the scratchpad after a brown-out
_LOW, _HIGH = -55 * 16, 125 * 16


class Ds18b20:
    """Its `texts` are the kernel's `temperature` (milli-°C) and `w1_slave` (two lines) after a conversion."""

    def __init__(self, condition: Condition, temperature_c: Probe, chance: random.Random) -> None:
        self._condition = condition
        self._temperature_c = temperature_c
        self._chance = chance

    def texts(self) -> tuple[str, str]:
        """The two files. With a wrong checksum the kernel gives an empty temperature, and no error."""
        special: dict[str, Callable[[], tuple[str, str]]] = {
            "85000": lambda: self._good(_POWER_ON),
            "crc": self._damaged,
            "flip": self._damaged,
            "empty": lambda: ("", ""),
            "ones": self._shorted,
            "garbage": lambda: (self._chance.randbytes(6).hex() + "\n", "ff\n"),
        }
        make = special.get(self._condition.fault)
        return make() if make is not None else self._good(self._sixteenths())

    def _sixteenths(self) -> int:
        return min(_HIGH, max(_LOW, round(self._temperature_c.value() * 16)))

    def _good(self, sixteenths: int) -> tuple[str, str]:
        pad = _scratchpad(sixteenths)
        milli = sixteenths * 1000 // 16
        return f"{milli}\n", _two_lines(pad, dallas(pad[:8]) == pad[8], milli)

    def _damaged(self) -> tuple[str, str]:
        pad = bytearray(_scratchpad(self._sixteenths()))
        pad[self._chance.randrange(9)] ^= 1 << self._chance.randrange(8)
        return "", _two_lines(bytes(pad), False, 0)

    def _shorted(self) -> tuple[str, str]:
        """The data wire reads as ones only."""
        return "", _two_lines(b"\xff" * 9, False, 0)


def _scratchpad(sixteenths: int) -> bytes:
    pad = sixteenths.to_bytes(2, "little", signed=True) + b"\x4b\x46\x7f\xff\x0c\x10"
    return pad + bytes([dallas(pad)])


def _two_lines(pad: bytes, good: bool, milli: int) -> str:
    text = pad.hex(" ")
    return f"{text} : crc={pad[8]:02x} {'YES' if good else 'NO'}\n{text} t={milli}\n"


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probe = machine.probes(name, PART, wiring, condition)["temperature"]
    part = Ds18b20(condition, probe, machine.chance)
    machine.bus("onewire").attach(Slave(wiring.options["id"], condition, part.texts))


PART = FakePart(
    name="ds18b20",
    quantities=lambda _wiring: {"temperature": Quantity(3.5, noise=0.01, drift_per_s=0.2, tolerance=0.1)},
    faults=VALUE_FAULTS | {"nack", "crc", "flip", "ones", "garbage", "empty", "85000", "hang"},
    place=_place,
)
