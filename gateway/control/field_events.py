"""What field says has happened at its devices: each taken once, whatever was sent again; what is missing is told."""

from collections.abc import Callable, Collection

from gateway.core.event import Event, EventClass
from gateway.local.letters import Letter


class FieldEvents:
    """Runs in the server's thread. tell: gets each event once and must only enqueue."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._run = ""
        self._last = 0

    def take(self, letter: Letter, devices: Collection[str], now_ns: int) -> int:
        """Hand on what is new of field's own devices; the number up to which everything is taken."""
        if letter.run != self._run:
            self._run, self._last = letter.run, letter.after
        known_upto = max(self._last, letter.after)
        if letter.first - 1 > known_upto:
            self._lost(letter.first - 1 - known_upto, "field had no room for them while control was away", now_ns)
        new = letter.events[max(0, self._last + 1 - letter.first) :]
        own = [event for event in new if event.subject in devices]
        for event in own:
            self._tell(event)
        if len(own) < len(new):
            self._lost(len(new) - len(own), "their devices are not field's in this configuration", now_ns)
        self._last = max(self._last, letter.last)
        return self._last

    def _lost(self, count: int, why: str, now_ns: int) -> None:
        self._tell(Event(EventClass.SYSTEM, "field", "events_lost", now_ns, {"count": count, "message": why}))
