"""Maxim MAX31856 (19-7534): sixteen registers, one-shot and automatic conversion."""

from collections.abc import Callable

from fake_hw.buses.spi import SPI_FAULTS
from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_RESET = (0x00, 0x03, 0xFF, 0x7F, 0xC0, 0x7F, 0xFF, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00)
_CR0, _CR1, _MASK, _SR = 0x0, 0x1, 0x2, 0xF
_LAST_WRITABLE = 0xB
_AUTO, _ONE_SHOT, _OPEN_TEST, _CLEAR, _50_HZ = 0x80, 0x40, 0x30, 0x02, 0x01
# CR1's low bits → the type's range in °C
_RANGES = ((250, 1820), (-200, 1000), (-210, 1200), (-200, 1372), (-200, 1300), (-50, 1768), (-50, 1768), (-200, 400))
_OPEN_TEST_S = 0.0133


class Max31856:
    """Converts when told to, and shows the result when it has finished."""

    modes = frozenset({1, 3})

    def __init__(self, clock: Callable[[], float], condition: Condition, hot_c: Probe, cold_c: Probe) -> None:
        self._clock = clock
        self._condition = condition
        self._hot_c = hot_c
        self._cold_c = cold_c
        self._registers = list(_RESET)
        self._done_s: float | None = None

    def exchange(self, data: bytes) -> bytes:
        """An address, its top bit set for writing, and registers from there on, wrapping."""
        self._settle()
        address = data[0]
        answer = bytearray(1)
        for offset, byte in enumerate(data[1:]):
            register = (address + offset) & 0x0F
            answer.append(0 if address & 0x80 else self._registers[register])
            if address & 0x80 and register <= _LAST_WRITABLE:
                self._write(register, byte)
        return bytes(answer)

    def _write(self, register: int, byte: int) -> None:
        if register != _CR0:
            self._registers[register] = byte
            return
        self._registers[_CR0] = byte & ~_CLEAR
        if byte & (_ONE_SHOT | _AUTO):
            self._done_s = self._clock() + self._conversion_s()

    def _conversion_s(self) -> float:
        control = self._registers[_CR0]
        return (0.169 if control & _50_HZ else 0.143) + (_OPEN_TEST_S if control & _OPEN_TEST else 0.0)

    def _settle(self) -> None:
        """Finish the conversion whose time has come."""
        if self._done_s is None or self._clock() < self._done_s:
            return
        self._convert()
        if self._registers[_CR0] & _AUTO:
            self._done_s = self._clock() + self._conversion_s()
        else:
            self._done_s = None
            self._registers[_CR0] &= ~_ONE_SHOT

    def _convert(self) -> None:
        low, high = _RANGES[self._registers[_CR1] & 0x07]
        hot, cold = self._hot_c.value(), self._cold_c.value()
        status = (0x80 if not -55 <= cold <= 125 else 0) | (0x40 if not low <= hot <= high else 0)
        if self._condition.fault == "overvoltage":
            status |= 0x02
        if self._condition.fault == "open" and self._registers[_CR0] & _OPEN_TEST:
            status |= 0x01
            hot = high
        self._registers[_SR] = status
        self._registers[0xA:0xC] = _fixed(cold, 64, 2, 14)
        self._registers[0xC:0xF] = _fixed(min(high, max(low, hot)), 128, 5, 19)


def _fixed(value: float, per_degree: int, unused: int, width: int) -> bytes:
    """Two's complement of so many bits, left-aligned above unused ones."""
    number = min((1 << (width - 1)) - 1, max(-(1 << (width - 1)), round(value * per_degree)))
    return (number % (1 << width) << unused).to_bytes((width + unused) // 8, "big")


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    part = Max31856(machine.clock, condition, probes["temperature"], probes["cold_junction"])
    machine.bus(wiring.kind, wiring.device).attach(part, condition)


PART = FakePart(
    name="max31856",
    quantities=lambda _wiring: {
        "temperature": Quantity(220.0, noise=0.02, drift_per_s=0.5, tolerance=0.12),
        "cold_junction": Quantity(31.0, noise=0.01, drift_per_s=0.1, tolerance=0.08),
    },
    faults=SPI_FAULTS | VALUE_FAULTS | {"open", "overvoltage"},
    place=_place,
)
