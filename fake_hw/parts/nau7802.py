"""Nuvoton NAU7802 (revision 1.7): power-up, calibration and 24-bit conversions of a load cell."""

import math
from collections.abc import Callable

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_ADDRESS = 0x2A
_POWER, _CONTROL_2, _RESULT, _REVISION = 0x00, 0x02, 0x12, 0x1F
_RESET, _DIGITAL, _ANALOGUE, _READY, _START, _NEW = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_CALIBRATE, _CALIBRATION_ERROR = 0x04, 0x08
_RATES_HZ = {0: 10, 1: 20, 2: 40, 3: 80, 7: 320}
_POWER_UP_S = 0.0002
_CALIBRATION_S = 0.344
_SETTLING = 6  # conversions after a start or a calibration until the filter shows the input


class Nau7802:
    """Converts for ever once digital and analogue parts have power."""

    def __init__(self, clock: Callable[[], float], condition: Condition, counts: Callable[[], float]) -> None:
        self._clock = clock
        self._condition = condition
        self._counts = counts
        self.power_off()

    def power_off(self) -> None:
        """Lose all registers."""
        self._registers = bytearray(0x20)
        self._registers[_REVISION] = 0x0F
        self._pointer = 0
        self._powered_s = self._begun_s = self._calibrated_s = math.inf
        self._conversions = 0

    def write(self, data: bytes) -> None:
        """Set the pointer, and registers from there on."""
        self._settle()
        if data:
            self._pointer = data[0]
        for offset, byte in enumerate(data[1:]):
            self._put((self._pointer + offset) & 0x1F, byte)

    def read(self, length: int) -> bytes:
        """Registers from the pointer on; reading the result clears its flag."""
        self._settle()
        addresses = [(self._pointer + offset) & 0x1F for offset in range(length)]
        data = bytes(self._registers[address] for address in addresses)
        if _RESULT in addresses:
            self._registers[_POWER] &= ~_NEW
        return data

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data

    def _put(self, register: int, byte: int) -> None:
        if register == _POWER:
            self._switch(byte)
        elif register == _CONTROL_2:
            self._registers[register] = byte & ~_CALIBRATION_ERROR
            if byte & _CALIBRATE:
                self._calibrated_s = self._clock() + _CALIBRATION_S
            self._begin()
        elif not _RESULT <= register < _RESULT + 3 and register != _REVISION:
            self._registers[register] = byte

    def _switch(self, byte: int) -> None:
        if byte & _RESET:
            self.power_off()
            self._registers[_POWER] = _RESET
            return
        before = self._registers[_POWER]
        self._registers[_POWER] = byte & ~(_READY | _NEW) | before & (_READY | _NEW)
        if byte & _DIGITAL and not before & _DIGITAL:
            self._powered_s = self._clock() + _POWER_UP_S
        elif not byte & _DIGITAL:
            self._powered_s = math.inf
        if (byte & _START and not before & _START) or (byte & _ANALOGUE and not before & _ANALOGUE):
            self._begin()

    def _begin(self) -> None:
        self._begun_s, self._conversions = self._clock(), 0

    def _settle(self) -> None:
        now = self._clock()
        if now >= self._powered_s:
            self._registers[_POWER] |= _READY
        if now >= self._calibrated_s:
            self._calibrated_s = math.inf
            self._registers[_CONTROL_2] &= ~_CALIBRATE
            if self._condition.fault == "uncalibrated":
                self._registers[_CONTROL_2] |= _CALIBRATION_ERROR
            self._begin()
        if self._registers[_POWER] & (_READY | _ANALOGUE) == _READY | _ANALOGUE and self._calibrated_s == math.inf:
            self._convert(now)

    def _convert(self, now: float) -> None:
        rate_hz = _RATES_HZ.get(self._registers[_CONTROL_2] >> 4 & 7, 10)
        finished = math.floor((now - self._begun_s) * rate_hz)
        if finished <= self._conversions:
            return
        self._conversions = finished
        counts = 0x7FFFFF if self._condition.fault == "saturated" else round(self._counts())
        counts = counts if finished >= _SETTLING else counts * finished // _SETTLING
        clipped = min(0x7FFFFF, max(-0x800000, counts))
        self._registers[_RESULT : _RESULT + 3] = (clipped % 0x1000000).to_bytes(3, "big")
        self._registers[_POWER] |= _NEW


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    weight: Probe = machine.probes(name, PART, wiring, condition)["weight"]
    tare, slope = wiring.options["tare"], wiring.options["counts_per_kg"]
    part = Nau7802(machine.clock, condition, lambda: tare + slope * weight.value())
    machine.bus(wiring.kind, wiring.device).attach(_ADDRESS, part, condition)


PART = FakePart(
    name="nau7802",
    quantities=lambda _wiring: {"weight": Quantity(12.5, noise=0.0003, drift_per_s=0.05, tolerance=0.003)},
    faults=(BUS_FAULTS - {"crc"}) | VALUE_FAULTS | {"saturated", "uncalibrated"},
    place=_place,
)
