"""Vishay VEML7700 (document 84286, revision 1.8): 16-bit registers, low byte first; not quite linear."""

from collections.abc import Callable

from fake_hw.faults import BUS_FAULTS, VALUE_FAULTS, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_CONF, _ALS, _WHITE, _INTERRUPT, _ID = 0, 4, 5, 6, 7
_SHUT_DOWN = 0x0001
_GAIN = {0: 1.0, 1: 2.0, 2: 1 / 8, 3: 1 / 4}
_INTEGRATION_MS = {0xC: 25, 0x8: 50, 0: 100, 1: 200, 2: 400, 3: 800}
_IDENTITY = 0xC481
_LINEAR_UP_TO_LX = 53.76


def seen_lx(true_lx: float) -> float:
    """What the part takes an illuminance for: the application note's correction (84323), turned round by bisection."""
    if true_lx <= _LINEAR_UP_TO_LX:
        return true_lx
    low, high = _LINEAR_UP_TO_LX, true_lx
    for _ in range(60):
        middle = (low + high) / 2
        corrected = 1.0023 * middle + 8.1488e-5 * middle**2 - 9.3924e-9 * middle**3 + 6.0135e-13 * middle**4
        low, high = (middle, high) if corrected < true_lx else (low, middle)
    return low


class Veml7700:
    """Integrates all the time unless shut down; a new setting shows its first result one integration later."""

    def __init__(self, clock: Callable[[], float], light_lx: Probe) -> None:
        self._clock = clock
        self._light_lx = light_lx
        self.power_up()

    def power_up(self) -> None:
        """As after power-on: shut down."""
        self._registers = {**dict.fromkeys(range(7), 0), _CONF: _SHUT_DOWN, _ID: _IDENTITY}
        self._pointer = 0
        self._first_s = float("inf")

    def write(self, data: bytes) -> None:
        """A register's number, and its new word when two bytes follow."""
        if not data:
            return
        self._pointer = data[0]
        if len(data) < 3 or self._pointer > 3:
            return
        word = int.from_bytes(data[1:3], "little")
        self._registers[self._pointer] = word
        if self._pointer == _CONF:
            running = not word & _SHUT_DOWN
            self._first_s = self._clock() + 0.0025 + self._integration_s() if running else float("inf")

    def read(self, length: int) -> bytes:
        """The register under the pointer; an integration is taken to have ended just now."""
        if self._clock() >= self._first_s:
            self._registers[_ALS] = self._counts()
        return self._registers.get(self._pointer, 0).to_bytes(2, "little")[:length]

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data

    def _integration_s(self) -> float:
        return _INTEGRATION_MS.get(self._registers[_CONF] >> 6 & 0xF, 100) / 1000

    def _counts(self) -> int:
        gain = _GAIN[self._registers[_CONF] >> 11 & 3]
        per_lx = self._integration_s() / 0.8 * gain / 2.0 / 0.0042
        return min(0xFFFF, max(0, round(seen_lx(self._light_lx.value()) * per_lx)))


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    part = Veml7700(machine.clock, machine.probes(name, PART, wiring, condition)["light"])
    machine.bus(wiring.kind, wiring.device).attach(0x10, part, condition)
    machine.steps.append(lambda: None if condition.plugged else part.power_up())


PART = FakePart(
    name="veml7700",
    quantities=lambda _wiring: {"light": Quantity(450.0, noise=0.1, drift_per_s=20.0, tolerance=2.0)},
    faults=(BUS_FAULTS - {"crc"}) | VALUE_FAULTS,
    place=_place,
)
