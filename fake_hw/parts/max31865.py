"""Maxim MAX31865 (19-6478): a ratio of resistances, thresholds and a fault test."""

from collections.abc import Callable

from fake_hw.buses.spi import SPI_FAULTS
from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_BIAS, _ONE_SHOT, _3_WIRE, _TEST, _CLEAR, _50_HZ = 0x80, 0x20, 0x10, 0x0C, 0x02, 0x01
_TEST_BITS = {"open": 0x30, "lead_off": 0x08}  # what only the fault test finds: RTDIN- without contact
_CABLE_OHM = 1.0
_SELF_CLEARING = _ONE_SHOT | _TEST | _CLEAR
_SETTLED_S = 0.0095  # the bias must have stood so long when a conversion starts


class Max31865:
    """Compares the element with its reference resistor when told to."""

    modes = frozenset({1, 3})

    def __init__(
        self,
        clock: Callable[[], float],
        condition: Condition,
        temperature_c: Probe,
        *,
        nominal: float,
        reference: float,
        three_wires: bool,
    ) -> None:
        self._clock = clock
        self._condition = condition
        self._temperature_c = temperature_c
        self._nominal, self._reference = nominal, reference
        self._three_wires = three_wires
        self._registers = bytearray.fromhex("00 00 00 ff ff 00 00 00")
        self._biased_s = float("inf")
        self._done_s: float | None = None

    def exchange(self, data: bytes) -> bytes:
        """An address, its top bit set for writing, and registers from there on, wrapping."""
        self._settle()
        answer = bytearray(1)
        for offset, byte in enumerate(data[1:]):
            register = (data[0] + offset) & 0x07
            answer.append(0 if data[0] & 0x80 else self._registers[register])
            if not data[0] & 0x80:
                continue
            if register == 0:
                self._configure(byte)
            elif 3 <= register <= 6:
                self._registers[register] = byte
        return bytes(answer)

    def _configure(self, byte: int) -> None:
        if not byte & _BIAS:
            self._biased_s = float("inf")
        elif not self._registers[0] & _BIAS:
            self._biased_s = self._clock()
        if byte & _CLEAR:
            self._registers[7] = 0
        if byte & _TEST:
            self._registers[7] |= _TEST_BITS.get(self._condition.fault, 0)
        self._registers[0] = byte & ~_SELF_CLEARING
        if byte & _ONE_SHOT:
            self._registers[0] |= _ONE_SHOT
            self._done_s = self._clock() + (0.0625 if byte & _50_HZ else 0.052)

    def _settle(self) -> None:
        if self._done_s is None or self._clock() < self._done_s:
            return
        self._registers[0] &= ~_ONE_SHOT
        code = self._code(self._done_s)
        self._done_s = None
        high, low = (int.from_bytes(self._registers[at : at + 2], "big") >> 1 for at in (3, 5))
        if code >= high:
            self._registers[7] |= 0x80
        if code <= low:
            self._registers[7] |= 0x40
        if self._condition.fault == "overvoltage":
            self._registers[7] |= 0x04
        self._registers[1:3] = (code << 1 | bool(self._registers[7])).to_bytes(2, "big")

    def _code(self, done_s: float) -> int:
        """15 bits of the ratio. An element that was not biased long enough shows less than it has."""
        if self._condition.fault == "open":
            return 32767
        if self._condition.fault == "short":
            return 0
        settled = 1.0 if done_s - self._biased_s >= 0.052 + _SETTLED_S else 0.5
        ohm = _platinum(self._temperature_c.value()) * self._nominal
        if bool(self._registers[0] & _3_WIRE) != self._three_wires:
            ohm += _CABLE_OHM  # the cable is not taken off, or taken off where it is not in
        return min(32767, max(0, round(ohm / self._reference * settled * 32768)))


def _platinum(celsius: float) -> float:
    """R(t)/R0 of IEC 60751, in Horner's form."""
    c = -4.183e-12 if celsius < 0 else 0.0
    return (((c * celsius - 100 * c) * celsius - 5.775e-7) * celsius + 3.9083e-3) * celsius + 1.0


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    nominal = 1000.0 if wiring.options.get("element") == "PT1000" else 100.0
    reference = float(wiring.options.get("reference_ohm", 430.0))
    part = Max31865(
        machine.clock,
        condition,
        probes["temperature"],
        nominal=nominal,
        reference=reference,
        three_wires=wiring.options["wires"] == 3,
    )
    machine.bus(wiring.kind, wiring.device).attach(part, condition)


PART = FakePart(
    name="max31865",
    quantities=lambda _wiring: {"temperature": Quantity(3.5, noise=0.005, drift_per_s=0.2, tolerance=0.06)},
    faults=SPI_FAULTS | VALUE_FAULTS | {"open", "short", "lead_off", "overvoltage"},
    place=_place,
)
