"""A thread for what takes time and must not hold up the loop or the server: the simulator, a reload."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

WAITING_LIMIT = 16

_log = logging.getLogger(__name__)


class SideThread:
    """Does jobs one after the other."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="side", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """Do it when its turn comes; False when too many wait already. Any thread and signal handlers; never blocks."""
        if self._jobs.qsize() >= WAITING_LIMIT:
            return False
        self._jobs.put(job)
        return True

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:
                _log.exception("a job on the side failed")
