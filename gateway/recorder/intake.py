"""What control has sent and the disk has not taken yet: bounded, so that a stalled disk costs no memory."""

import threading

from gateway.core.record import Batch, Gap, Lane

FRAMES_LIMIT = 1024
BYTES_LIMIT = 8 * 1024 * 1024
GROUP_BYTES = 512 * 1024
"""What one commit takes: the smallest budget has room for it."""


class Intake:
    """Two queues, one per lane, from the link's thread to the keeper's. When full, control's ring holds the rest."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[Lane, list[Batch | Gap]] = {lane: [] for lane in Lane}
        self._bytes = 0
        self._woken = False

    @property
    def full(self) -> bool:
        """Whether the link must stop reading."""
        frames = sum(len(waiting) for waiting in self._waiting.values())
        return self._bytes >= BYTES_LIMIT or frames >= FRAMES_LIMIT

    def put(self, arrival: Batch | Gap) -> None:
        """Add one arrival and wake the keeper."""
        with self._condition:
            self._waiting[arrival.lane].append(arrival)
            self._bytes += _size(arrival)
            self._condition.notify()

    def waiting(self, lane: Lane) -> list[Batch | Gap]:
        """What waits in this lane, in order, as much as one commit should take; it stays until `kept`."""
        with self._condition:
            group: list[Batch | Gap] = []
            size = 0
            for arrival in self._waiting[lane]:
                size += _size(arrival)
                if group and size > GROUP_BYTES:
                    break
                group.append(arrival)
            return group

    def kept(self, lane: Lane, arrivals: list[Batch | Gap]) -> None:
        """These of `waiting` are durable. Meanwhile the queue may have been cleared and filled with others."""
        with self._condition:
            gone = {id(arrival) for arrival in arrivals}
            self._waiting[lane] = [arrival for arrival in self._waiting[lane] if id(arrival) not in gone]
            self._bytes = sum(_size(arrival) for waiting in self._waiting.values() for arrival in waiting)

    def size(self, lane: Lane) -> tuple[int, int]:
        """(arrivals, bytes) that wait in this lane."""
        with self._condition:
            return len(self._waiting[lane]), sum(map(_size, self._waiting[lane]))

    def clear(self) -> None:
        """Forget everything not kept: control sends it again after a new subscription."""
        with self._condition:
            for waiting in self._waiting.values():
                waiting.clear()
            self._bytes = 0

    def wait(self, timeout_s: float) -> None:
        """Sleep until something arrives, `wake` is called or the time is over."""
        with self._condition:
            if not self._woken:
                self._condition.wait(timeout_s)
            self._woken = False

    def wake(self) -> None:
        """End a `wait` now."""
        with self._condition:
            self._woken = True
            self._condition.notify()


def _size(arrival: Batch | Gap) -> int:
    return len(arrival.body) if isinstance(arrival, Batch) else 0
