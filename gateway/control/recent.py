"""The last events of each subject, kept in memory: the short answer to "why?"."""

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence

from gateway.core.event import Event

EVENTS_LIMIT = 64
"""Events kept of one subject (docs/local-protocol.md)."""
SUBJECTS_LIMIT = 256
"""Subjects remembered; the one silent for longest goes first."""


class RecentEvents:
    """Written by the ring's thread, read by the server's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subjects: OrderedDict[str, deque[Event]] = OrderedDict()

    def remember(self, events: Sequence[Event]) -> None:
        """Keep events in the order they happened."""
        with self._lock:
            for event in events:
                kept = self._subjects.setdefault(event.subject, deque(maxlen=EVENTS_LIMIT))
                kept.append(event)
                self._subjects.move_to_end(event.subject)
            while len(self._subjects) > SUBJECTS_LIMIT:
                self._subjects.popitem(last=False)

    def about(self, subject: str) -> list[Event]:
        """The events of one subject, newest first."""
        with self._lock:
            return list(reversed(self._subjects.get(subject, ())))
