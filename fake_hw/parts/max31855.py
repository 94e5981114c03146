"""Maxim MAX31855 (19-5793): 32 bits with hot junction, cold junction and fault bits."""

from fake_hw.buses.spi import SPI_FAULTS
from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.thermocouple import millivolts

_MICROVOLTS_PER_C = {"K": 41.276, "J": 57.953, "N": 36.256, "T": 52.18}
_FAULT_BITS = {"open": 0b001, "short_gnd": 0b010, "short_vcc": 0b100}


class Max31855:
    """Measures a voltage between two junctions and reports it as if the thermocouple were linear."""

    modes = frozenset({0})

    def __init__(self, kind: str, condition: Condition, hot_c: Probe, cold_c: Probe) -> None:
        self._kind = kind
        self._condition = condition
        self._hot_c = hot_c
        self._cold_c = cold_c

    def exchange(self, data: bytes) -> bytes:
        """The frame; who clocks on reads zeros."""
        frame = self._frame().to_bytes(4, "big")
        return (frame + bytes(len(data)))[: len(data)]

    def _frame(self) -> int:
        cold = self._cold_c.value()
        voltage = millivolts(self._kind, self._hot_c.value()) - millivolts(self._kind, cold)
        shown = 1000.0 * voltage / _MICROVOLTS_PER_C[self._kind] + cold
        quarters = min(8191, max(-8192, round(shown * 4)))
        sixteenths = min(2047, max(-2048, round(cold * 16)))
        frame = quarters % (1 << 14) << 18 | sixteenths % (1 << 12) << 4
        bits = _FAULT_BITS.get(self._condition.fault, 0)
        return frame | 1 << 16 | bits if bits else frame


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    probes = machine.probes(name, PART, wiring, condition)
    kind = str(wiring.options.get("thermocouple", "K"))
    part = Max31855(kind, condition, probes["temperature"], probes["cold_junction"])
    machine.bus(wiring.kind, wiring.device).attach(part, condition)


PART = FakePart(
    name="max31855",
    quantities=lambda _wiring: {
        "temperature": Quantity(180.0, noise=0.05, drift_per_s=0.5, tolerance=0.6),
        "cold_junction": Quantity(31.0, noise=0.01, drift_per_s=0.1, tolerance=0.1),
    },
    faults=SPI_FAULTS | VALUE_FAULTS | frozenset(_FAULT_BITS),
    place=_place,
)
