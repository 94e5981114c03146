"""A set of whole numbers kept as closed spans: small when the numbers come in long runs."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Spans:
    """Disjoint spans, ascending and never touching. Operations cost a binary search (adding inside: a list insert)."""

    __slots__ = ("_first", "_last")

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in spans:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Include `first` … `last` (one number without `last`). Raises ValueError for a span that runs backwards."""
        last = first if last is None else last
        if last < first:
            raise ValueError(f"a span can't run from {first} to {last}")
        low = bisect_left(self._last, first - 1)  # the first span that touches or follows
        high = bisect_right(self._first, last + 1)  # behind the last span that touches
        if low < high:
            first, last = min(first, self._first[low]), max(last, self._last[high - 1])
        self._first[low:high] = [first]
        self._last[low:high] = [last]

    def remove(self, number: int) -> None:
        """Exclude one number; one that is not in does nothing."""
        at = bisect_left(self._last, number)
        if number not in self:
            return
        first, last = self._first[at], self._last[at]
        pieces = [(a, b) for a, b in ((first, number - 1), (number + 1, last)) if a <= b]
        self._first[at : at + 1] = [a for a, _ in pieces]
        self._last[at : at + 1] = [b for _, b in pieces]

    def first_free(self, start: int) -> int:
        """The smallest number ≥ `start` that is not in."""
        at = bisect_left(self._last, start)
        if at < len(self._first) and self._first[at] <= start:
            return self._last[at] + 1
        return start

    def copy(self) -> "Spans":
        """An independent set with the same numbers."""
        twin = Spans()
        twin._first, twin._last = self._first.copy(), self._last.copy()
        return twin

    def __contains__(self, number: int) -> bool:
        at = bisect_left(self._last, number)
        return at < len(self._first) and self._first[at] <= number

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._first, self._last, strict=True))

    def __len__(self) -> int:
        """How many spans there are, not how many numbers."""
        return len(self._first)
