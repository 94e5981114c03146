"""The books of one lane: what came, what became of it, and which numbers are still due. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.core.record import Batch, Gap, Lane, Outcome, RecordClass
from gateway.core.spans import Spans

RUNS_KEPT = 8
"""Runs whose last number is remembered; control only ever resends its present run."""


@dataclass(slots=True)
class Account:
    """Records of one class. `captured = delivered + pending + expired + dropped + rejected`, always."""

    captured: int = 0
    delivered: int = 0
    pending: int = 0
    expired: int = 0
    dropped: int = 0
    rejected: int = 0

    @property
    def balanced(self) -> bool:
        """Whether nothing is missing."""
        settled = self.delivered + self.expired + self.dropped + self.rejected
        return self.captured == settled + self.pending and min(self.as_list()) >= 0

    def settle(self, count: int, outcome: Outcome) -> None:
        """Move `count` records from pending to their outcome."""
        self.pending -= count
        setattr(self, outcome.value, getattr(self, outcome.value) + count)

    def as_list(self) -> list[int]:
        """The six numbers in the order of the fields."""
        return [self.captured, self.delivered, self.pending, self.expired, self.dropped, self.rejected]

    def as_dict(self) -> dict[str, int]:
        """The six numbers by name."""
        return {name: getattr(self, name) for name in ACCOUNT_FIELDS}


ACCOUNT_FIELDS = ("captured", "delivered", "pending", "expired", "dropped", "rejected")


def classes_of(lane: Lane) -> tuple[RecordClass, ...]:
    """The classes that are accounted in this lane."""
    return tuple(kind for kind in RecordClass if kind.lane is lane)


@dataclass(slots=True)
class Ledger:
    """The state of one database file, as of one commit. `have`: run → its last number stored or told as lost.

    epoch: names this life of the file; it is also the run of the recorder's own events, and never forgotten.
    settled: row ids that need no sending any more. newest: the highest row id ever given; 0 is the empty first row.
    """

    lane: Lane
    epoch: str
    accounts: dict[RecordClass, Account] = field(default_factory=dict)
    have: dict[str, int] = field(default_factory=dict)
    settled: Spans = field(default_factory=Spans)
    newest: int = 0

    def __post_init__(self) -> None:
        for kind in classes_of(self.lane):
            self.accounts.setdefault(kind, Account())

    def admit(self, arrival: Batch | Gap) -> Iterator[Batch | Gap]:
        """What of an arrival is new: nothing for a resend, the tail of an overlap, with a Gap before it for a hole.

        A run's first arrival starts its count: what came before it lies in an earlier file.
        """
        last = arrival.first + arrival.count - 1
        expected = self.have.get(arrival.run, arrival.first - 1) + 1
        if last < expected:
            return
        if arrival.first > expected:
            yield self._enter_gap(Gap(arrival.run, arrival.lane, arrival.kind, expected, arrival.first - 1, "missing"))
        fresh = arrival if arrival.first >= expected else _tail(arrival, expected)
        if isinstance(fresh, Gap):
            yield self._enter_gap(fresh)
            return
        account = self.accounts[fresh.kind]
        account.captured += fresh.count
        account.pending += fresh.count
        self.newest += 1
        self._remember(fresh.run, fresh.last)
        yield fresh

    def settle(self, row: int, kind: RecordClass, count: int, outcome: Outcome) -> bool:
        """Book a row's outcome; False when it was booked before or is unknown.

        Raises ValueError when so many can't be pending: the row's count is damaged.
        """
        if row in self.settled or not 0 < row <= self.newest:
            return False
        if not 0 < count <= self.accounts[kind].pending:
            raise ValueError(f"row {row} counts {count} records, {self.accounts[kind].pending} of {kind} are pending")
        self.accounts[kind].settle(count, outcome)
        self.settled.add(row)
        return True

    @property
    def pending(self) -> int:
        """Records that still wait for the broker."""
        return sum(account.pending for account in self.accounts.values())

    @property
    def balanced(self) -> bool:
        """Whether every class adds up."""
        return all(account.balanced for account in self.accounts.values())

    def copy(self) -> "Ledger":
        """An independent ledger, to try a commit on."""
        accounts = {kind: Account(*account.as_list()) for kind, account in self.accounts.items()}
        return Ledger(self.lane, self.epoch, accounts, dict(self.have), self.settled.copy(), self.newest)

    def dump(self) -> str:
        """The text that rides in the newest row."""
        accounts = {kind.value: account.as_list() for kind, account in self.accounts.items()}
        parts = {"e": self.epoch, "a": accounts, "h": self.have, "s": list(self.settled), "n": self.newest}
        return json.dumps(parts, separators=(",", ":"))

    @classmethod
    def load(cls, lane: Lane, text: str) -> "Ledger":
        """The ledger in that text. Raises ValueError when it is damaged."""
        try:
            parts: dict[str, Any] = json.loads(text)
            accounts = {RecordClass(kind): Account(*map(int, six)) for kind, six in parts["a"].items()}
            have = {str(run): int(last) for run, last in parts["h"].items()}
            settled = Spans((int(first), int(last)) for first, last in parts["s"])
            ledger = cls(lane, str(parts["e"]), accounts, have, settled, int(parts["n"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the ledger of {lane} is damaged: {error!r}") from error
        if not ledger.balanced or set(ledger.accounts) != set(classes_of(lane)):
            raise ValueError(f"the ledger of {lane} does not add up: {text:.200}")
        return ledger

    def _enter_gap(self, gap: Gap) -> Gap:
        account = self.accounts[gap.kind]
        account.captured += gap.count
        account.dropped += gap.count
        self._remember(gap.run, gap.last)
        return gap

    def _remember(self, run: str, last: int) -> None:
        self.have.pop(run, None)  # to the end: the dict is ordered by use
        self.have[run] = last
        for oldest in [known for known in self.have if known != self.epoch][:-RUNS_KEPT]:
            del self.have[oldest]


def _tail(arrival: Batch | Gap, first: int) -> Batch | Gap:
    """The part of an arrival from number `first` on; a batch's rows keep their times (they count from `mono`)."""
    if isinstance(arrival, Gap):
        return Gap(arrival.run, arrival.lane, arrival.kind, first, arrival.last, arrival.cause)
    try:
        rows = json.loads(arrival.body)[first - arrival.first :]
    except (ValueError, TypeError, KeyError):
        return Gap(arrival.run, arrival.lane, arrival.kind, first, arrival.last, "damaged")
    return Batch(
        arrival.run,
        arrival.lane,
        arrival.kind,
        first,
        len(rows),
        arrival.boot,
        arrival.mono,
        arrival.ts,
        arrival.trusted,
        arrival.sim,
        json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode(),
    )
