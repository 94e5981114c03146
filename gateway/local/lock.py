"""One process of a kind per state directory."""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType

from gateway.core.errors import AlreadyRunning
from gateway.local.paths import StatePaths


class Lock:
    """A held lock; the kernel gives it up when the process ends, however it ends."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def exclusive(state: Path, process: str) -> Lock:
    """Be the only `process` on this state directory, which is created. Never waits.

    Keep the result: the lock holds as long as it is open. Raises AlreadyRunning with the holder's pid, or OSError.
    """
    paths = StatePaths(state)
    paths.create()
    path = paths.lock(process)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise AlreadyRunning(
            f"gateway {process} already runs on {state} (pid {holder}): stop it, or choose another --state"
        ) from None
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, only the pid is not told
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Lock(descriptor)
