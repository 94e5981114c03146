"""Melexis MLX90614 (3901090614): words of RAM and EEPROM on SMBus, each with its PEC."""

import math

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.crc import smbus

_AMBIENT, _OBJECT_1, _OBJECT_2 = 0x06, 0x07, 0x08
_EEPROM = {0x20: 0x9993, 0x21: 0x62E3, 0x22: 0x0201, 0x23: 0xF71C, 0x24: 0xFFFF, 0x25: 0x9FB4, 0x2E: 0xBE5A}
_ERROR = 0x8000


class Mlx90614:
    """Sees what a grey surface radiates and mirrors, and takes it for black."""

    def __init__(self, address: int, emissivity: float, condition: Condition, object_c: Probe, case_c: Probe) -> None:
        self._address = address
        self._emissivity = emissivity
        self._condition = condition
        self._object_c = object_c
        self._case_c = case_c
        self._command = 0

    def write(self, data: bytes) -> None:
        """Take a command; a word to be written to the EEPROM is ignored."""
        if data:
            self._command = data[0]

    def read(self, length: int) -> bytes:
        """Low byte, high byte and the code over address, command, address and both."""
        word = self._word().to_bytes(2, "little")
        sent = bytes([self._address * 2, self._command, self._address * 2 + 1])
        return (word + bytes([smbus(sent + word)]))[:length]

    def spoil(self, data: bytes) -> bytes:
        """The same word with a wrong code."""
        return data[:2] + bytes([byte ^ 0x5A for byte in data[2:]])

    def _word(self) -> int:
        if self._command in _EEPROM:
            return _EEPROM[self._command]
        if self._command not in {_AMBIENT, _OBJECT_1, _OBJECT_2}:
            return 0
        ambient: float = self._case_c.value() + 273.15
        if self._command == _AMBIENT:
            return round(ambient * 50)
        if self._condition.fault == "error":
            return _ERROR | 0x3AF7
        surface: float = self._object_c.value() + 273.15
        radiated = self._emissivity * math.pow(surface, 4)
        mirrored = (1.0 - self._emissivity) * math.pow(ambient, 4)
        return min(0x7FFF, round(math.sqrt(math.sqrt(radiated + mirrored)) * 50))


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    address, emissivity = wiring.options["address"], wiring.options.get("emissivity", 1.0)
    part = Mlx90614(address, emissivity, condition, probes["object"], probes["ambient"])
    machine.bus(wiring.kind, wiring.device).attach(address, part, condition)


PART = FakePart(
    name="mlx90614",
    quantities=lambda _wiring: {
        "object": Quantity(65.0, noise=0.02, drift_per_s=0.2, tolerance=0.12),
        "ambient": Quantity(28.0, noise=0.01, drift_per_s=0.1, tolerance=0.07),
    },
    faults=BUS_FAULTS | VALUE_FAULTS | {"error"},
    place=_place,
)
