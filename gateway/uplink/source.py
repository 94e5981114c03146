"""Where the uplink takes stored batches from and to whom it tells what became of them."""

from collections.abc import Collection
from typing import Any, Protocol

from gateway.core.record import Lane, Outcome, RecordClass, Stored
from gateway.core.spans import Spans


class Source(Protocol):
    """The outbox as the uplink sees it. `pending` may wait for the disk; nothing else does. Thread-safe."""

    def generation(self, lane: Lane) -> str:
        """Changes when the lane's file is another one: rows are then numbered anew. "" while there is none."""
        ...

    def settled(self, lane: Lane) -> Spans:
        """A copy of the rows that need no sending any more."""
        ...

    def pending(self, lane: Lane, start: int, before: int, kinds: Collection[RecordClass]) -> list[Stored]:
        """Stored batches from row `start` on and below `before`, oldest first: some dozen, or at most about 1 MiB."""
        ...

    def live(self) -> Stored | None:
        """The next telemetry batch that was committed since `go_live`, each once; None when there is none."""
        ...

    def live_floor(self) -> int:
        """The lowest row that `live` may still give; everything below is backlog."""
        ...

    def go_live(self, wanted: bool) -> None:
        """Begin or end to gather newly committed telemetry for `live`."""
        ...

    def settle(self, stored: Stored, outcome: Outcome) -> None:
        """Book an outcome; it becomes durable with the next commit."""
        ...

    def summary(self) -> dict[str, Any]:
        """The accounts of every class, `{class: {captured: …}}`, as of the last commit."""
        ...
