"""What an output line of the chip powers, and when it did."""

from collections import deque
from collections.abc import Callable

from fake_hw.faults import Condition
from fake_hw.machine import Machine, Wiring

LOAD_FAULTS = frozenset({"welded", "cut"})
_REMEMBERED = 4096


class GpioLoad:
    """A load behind a driver stage with an external resistor to off: welded it always has power, cut it never has.

    `switched` (seconds of the machine's clock, has power) is appended to at each change.
    """

    def __init__(self, machine: Machine, condition: Condition, wiring: Wiring, told: Callable[[], None]) -> None:
        self._lines = machine.lines
        self._clock = machine.clock
        self._condition = condition
        self._line: int = wiring.options["line"]
        self._active = 1 if wiring.options["active"] == "high" else 0
        self._told = told
        self.switched: deque[tuple[float, bool]] = deque([(self._clock(), False)], maxlen=_REMEMBERED)
        machine.lines.wire(self._line, 1 - self._active)
        machine.bus(wiring.kind, wiring.device)
        machine.lines.loads[self._line] = lambda _level: self.look()
        machine.steps.append(self.look)

    def has_power(self) -> bool:
        """Whether it is powered now."""
        if not self._condition.plugged or self._condition.fault == "cut":
            return False
        return self._condition.fault == "welded" or self._lines.level(self._line) == self._active

    def look(self) -> None:
        """Note a change, and tell of it."""
        power = self.has_power()
        if power != self.switched[-1][1]:
            self.switched.append((self._clock(), power))
        self._told()
