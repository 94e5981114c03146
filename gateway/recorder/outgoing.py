"""Between the keeper and the uplink: what is due, what has just come, what was settled."""

import threading
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from gateway.core.record import Lane, Outcome, RecordClass, Settlement, Stored
from gateway.core.spans import Spans
from gateway.recorder.ledger import Ledger
from gateway.recorder.reader import Reader

_LIVE_BYTES = 1024 * 1024
_UNBOOKED_LIMIT = 20_000
_FAR = 1 << 62


class Outgoing:
    """Implements the uplink's Source. One lock, held for microseconds and never while anything waits for the disk.

    wake: called when something new may be sent.
    """

    def __init__(self, directory: Path, wake: Callable[[], None] = lambda: None) -> None:
        self.wake = wake
        self._lock = threading.Lock()
        self._reader = Reader(directory)
        self._generation = dict.fromkeys(Lane, "")
        self._settled = {lane: Spans() for lane in Lane}
        self._unbooked: dict[Lane, deque[Settlement]] = {lane: deque() for lane in Lane}
        self._live: deque[Stored] = deque()
        self._live_bytes = 0
        self._live_wanted = False
        self._accounts: dict[str, dict[str, int]] = {}

    # -- the keeper's side ------------------------------------------------------------------------------------------

    def opened(self, ledger: Ledger) -> None:
        """A file was opened, or replaced: forget what was known of another."""
        with self._lock:
            if self._generation[ledger.lane] == ledger.epoch:
                return
            self._generation[ledger.lane] = ledger.epoch
            self._settled[ledger.lane] = ledger.settled.copy()
            self._unbooked[ledger.lane].clear()
            if ledger.lane is Lane.TELEMETRY:
                self._drop_live()
        self.publish(ledger)

    def committed(self, ledger: Ledger, stored: list[Stored]) -> None:
        """Batches are durable: offer telemetry to the live lane, and wake the uplink."""
        if ledger.lane is Lane.TELEMETRY and stored:
            with self._lock:
                self._offer(stored)
        self.publish(ledger)
        if stored:
            self.wake()

    def publish(self, ledger: Ledger) -> None:
        """Make the accounts of this commit visible."""
        fresh = {kind.value: account.as_dict() for kind, account in ledger.accounts.items()}
        with self._lock:
            self._accounts = self._accounts | fresh

    def unbooked(self, lane: Lane) -> list[Settlement]:
        """Outcomes for the next commit; `booked` takes them away once that is done."""
        with self._lock:
            return list(self._unbooked[lane])

    def has_unbooked(self, lane: Lane) -> bool:
        """Whether outcomes wait for a commit."""
        return bool(self._unbooked[lane])

    def booked(self, lane: Lane, settlements: list[Settlement]) -> None:
        """These of `unbooked` are durable. Meanwhile the file may have been replaced, and others may wait."""
        with self._lock:
            waiting = self._unbooked[lane]
            for settlement in settlements:
                if waiting and waiting[0] is settlement:
                    waiting.popleft()

    def _offer(self, stored: list[Stored]) -> None:
        if not self._live_wanted:
            return
        for item in stored:
            self._live.append(item)
            self._live_bytes += len(item.batch.body)
        while self._live_bytes > _LIVE_BYTES:  # what the uplink can't take in time is backlog
            self._live_bytes -= len(self._live.popleft().batch.body)

    def _drop_live(self) -> None:
        self._live.clear()
        self._live_bytes = 0

    # -- the uplink's side ------------------------------------------------------------------------------------------

    def generation(self, lane: Lane) -> str:
        """The epoch of the lane's file; "" while there is none."""
        return self._generation[lane]

    def settled(self, lane: Lane) -> Spans:
        """A copy of the rows that need no sending any more."""
        with self._lock:
            return self._settled[lane].copy()

    def pending(self, lane: Lane, start: int, before: int, kinds: Collection[RecordClass]) -> list[Stored]:
        """Stored batches from row `start` on and below `before`; those that can't be read are settled as dropped."""
        epoch = self._generation[lane]
        if not epoch or len(self._unbooked[lane]) > _UNBOOKED_LIMIT:
            return []
        found, damaged = self._reader.pending(lane, epoch, start, before, kinds)
        for stored in damaged:
            self.settle(stored, Outcome.DROPPED)
        return found

    def live(self) -> Stored | None:
        """The next batch committed since `go_live`."""
        with self._lock:
            if not self._live:
                return None
            item = self._live.popleft()
            self._live_bytes -= len(item.batch.body)
            return item

    def live_floor(self) -> int:
        """The lowest row that `live` may still give."""
        with self._lock:
            return self._live[0].row if self._live else _FAR

    def go_live(self, wanted: bool) -> None:
        """Begin or end to gather for `live`."""
        with self._lock:
            self._live_wanted = wanted
            self._drop_live()

    def settle(self, stored: Stored, outcome: Outcome) -> None:
        """Book an outcome with the next commit; at once for `settled`."""
        lane = stored.batch.lane
        with self._lock:
            if stored.epoch == self._generation[lane] and stored.row not in self._settled[lane]:
                self._settled[lane].add(stored.row)
                self._unbooked[lane].append(Settlement(stored, outcome))

    def summary(self) -> dict[str, Any]:
        """The accounts of every class as of the last commit."""
        with self._lock:
            return dict(self._accounts)
