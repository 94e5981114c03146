"""The simulator's one thread: descriptors and timers, nothing that waits."""

import contextlib
import heapq
import itertools
import os
import select
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable

Callback = Callable[[], None]
_NS = 1_000_000_000


def now_ns() -> int:
    """CLOCK_BOOTTIME, the clock of every stamp in the log."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Timer:
    """A callback to come; `cancel()` makes it not come."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Forget the callback; harmless after it ran."""
        self.callback = None


class Loop:
    """Runs callbacks when a descriptor is readable or a time has come. Not thread-safe but for `soon` and `stop`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = itertools.count()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._soon: deque[Callback] = deque()
        self._stopping = False
        self._epoll.register(self._wake, select.EPOLLIN)

    def watch(self, descriptor: int, callback: Callback) -> None:
        """Call back whenever the descriptor is readable or hung up."""
        self._readers[descriptor] = callback
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP)

    def forget(self, descriptor: int) -> None:
        """Stop watching; call it before the descriptor is closed."""
        if self._readers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def after(self, delay_s: float, callback: Callback) -> Timer:
        """Call back once, `delay_s` from now."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (now_ns() + int(delay_s * _NS), next(self._order), timer))
        return timer

    def every(self, period_s: float, callback: Callback) -> None:
        """Call back for ever; a period that was missed is skipped, not made up for."""

        def again() -> None:
            self.after(period_s, again)
            callback()

        self.after(period_s, again)

    def stop(self) -> None:
        """End `run` soon. From any thread or signal handler."""
        self._stopping = True
        self._awake()

    def soon(self, callback: Callback) -> None:
        """Call back once in `run`'s thread. From any thread."""
        self._soon.append(callback)
        self._awake()

    def run(self) -> None:
        """Serve until `stop`. A callback that raises is reported on stderr and the rest go on."""
        while not self._stopping:
            for descriptor, _ in self._epoll.poll(self._wait_s()):
                if descriptor == self._wake:
                    os.eventfd_read(self._wake)
                    self._run_soon()
                    continue
                reader = self._readers.get(descriptor)
                if reader is not None:
                    _guarded(reader)
            self._run_timers()

    def close(self) -> None:
        """Give the loop's own descriptors back."""
        self._epoll.close()
        wake, self._wake = self._wake, -1
        os.close(wake)

    def _awake(self) -> None:
        if self._wake >= 0:
            with contextlib.suppress(OSError):  # `run` may end for another reason, and close it, at any moment
                os.eventfd_write(self._wake, 1)

    def _run_soon(self) -> None:
        while self._soon and not self._stopping:
            _guarded(self._soon.popleft())

    def _wait_s(self) -> float:
        if not self._timers:
            return -1.0
        return max(0.0, (self._timers[0][0] - now_ns()) / _NS)

    def _run_timers(self) -> None:
        now = now_ns()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                _guarded(timer.callback)


def _guarded(callback: Callback) -> None:
    try:
        callback()
    except Exception:
        # The kitchen must go on whatever one wire does; the defect is told where a person sees it.
        traceback.print_exc(file=sys.stderr)
