"""A contact between a GPIO line and ground or supply, and what makes pulses with one."""

from collections.abc import Callable

from fake_hw.faults import Condition
from fake_hw.machine import Machine

CONTACT_FAULTS = frozenset({"cut", "short", "bounce", "frozen"})
_FLIPS = 7
_FLIP_S = 0.001


class DryContact:
    """Closed it forces its level on the line, open it lets go of it. A bouncing one flips seven times in 7 ms."""

    def __init__(self, machine: Machine, condition: Condition, line: int, closed_level: int) -> None:
        self._machine = machine
        self._condition = condition
        self._line = line
        self._level = closed_level
        self._closed = False

    def move(self, closed: bool) -> None:
        """Be closed or open now, as far as its condition lets it. In the machine's thread."""
        fault = self._condition.fault
        if fault == "frozen" and self._condition.plugged:
            return
        if not self._condition.plugged or fault == "cut":
            closed = False
        elif fault == "short":
            closed = True
        if closed == self._closed:
            return
        self._closed = closed
        for flip in range(_FLIPS if fault == "bounce" else 0):
            self._machine.loop.after(flip * _FLIP_S, self._driver(closed == (flip % 2 == 0)))
        if fault != "bounce":
            self._driver(closed)()

    def _driver(self, closed: bool) -> Callable[[], None]:
        return lambda: self._machine.lines.drive(self._line, self._level if closed else None)


class Pulses:
    """Closes a contact (or opens it, `resting` closed) for a while, as often as `follow` asks for, one by one."""

    def __init__(self, machine: Machine, contact: DryContact, half_s: float, *, resting: bool = False) -> None:
        self._loop = machine.loop
        self._contact = contact
        self._half_s = half_s
        self._resting = resting
        self.made = 0
        self._busy = False

    def follow(self, count: int) -> None:
        """Make what is missing to `count`; a longer rest when nothing is."""
        if self._busy:
            return
        self._contact.move(self._resting)
        if self.made < count:
            self._busy = True
            self._contact.move(not self._resting)
            self._loop.after(self._half_s, lambda: self._rest(count))

    def _rest(self, count: int) -> None:
        self.made += 1
        self._contact.move(self._resting)
        self._loop.after(self._half_s, lambda: self._go_on(count))

    def _go_on(self, count: int) -> None:
        self._busy = False
        self.follow(count)
