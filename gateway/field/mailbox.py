"""What has happened at field's devices, kept until control has it."""

import secrets
import threading
from collections import deque

from gateway.core.event import Event
from gateway.local.letters import ROWS_LIMIT, Letter

KEPT = 5000
"""Events that wait for control; of more the oldest are lost, and control is told how many."""


class Mailbox:
    """Numbers events from 1 on; `run` names this numbering. Workers put, the link's thread does the rest."""

    def __init__(self, kept: int = KEPT) -> None:
        self.run = secrets.token_hex(8)
        self._kept = kept
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()
        self._first = 1  # the number of the oldest event held
        self._acknowledged = 0
        self._sent = 0

    def put(self, event: Event) -> None:
        """Keep one more, which is sendable; the oldest goes when there is no room."""
        with self._lock:
            self._events.append(event)
            if len(self._events) > self._kept:
                self._drop_oldest()

    def reconnected(self) -> None:
        """Another connection: what was not acknowledged has to be sent again."""
        with self._lock:
            self._sent = self._acknowledged

    def take(self) -> Letter | None:
        """What to send next on this connection; None when everything has been sent."""
        with self._lock:
            first = max(self._first, self._sent + 1)
            begin = first - self._first
            events = tuple(self._events[index] for index in range(begin, min(begin + ROWS_LIMIT, len(self._events))))
            if not events:
                return None
            after, self._sent = self._sent, first + len(events) - 1
            return Letter(self.run, after, first, events)

    def acknowledge(self, upto: int) -> None:
        """Control has everything up to this number: forget it."""
        with self._lock:
            self._acknowledged = max(self._acknowledged, min(upto, self._sent))
            while self._events and self._first <= self._acknowledged:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._events.popleft()
        self._first += 1
