"""Taking turns on a wire that several threads use."""

import threading
from types import TracebackType


class Turns:
    """A lock under which nobody starves: who waits is served before the thread that has just given it back.

    An ordinary lock may be taken again at once by the thread that released it, poll after poll.
    """

    __slots__ = ("_held", "_next")

    def __init__(self) -> None:
        self._next = threading.Lock()
        self._held = threading.Lock()

    def __enter__(self) -> None:
        with self._next:
            self._held.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.release()
