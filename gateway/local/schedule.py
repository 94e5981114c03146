"""When which device of one bus is due: no drift, no burst after a stall, a rest for the dead."""

import heapq
from collections.abc import Mapping

REST_LIMIT_NS = 60_000_000_000
"""The longest a dead device is left alone."""


class Schedule:
    """The due times of one bus's devices. Pure: the caller says what time it is. Times in CLOCK_BOOTTIME ns.

    At the start all are due, because interlocks wait for every input. spread: from then on each has a place of its own
    within its period, to which its second turn is put off: a hundred devices of one rate that were always due together
    would make each other late for ever.
    """

    __slots__ = ("_due", "_every_ns", "_second_ns")

    def __init__(self, every_ns: Mapping[str, int], start_ns: int, *, spread: bool = True) -> None:
        self._every_ns = dict(every_ns)
        self._due = [(start_ns, order, name) for order, name in enumerate(self._every_ns)]
        count = len(self._due) if spread else 0
        self._second_ns = {
            name: start_ns + self._every_ns[name] * (count + order) // count for _, order, name in self._due if count
        }
        heapq.heapify(self._due)

    @property
    def next_ns(self) -> int:
        """When the next device is due."""
        return self._due[0][0]

    def take(self, now_ns: int) -> str | None:
        """The device whose turn has come, None when it is nobody's; its next turn keeps the rhythm.

        Turns that lie in the past by then are skipped: a stall is not made up for.
        """
        due_ns, order, name = self._due[0]
        if due_ns > now_ns:
            return None
        every_ns = self._every_ns[name]
        due_ns = self._second_ns.pop(name, due_ns + every_ns) - every_ns
        missed = max(0, now_ns - due_ns) // every_ns
        heapq.heapreplace(self._due, (due_ns + (missed + 1) * every_ns, order, name))
        return name


class Breaker:
    """Rests a device that keeps failing: the second failure in a row doubles the pause, up to 60 s."""

    __slots__ = ("_every_ns", "failures", "retry_ns")

    def __init__(self, every_ns: int) -> None:
        self._every_ns = every_ns
        self.failures = 0
        self.retry_ns = 0

    def resting(self, now_ns: int) -> bool:
        """Whether the bus shall not be touched for this device now."""
        # Half a period early counts as in time: the retry falls on a turn, and a turn may come a moment early.
        return self.failures > 1 and now_ns < self.retry_ns - self._every_ns // 2

    def failed(self, now_ns: int) -> None:
        """One more failure in a row."""
        self.failures += 1
        doublings = min(self.failures - 1, 32)
        pause_ns = min(self._every_ns << doublings, max(REST_LIMIT_NS, self._every_ns))
        self.retry_ns = now_ns + pause_ns

    def succeeded(self) -> None:
        """The device answers again."""
        self.failures = 0
        self.retry_ns = 0
