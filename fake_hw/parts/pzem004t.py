"""Peacefair PZEM-004T v3: a Modbus RTU slave with ten input registers (its manual, section 2.3)."""

from collections.abc import Callable
from typing import Protocol

from fake_hw.parts.crc import modbus

_READ_HOLDING, _READ_INPUT, _WRITE, _RESET_ENERGY = 0x03, 0x04, 0x06, 0x42
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS = 0x01, 0x02
_LONGEST = 64


class Measured(Protocol):
    """What flows through the meter: V, A, W, Wh, Hz."""

    volts: float
    hertz: float
    watts: float
    energy_wh: float

    @property
    def amperes(self) -> float:
        """Current."""
        ...

    @property
    def power_factor(self) -> float:
        """0 to 1."""
        ...


class Pzem004t:
    """Answers requests for its own unit, exceptions for what it cannot do, and is silent otherwise."""

    def __init__(self, unit: int, mains: Callable[[], Measured]) -> None:
        self._unit = unit
        self._mains = mains
        self._threshold_w = 0x59D8
        self._pending = b""

    def pause(self) -> None:
        """3.5 characters of silence: whatever was incomplete is forgotten."""
        self._pending = b""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the line; the answer, or nothing."""
        self._pending = (self._pending + data)[-_LONGEST:]
        length = 4 if self._pending[1:2] == bytes([_RESET_ENERGY]) else 8
        if len(self._pending) < length:
            return b""
        frame, self._pending = self._pending[:length], b""
        if frame[0] != self._unit or modbus(frame[:-2]) != frame[-2:]:
            return b""
        answer = self._answer(frame)
        return answer + modbus(answer)

    def _answer(self, frame: bytes) -> bytes:
        head, function = frame[:2], frame[1]
        if function == _RESET_ENERGY:
            self._mains().energy_wh = 0.0
            return head
        start, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        if function == _WRITE and start == 1:
            self._threshold_w = count
            return frame[:6]
        registers = {_READ_INPUT: self._input, _READ_HOLDING: self._holding}.get(function)
        if registers is None:
            return bytes([self._unit, function | 0x80, _ILLEGAL_FUNCTION])
        wanted = registers()[start : start + count]
        if not count or len(wanted) != count:
            return bytes([self._unit, function | 0x80, _ILLEGAL_ADDRESS])
        return head + bytes([2 * count]) + b"".join(word.to_bytes(2, "big") for word in wanted)

    def _input(self) -> list[int]:
        """0.1 V, mA, 0.1 W and Wh as two words with the low one first, 0.1 Hz, 0.01, alarm."""
        mains = self._mains()
        milliamperes, deciwatts, watt_hours = round(mains.amperes * 1000), round(mains.watts * 10), int(mains.energy_wh)
        alarm = 0xFFFF if mains.watts > self._threshold_w else 0
        pairs = [half for value in (milliamperes, deciwatts, watt_hours) for half in (value & 0xFFFF, value >> 16)]
        return [round(mains.volts * 10), *pairs, round(mains.hertz * 10), round(mains.power_factor * 100), alarm]

    def _holding(self) -> list[int]:
        return [0, self._threshold_w, self._unit]
