"""Sensirion SHT4x (datasheet version 6): commands, conversion times, words with CRC."""

from collections.abc import Callable

from fake_hw.buses.i2c import Nack
from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.crc import sensirion_words, spoiled_words

# command → conversion time in seconds (datasheet table 5, maxima; heater pulses with their high-precision reading)
_MEASURE_S = {
    0xFD: 0.0083,
    0xF6: 0.0045,
    0xE0: 0.0016,
    0x39: 1.1,
    0x32: 0.11,
    0x2F: 1.1,
    0x24: 0.11,
    0x1E: 1.1,
    0x15: 0.11,
}
_SERIAL, _RESET = 0x89, 0x94
_RESET_S = 0.001


class Sht4x:
    """Measures when told to and does not acknowledge a read before it has finished."""

    def __init__(self, clock: Callable[[], float], temperature_c: Probe, humidity_pct: Probe, serial: int) -> None:
        self._clock = clock
        self._temperature_c = temperature_c
        self._humidity_pct = humidity_pct
        self._serial = serial
        self._answer = b""
        self._ready_s = 0.0

    def write(self, data: bytes) -> None:
        """Take a command. Raises Nack while busy or for a command it does not know."""
        if not data:
            return
        if self._clock() < self._ready_s:
            raise Nack
        command = data[0]
        self._answer = b""
        if command in _MEASURE_S:
            self._answer = self._measure()
            self._ready_s = self._clock() + _MEASURE_S[command]
        elif command == _SERIAL:
            self._answer = sensirion_words(self._serial >> 16, self._serial & 0xFFFF)
        elif command == _RESET:
            self._ready_s = self._clock() + _RESET_S
        else:
            raise Nack

    def read(self, length: int) -> bytes:
        """The result, once. Raises Nack when there is none (yet)."""
        if not self._answer or self._clock() < self._ready_s:
            raise Nack
        answer, self._answer = self._answer, b""
        return answer[:length]

    def spoil(self, data: bytes) -> bytes:
        """Every third byte is a CRC: make it wrong."""
        return spoiled_words(data)

    def _measure(self) -> bytes:
        temperature = (self._temperature_c.value() + 45.0) / 175.0
        humidity = (self._humidity_pct.value() + 6.0) / 125.0
        return sensirion_words(_ticks(temperature), _ticks(humidity))


def _ticks(share: float) -> int:
    return min(0xFFFF, max(0, round(share * 0xFFFF)))


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    part = Sht4x(machine.clock, probes["temperature"], probes["humidity"], serial=0x0F4E2A11)
    machine.bus(wiring.kind, wiring.device).attach(wiring.options["address"], part, condition)


PART = FakePart(
    name="sht4x",
    quantities=lambda _wiring: {
        "temperature": Quantity(21.0, noise=0.02, drift_per_s=0.1, tolerance=0.12),
        "humidity": Quantity(45.0, noise=0.1, drift_per_s=0.1, tolerance=0.6),
    },
    faults=BUS_FAULTS | VALUE_FAULTS,
    place=_place,
)
