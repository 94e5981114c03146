"""ROHM BH1750FVI (revision 2011.11-D): opecodes of one byte, 16 bits of light; no checksum."""

from collections.abc import Callable

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_POWER_DOWN, _POWER_ON, _RESET = 0x00, 0x01, 0x07
# mode in bits 0 and 1 → seconds, counts per lux (measurement time register at 69)
_MODES = {0: (0.120, 1.2), 1: (0.120, 2.4), 3: (0.016, 1.2)}
_CONTINUOUS, _ONE_TIME = 0x10, 0x20


class Bh1750:
    """Shows the last result until the next conversion has ended; a one-time measurement powers it down."""

    def __init__(self, clock: Callable[[], float], light_lx: Probe) -> None:
        self._clock = clock
        self._light_lx = light_lx
        self.power_up()

    def power_up(self) -> None:
        """As after power-on: powered down, its register empty."""
        self._result = 0
        self._mode = 0
        self._continuous = False
        self._due_s = float("inf")

    def write(self, data: bytes) -> None:
        """Take an opecode; what it does not know it ignores."""
        for opecode in data:
            if opecode == _RESET:
                self._result = 0
            elif opecode in {_POWER_DOWN, _POWER_ON}:
                self._due_s, self._continuous = float("inf"), False
            elif opecode & 0xFC in {_CONTINUOUS, _ONE_TIME} and opecode & 3 in _MODES:
                self._mode, self._continuous = opecode & 3, opecode & 0xFC == _CONTINUOUS
                self._due_s = self._clock() + _MODES[self._mode][0]

    def read(self, length: int) -> bytes:
        """The result register; a continuous conversion is taken to have ended just now."""
        if self._clock() >= self._due_s:
            counts = round(self._light_lx.value() * _MODES[self._mode][1])
            self._result = min(0xFFFF, max(0, counts))
            if not self._continuous:
                self._due_s = float("inf")
        return self._result.to_bytes(2, "big")[:length]

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Bh1750(machine.clock, machine.probes(name, PART, wiring, condition)["light"])
    machine.bus(wiring.kind, wiring.device).attach(wiring.options["address"], part, condition)
    machine.steps.append(lambda: None if condition.plugged else part.power_up())


PART = FakePart(
    name="bh1750",
    quantities=lambda _wiring: {"light": Quantity(450.0, noise=0.3, drift_per_s=20.0, tolerance=2.5)},
    faults=(BUS_FAULTS - {"crc"}) | VALUE_FAULTS,
    place=_place,
)
