"""Judging the devices that the field process reads: an outcome for each of its polls, also when it says nothing."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.quality import Reason
from gateway.local.polling import Outcome
from gateway.settings.model import Device

AHEAD_NS = 1_000_000_000
"""A sample stamped further ahead of our clock than this is no measurement."""


@dataclass(slots=True)
class _Watch:
    """One device. Polls that began up to `closed_ns` have their outcome; at `due_ns` the next one is late."""

    every_ns: int
    deadline_ns: int
    due_ns: int
    closed_ns: int = 0
    answers: bool = False


class FieldWatch:
    """Lets exactly one outcome per poll through: what field sent, or BadNoCommunication when it was silent too long.

    `accept` runs in the server's thread, `overdue` in the overseer's; both hold a lock for microseconds.
    """

    def __init__(self, devices: Iterable[Device], now_ns: int) -> None:
        self._lock = threading.Lock()
        self._watches: dict[str, _Watch] = {}
        for device in devices:
            every_ns, deadline_ns = round(device.every_s * 1e9), round(device.deadline_s * 1e9)
            self._watches[device.name] = _Watch(every_ns, deadline_ns, now_ns + every_ns + deadline_ns)

    def answers(self) -> dict[str, bool]:
        """device → whether its last poll gave values."""
        with self._lock:
            return {name: watch.answers for name, watch in self._watches.items()}

    def accept(self, outcomes: Iterable[Outcome], now_ns: int) -> list[Outcome]:
        """What counts of what field says; too late, repeated, from the future or not field's is left out."""
        with self._lock:
            return [outcome for outcome in outcomes if self._counts(outcome, now_ns)]

    def overdue(self, now_ns: int) -> list[Outcome]:
        """BadNoCommunication for every poll whose outcome should have come by now."""
        outcomes = []
        with self._lock:
            for name, watch in self._watches.items():
                if now_ns >= watch.due_ns:
                    watch.closed_ns = watch.due_ns - watch.deadline_ns
                    watch.answers = False
                    missed = (now_ns - watch.due_ns) // watch.every_ns
                    watch.due_ns += (missed + 1) * watch.every_ns
                    detail = "the field process has sent nothing about it: is it running?"
                    outcomes.append(Outcome(name, now_ns, None, Reason.BAD_NO_COMMUNICATION, detail))
        return outcomes

    def _counts(self, outcome: Outcome, now_ns: int) -> bool:
        watch = self._watches.get(outcome.device)
        if watch is None or not watch.closed_ns < outcome.time_ns <= now_ns + AHEAD_NS:
            return False
        if now_ns - outcome.time_ns > watch.every_ns + watch.deadline_ns:
            return False
        watch.closed_ns = outcome.time_ns
        watch.answers = outcome.samples is not None
        watch.due_ns = now_ns + watch.every_ns + watch.deadline_ns
        return True
