"""Microchip MCP9601 (DS20005426): registers, conversions by themselves, open and short detection."""

import math
from collections.abc import Callable

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_HOT, _DELTA, _COLD, _STATUS, _SENSOR, _DEVICE, _ID = 0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x20
_UPDATED, _SHORT, _OPEN = 0x40, 0x20, 0x10
_TYPES = "KJTNSEBR"  # by the sensor configuration's bits 6 to 4
_PERIOD_S = (0.32, 0.08, 0.02, 0.005)  # by the device configuration's bits 6 and 5
_RANGES = ((-200, 1372), (-150, 1200), (-200, 400), (-150, 1300), (250, 1664), (-200, 1000), (1000, 1800), (250, 1664))


class Mcp9601:
    """Converts for ever and raises its update flag, which the master clears. kind: of the thermocouple on it."""

    def __init__(
        self, clock: Callable[[], float], condition: Condition, kind: str, hot_c: Probe, cold_c: Probe
    ) -> None:
        self._kind = kind
        self._clock = clock
        self._condition = condition
        self._hot_c = hot_c
        self._cold_c = cold_c
        self.power_off()

    def power_off(self) -> None:
        """Lose all registers; conversions begin anew."""
        self._bytes = {_STATUS: 0, _SENSOR: 0, _DEVICE: 0}
        self._words = {_HOT: 0, _DELTA: 0, _COLD: 0, _ID: 0x4114}
        self._pointer = 0
        self._begun_s = self._clock()
        self._conversions = 0
        self._begun_as = 0

    def write(self, data: bytes) -> None:
        """Set the pointer, and the register behind it when a byte follows."""
        self._settle()
        if data:
            self._pointer = data[0]
        if len(data) < 2 or self._pointer not in self._bytes:
            return
        if self._pointer == _STATUS:
            self._bytes[_STATUS] &= data[1] | 0x3F  # only the two flags on top can be cleared
            return
        self._bytes[self._pointer] = data[1]
        if self._pointer == _SENSOR:
            return  # the conversion under way goes on as it began
        self._begun_s, self._conversions = self._clock(), 0

    def read(self, length: int) -> bytes:
        """The register under the pointer."""
        self._settle()
        if self._pointer in self._bytes:
            return bytes([self._bytes[self._pointer]])[:length]
        return self._words.get(self._pointer, 0).to_bytes(2, "big")[:length]

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data

    def _settle(self) -> None:
        period_s = _PERIOD_S[self._bytes[_DEVICE] >> 5 & 3]
        finished = math.floor((self._clock() - self._begun_s) / period_s)
        if finished > self._conversions:
            current = self._bytes[_SENSOR] >> 4 & 7
            self._convert(self._begun_as if finished == self._conversions + 1 else current)
            self._conversions, self._begun_as = finished, current

    def _convert(self, as_type: int) -> None:
        low, high = _RANGES[as_type]
        hot, cold = self._hot_c.value(), self._cold_c.value()
        if _TYPES[as_type] != self._kind:
            hot = cold + 0.7 * (hot - cold)  # the wrong curve
        fault = self._condition.fault
        flags = _UPDATED | (_SHORT if fault == "short" else 0)
        if fault == "open" or not low <= hot <= high:
            flags |= _OPEN
        self._bytes[_STATUS] = flags
        self._words[_HOT], self._words[_COLD] = _sixteenths(hot), _sixteenths(cold)
        self._words[_DELTA] = _sixteenths(hot - cold)


def _sixteenths(celsius: float) -> int:
    return round(celsius * 16) % 0x10000


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    kind = str(wiring.options.get("thermocouple", "K"))
    part = Mcp9601(machine.clock, condition, kind, probes["temperature"], probes["cold_junction"])
    machine.bus(wiring.kind, wiring.device).attach(wiring.options["address"], part, condition)


PART = FakePart(
    name="mcp9600",
    quantities=lambda _wiring: {
        "temperature": Quantity(200.0, noise=0.02, drift_per_s=0.5, tolerance=0.15),
        "cold_junction": Quantity(31.0, noise=0.01, drift_per_s=0.1, tolerance=0.1),
    },
    faults=(BUS_FAULTS - {"crc"}) | VALUE_FAULTS | {"open", "short"},
    place=_place,
)
