"""Whether control is well enough to tell the service manager so."""

import logging
from collections.abc import Callable, Mapping

FEED_NS = 500_000_000

_log = logging.getLogger(__name__)


class Watchdog:
    """Fed by the loop after each sound step; passes it on only while every part that safety needs is alive.

    `alive` of a part is asked in the loop's thread, at most twice a second, and must not block.
    """

    def __init__(self, feed: Callable[[], None]) -> None:
        self._feed = feed
        self._parts: dict[str, Callable[[], bool]] = {}
        self._fed_ns = 0
        self._dead: list[str] = []

    def watch(self, parts: Mapping[str, Callable[[], bool]]) -> None:
        """Name the parts that must be alive, before the first step."""
        self._parts = dict(parts)

    def step(self, now_ns: int) -> None:
        """The loop has made a sound step."""
        if now_ns - self._fed_ns < FEED_NS:
            return
        self._fed_ns = now_ns
        dead = [name for name, alive in self._parts.items() if not alive()]
        if dead and dead != self._dead:
            _log.error("not alive: %s; the watchdog is not fed", ", ".join(dead))
        self._dead = dead
        if not dead:
            self._feed()
