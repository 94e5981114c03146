"""Texas Instruments ADS1115 (SBAS444): four registers, a multiplexer, single shots and continuous conversion.

Whatever hangs on one of its inputs is placed with `connect`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from fake_hw.parts.transmitter import LoopTransmitter

_CONVERSION, _CONFIG = 0, 1
_FULL_SCALE_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
_RATE_HZ = (8, 16, 32, 64, 128, 250, 475, 860)
_PAIRS = ((0, 1), (0, 3), (1, 3), (2, 3))
_OS, _SINGLE = 0x8000, 0x0100
CHIP_FAULTS = BUS_FAULTS - {"crc"}
ELEMENT_FAULTS = VALUE_FAULTS | {"cut", "short"}


class Ads1115:
    """Converts the voltage at the selected input. `inputs`: four callables, volts against ground."""

    def __init__(self, clock: Callable[[], float], inputs: Sequence[Callable[[], float]]) -> None:
        self._clock = clock
        self.inputs = list(inputs)
        self._registers = [0x0000, 0x8583, 0x8000, 0x7FFF]
        self._pointer = 0
        self._done_s = 0.0
        self.carrier: Condition | None = None  # who has its bus faults
        self._coming: int | None = None

    def write(self, data: bytes) -> None:
        """Set the pointer, and the register behind it when two bytes follow."""
        if not data:
            return
        self._pointer = data[0] & 3
        if len(data) < 3 or self._pointer == _CONVERSION:
            return
        value = int.from_bytes(data[1:3], "big")
        self._registers[self._pointer] = value
        if self._pointer == _CONFIG and (value & _OS or not value & _SINGLE):
            self._coming = self._convert(value)
            self._done_s = self._clock() + 1.0 / _RATE_HZ[value >> 5 & 7]

    def read(self, length: int) -> bytes:
        """The register under the pointer; a master that reads on sees ones."""
        self._settle()
        value = self._registers[self._pointer]
        if self._pointer == _CONFIG:
            value = value & ~_OS | (_OS if self._coming is None else 0)
        return value.to_bytes(2, "big")[:length]

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data

    def _settle(self) -> None:
        """Finish the conversion whose time has come; in continuous mode the last one has only just ended."""
        if self._coming is None or self._clock() < self._done_s:
            return
        config = self._registers[_CONFIG]
        if config & _SINGLE:
            self._registers[_CONVERSION], self._coming = self._coming, None
        else:
            self._registers[_CONVERSION] = self._convert(config)

    def _convert(self, config: int) -> int:
        """Two's complement of the selected voltage at the selected gain, clipped at full scale."""
        mux = config >> 12 & 7
        if mux >= 4:
            volts = self.inputs[mux - 4]()
        else:
            plus, minus = _PAIRS[mux]
            volts = self.inputs[plus]() - self.inputs[minus]()
        counts = round(volts * 32768.0 / _FULL_SCALE_V[config >> 9 & 7])
        return min(32767, max(-32768, counts)) & 0xFFFF


def connect(machine: Machine, name: str, wiring: Wiring, volts: Callable[[Condition], Callable[[], float]]) -> None:
    """Wire what gives `volts(condition)()` to the input that the wiring's options name, on a converter there.

    The first device on a converter has its bus faults too; the others' own are those of their element.
    """
    adapter = machine.bus(wiring.kind, wiring.device)
    address, number = wiring.options["address"], wiring.options["input"]
    chip = adapter.part(address)
    if chip is None:
        condition = machine.condition(name, CHIP_FAULTS | ELEMENT_FAULTS)
        chip = Ads1115(machine.clock, [_nothing] * 4)
        adapter.attach(address, chip, condition)
        chip.carrier = condition
    else:
        condition = machine.condition(name, ELEMENT_FAULTS)
        condition.carrier = getattr(chip, "carrier", None)
    chip.inputs[number] = volts(condition)


def _nothing() -> float:
    """An open input, as a grounded one."""
    return 0.0


_SIGNALS = {"4-20 mA": (4.0, 20.0), "0-20 mA": (0.0, 20.0), "0-10 V": (0.0, 10.0), "2-10 V": (2.0, 10.0)} | {
    "0-5 V": (0.0, 5.0),
    "1-5 V": (1.0, 5.0),
    "0.5-4.5 V": (0.5, 4.5),
}


def _ends_v(options: Mapping[str, Any]) -> tuple[float, float]:
    """Volts at the input at both ends of the range: what Ohm and the divider make of the signal."""
    low, high = _SIGNALS.get(options["signal"], (options["low_v"], options["high_v"]))
    per_unit = options["shunt_ohm"] / 1000.0 if options["signal"].endswith("mA") else 1.0 / options["divider"]
    return low * per_unit, high * per_unit


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    options = wiring.options

    def volts(condition: Condition) -> Callable[[], float]:
        probe = machine.probes(name, PART, wiring, condition)[options["channel"]]
        at_low, at_high = options["at_low"], options["at_high"]
        return LoopTransmitter(condition, probe, at_low, at_high, machine.chance, ends_v=_ends_v(options)).volts

    connect(machine, name, wiring, volts)


def _quantities(wiring: Wiring) -> dict[str, Quantity]:
    span = abs(wiring.options["at_high"] - wiring.options["at_low"])
    middle = (wiring.options["at_high"] + wiring.options["at_low"]) / 2
    return {wiring.options["channel"]: Quantity(middle, span / 10_000, drift_per_s=span / 100, tolerance=span / 500)}


PART = FakePart("ads1115", _quantities, CHIP_FAULTS | ELEMENT_FAULTS, _place)
