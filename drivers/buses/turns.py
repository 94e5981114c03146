"""Taking turns on a wire that several threads use."""

import threading
import time
from types import TracebackType

from gateway.core.errors import DeviceTimeout


class Turns:
    """A lock under which nobody starves: who waits is served before the thread that has just given it back.

    An ordinary lock may be taken again at once by the thread that released it, poll after poll. Who gets no turn within
    `within_s` is told so with DeviceTimeout: the transfer under way does not end. device: the wire's name, for that.
    """

    __slots__ = ("_device", "_held", "_next", "_within_s")

    def __init__(self, device: str, within_s: float) -> None:
        self._device = device
        self._within_s = within_s
        self._next = threading.Lock()
        self._held = threading.Lock()

    def __enter__(self) -> None:
        give_up_s = time.monotonic() + self._within_s
        self._take(self._next, give_up_s)
        try:
            self._take(self._held, give_up_s)
        finally:
            self._next.release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.release()

    def _take(self, lock: threading.Lock, give_up_s: float) -> None:
        if not lock.acquire(timeout=max(0.0, give_up_s - time.monotonic())):
            raise DeviceTimeout(f"{self._device} is busy with a transfer that does not end: check its adapter")
