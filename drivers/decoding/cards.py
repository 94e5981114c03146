"""What a card reader's drivers have in common: a card that stays is presented once."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.core.reading import Occurrence, Sample

CLONABLE = (
    "A card's number proves nothing: 125 kHz cards and UIDs of 13.56 MHz cards are copied in seconds. Good for telling "
    "who works where, not for a lock or anything that safety depends on."
)
"""Goes on every reader's page."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as its reader sees it. data: what the occurrence says of it."""

    uid: str
    data: Mapping[str, str | float | bool]


class CardWatch:
    """Knows which card lies on a reader. hold_s: how long one stays present after the reader has last seen it."""

    def __init__(self, hold_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._hold_s = hold_s
        self._now = now
        self._uid = ""
        self._seen_s = 0.0
        self._cards = 0

    def seen(self, card: Card) -> list[Occurrence]:
        """The reader sees this card now: `presented` when it was not there before."""
        again = self.is_present and card.uid == self._uid
        self._uid, self._seen_s = card.uid, self._now()
        if again:
            return []
        self._cards += 1
        return [Occurrence("presented", {"uid": card.uid, **card.data})]

    @property
    def is_present(self) -> bool:
        """Whether a card lies there."""
        return bool(self._uid) and self._now() - self._seen_s <= self._hold_s

    def samples(self) -> list[Sample]:
        """present, and cards: how many were presented since the reader was opened."""
        return [Sample("present", self.is_present), Sample("cards", float(self._cards))]
