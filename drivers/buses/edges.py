"""The one thread per GPIO chip that waits for edges."""

import contextlib
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)
BEAT_S = 1.0
STUCK_S = 3.0


class EdgeReader:
    """Runs a line's handler whenever its descriptor is readable. Handlers must only enqueue: they share this thread."""

    def __init__(self, name: str) -> None:
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._handlers: dict[int, Callable[[], None]] = {}
        self._soon: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._beat_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"edges {name}", daemon=True)

    def watch(self, line: int, handler: Callable[[], None]) -> None:
        """Call `handler` in the edge thread whenever the descriptor is readable. Any thread."""
        self._handlers[line] = handler
        self._poll.register(line, select.EPOLLIN)
        if self._thread.ident is None:
            self._thread.start()

    def soon(self, action: Callable[[], None]) -> None:
        """Run something once in the edge thread; nothing once it was closed. Any thread."""
        if self._stopping:
            return  # the descriptor's number may be another file's by now
        self._soon.append(action)
        os.eventfd_write(self._wake, 1)

    def forget(self, line: int) -> None:
        """Stop watching; call it before the descriptor is closed. Any thread."""
        if self._handlers.pop(line, None) is not None:
            with contextlib.suppress(OSError, ValueError):  # ValueError: the poll was closed before
                self._poll.unregister(line)

    def alive(self) -> bool:
        """False when the thread has died, or a handler has not returned for 3 s. True before the first line."""
        if self._thread.ident is None:
            return True
        return self._thread.is_alive() and time.monotonic() - self._beat_s < STUCK_S

    def close(self) -> None:
        """End the thread; waits at most 1 s for a handler that runs. Harmless when repeated."""
        if self._stopping:
            return
        self._stopping = True
        if self._thread.ident is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join(BEAT_S)
        if not self._thread.is_alive():
            self._poll.close()
            os.close(self._wake)

    def _run(self) -> None:
        while not self._stopping:
            for descriptor, _ in self._poll.poll(BEAT_S):
                if descriptor == self._wake:
                    os.eventfd_read(self._wake)
                elif (handler := self._handlers.get(descriptor)) is not None:
                    self._call(handler)
            while self._soon:
                self._call(self._soon.popleft())
            self._beat_s = time.monotonic()

    def _call(self, handler: Callable[[], None]) -> None:
        try:
            handler()
        except Exception:
            _log.exception("an edge handler failed; edges go on")
