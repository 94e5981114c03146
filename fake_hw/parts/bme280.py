"""Bosch BME280 (BST-BME280-DS001, revision 1.24): registers, forced mode, and raw values found from the truth.

The compensation here is the data sheet's fixed-point one (4.2.3), searched backwards; the driver computes in floats.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_ID, _RESET, _CTRL_HUM, _STATUS, _CTRL_MEAS, _CONFIG, _DATA = 0xD0, 0xE0, 0xF2, 0xF3, 0xF4, 0xF5, 0xF7
_MEASURING = 0x08
_OVERSAMPLING = (0, 1, 2, 4, 8, 16, 16, 16)
_SKIPPED = (0x80000, 0x80000, 0x8000)


@dataclass(frozen=True, slots=True)
class Trimming:
    """The words burnt in at the factory, as found in one ordinary part."""

    t: tuple[int, int, int] = (28485, 26735, 50)
    p: tuple[int, int, int, int, int, int, int, int, int] = (36738, -10635, 3024, 6980, -4, -7, 9900, -10230, 4285)
    h: tuple[int, int, int, int, int, int] = (75, 354, 0, 337, 50, 30)

    def registers(self) -> dict[int, int]:
        """Address → byte, 0x88 to 0xA1 and 0xE1 to 0xE7."""
        h1, h2, h3, h4, h5, h6 = self.h
        low = struct.pack("<Hhh", *self.t) + struct.pack("<H8h", *self.p) + bytes((0, h1))
        nibbles = bytes((h4 >> 4 & 0xFF, h4 & 0xF | (h5 & 0xF) << 4, h5 >> 4 & 0xFF))
        high = struct.pack("<hB", h2, h3) + nibbles + struct.pack("b", h6)
        return dict(enumerate(low, 0x88)) | dict(enumerate(high, 0xE1))


def fine_temperature(raw: int, trim: Trimming) -> int:
    """`t_fine` of the data sheet; (t_fine * 5 + 128) >> 8 is in 0.01 °C."""
    t1, t2, t3 = trim.t
    first = ((raw >> 3) - (t1 << 1)) * t2 >> 11
    second = (((raw >> 4) - t1) * ((raw >> 4) - t1) >> 12) * t3 >> 14
    return first + second


def pressure_pa(raw: int, fine: int, trim: Trimming) -> float:
    """Pascals, from the 64-bit formula in Q24.8."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = trim.p
    v1 = fine - 128000
    v2 = v1 * v1 * p6 + (v1 * p5 << 17) + (p4 << 35)
    v1 = (v1 * v1 * p3 >> 8) + (v1 * p2 << 12)
    v1 = ((1 << 47) + v1) * p1 >> 33
    p = (((1048576 - raw) << 31) - v2) * 3125 // v1
    v1 = p9 * (p >> 13) * (p >> 13) >> 25
    v2 = p8 * p >> 19
    return ((p + v1 + v2 >> 8) + (p7 << 4)) / 256


def humidity_pct(raw: int, fine: int, trim: Trimming) -> float:
    """Percent of relative humidity, from the 32-bit formula in Q22.10."""
    h1, h2, h3, h4, h5, h6 = trim.h
    v = fine - 76800
    gain = ((v * h6 >> 10) * ((v * h3 >> 11) + 32768) >> 10) + 2097152
    v = ((raw << 14) - (h4 << 20) - h5 * v + 16384 >> 15) * (gain * h2 + 8192 >> 14)
    v -= ((v >> 15) * (v >> 15) >> 7) * h1 >> 4
    return (min(max(v, 0), 419430400) >> 12) / 1024


def search(wanted: float, top: int, formula: Callable[[int], float]) -> int:
    """The raw value from 0 to `top` whose compensated value is `wanted`; the formula rises or falls throughout."""
    rising = formula(top) > formula(0)
    low, high = 0, top
    while low < high:
        middle = (low + high) // 2
        if (formula(middle) < wanted) == rising:
            low = middle + 1
        else:
            high = middle
    return low


class Bme280:
    """Sleeps; a write of forced mode to ctrl_meas starts one measurement, after which it sleeps again."""

    def __init__(self, clock: Callable[[], float], probes: Mapping[str, Probe], trim: Trimming) -> None:
        self._clock = clock
        self._probes = probes
        self._trim = trim
        self.power_up()

    def power_up(self) -> None:
        """Registers as after power-on."""
        self._registers = {**self._trim.registers(), _ID: 0x60, _CTRL_HUM: 0, _CTRL_MEAS: 0, _CONFIG: 0}
        self._humidity_control = 0
        self._store(*_SKIPPED)
        self._pointer = 0
        self._ready_s = 0.0
        self._coming: tuple[int, int, int] | None = None

    def write(self, data: bytes) -> None:
        """A register address, then its value; more pairs may follow."""
        if data:
            self._pointer = data[0]
        for address, value in zip(data[0::2], data[1::2], strict=False):
            self._set(address, value)

    def read(self, length: int) -> bytes:
        """Registers from the pointer on; the address counts up."""
        self._settle()
        places = range(self._pointer, self._pointer + length)
        return bytes(self._status() if each == _STATUS else self._registers.get(each, 0) for each in places)

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data

    def _set(self, address: int, value: int) -> None:
        if address == _RESET and value == 0xB6:
            self.power_up()
        elif address == _CTRL_HUM:
            self._registers[_CTRL_HUM] = value & 7
        elif address == _CONFIG:
            self._registers[_CONFIG] = value
        elif address == _CTRL_MEAS:
            self._registers[_CTRL_MEAS] = value
            self._humidity_control = self._registers[_CTRL_HUM]  # it takes effect only now (5.4.3)
            if value & 3:
                self._measure(value)

    def _measure(self, control: int) -> None:
        factors = [_OVERSAMPLING[each & 7] for each in (control >> 5, control >> 2, self._humidity_control)]
        t, p, h = factors
        self._ready_s = self._clock() + 0.00125 + 0.0023 * (t + p + h) + 0.000575 * (bool(p) + bool(h))
        raw_t = search(
            self._probes["temperature"].value(), 0xFFFFF, lambda raw: fine_temperature(raw, self._trim) / 5120
        )
        fine = fine_temperature(raw_t, self._trim)
        pa = self._probes["pressure"].value() * 100
        raw_p = search(pa, 0xFFFFF, lambda raw: pressure_pa(raw, fine, self._trim))
        humidity = self._probes["humidity"].value()
        raw_h = search(humidity, 0xFFFF, lambda raw: humidity_pct(raw, fine, self._trim))
        measured = (raw_p, raw_t, raw_h)
        self._coming = (
            measured[0] if p else _SKIPPED[0],
            measured[1] if t else _SKIPPED[1],
            measured[2] if h else _SKIPPED[2],
        )

    def _settle(self) -> None:
        """End a measurement whose time has come; forced mode then falls back to sleep."""
        if self._coming is None or self._clock() < self._ready_s:
            return
        self._store(*self._coming)
        self._coming = None
        self._registers[_CTRL_MEAS] &= ~3

    def _store(self, pressure: int, temperature: int, humidity: int) -> None:
        data = (pressure << 4).to_bytes(3, "big") + (temperature << 4).to_bytes(3, "big") + humidity.to_bytes(2, "big")
        self._registers.update(enumerate(data, _DATA))

    def _status(self) -> int:
        return _MEASURING if self._coming is not None else 0


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Bme280(machine.clock, machine.probes(name, PART, wiring, condition), Trimming())
    machine.bus(wiring.kind, wiring.device).attach(wiring.options["address"], part, condition)
    machine.steps.append(lambda: None if condition.plugged else part.power_up())


PART = FakePart(
    name="bme280",
    quantities=lambda _wiring: {
        "temperature": Quantity(23.0, noise=0.003, drift_per_s=0.1, tolerance=0.05),
        "humidity": Quantity(52.0, noise=0.02, drift_per_s=0.1, tolerance=0.2),
        "pressure": Quantity(1009.0, noise=0.01, drift_per_s=0.1, tolerance=0.15),
    },
    faults=(BUS_FAULTS - {"crc"}) | VALUE_FAULTS,
    place=_place,
)
