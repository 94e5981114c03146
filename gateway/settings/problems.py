"""Every fault found in a site's files, each with its place, what is wrong and what to do."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.errors import ConfigurationError

_MOST = 200  # a file with more faults than this is not a site file; the rest would only bury the first
_LONGEST = 80


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands. line, column: from 1; column 0 when it says nothing."""

    file: str
    line: int
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Problems:
    """Collects faults so that one run shows them all. Used by one thread."""

    def __init__(self) -> None:
        self._found: set[tuple[Place, str]] = set()
        self._more = 0

    def __len__(self) -> int:
        return len(self._found) + self._more

    def add(self, place: Place, what: str, cure: str, *, with_column: bool = False) -> None:
        """Keep `file:line: what; cure` (with_column: `file:line:column:`; cure "" when `what` holds it)."""
        where = f"{place}:{place.column}" if with_column else str(place)
        if len(self._found) < _MOST:
            self._found.add((place, f"{where}: {what}; {cure}" if cure else f"{where}: {what}"))
        else:
            self._more += 1

    def unknown(self, place: Place, kind: str, word: str, known: Iterable[str]) -> None:
        """A word that means nothing here: name the nearest that does, or all of them."""
        if len(self._found) < _MOST:
            self.add(place, f"unknown {kind} {shown(word)}", suggestion(word, known))
        else:
            self._more += 1

    def texts(self) -> list[str]:
        """Every fault as one line, by file and line."""
        lines = [text for _, text in sorted(self._found)]
        return [*lines, f"and {self._more} more problems; cure these first"] if self._more else lines

    def raise_if_any(self) -> None:
        """Raises ConfigurationError holding all of them, if there are any."""
        if len(self):
            raise ConfigurationError(self.texts())


def shown(word: str) -> str:
    """A word from the file, quoted and cut to a readable length."""
    return repr(word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…")


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to do about an unknown word: the nearest known one, or the list."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6) if len(word) <= _LONGEST else []
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names)}" if names else "there are none to choose from"
