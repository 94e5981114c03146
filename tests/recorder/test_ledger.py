"""The books of one lane."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.record import Batch, Gap, Lane, Outcome, RecordClass
from gateway.recorder.ledger import RUNS_KEPT, Ledger
from tests.recorder.fakes import RUN, telemetry


def _ledger() -> Ledger:
    return Ledger(Lane.TELEMETRY, "epoch")


def _account(ledger: Ledger) -> list[int]:
    return ledger.accounts[RecordClass.TELEMETRY].as_list()


def test_a_resend_counts_once() -> None:
    """The same numbers of the same run are captured once, however often they are sent."""
    ledger = _ledger()
    assert list(ledger.admit(telemetry(1, 5))) == [telemetry(1, 5)]
    assert list(ledger.admit(telemetry(1, 5))) == []
    assert list(ledger.admit(telemetry(2, 3))) == []
    assert _account(ledger) == [5, 0, 5, 0, 0, 0]


def test_an_overlap_keeps_only_its_new_rows() -> None:
    """Of a batch that is partly known, the new rows are kept under their own numbers, with their own values."""
    ledger = _ledger()
    list(ledger.admit(telemetry(1, 5)))
    (fresh,) = ledger.admit(telemetry(4, 5))
    assert isinstance(fresh, Batch)
    assert (fresh.first, fresh.count, fresh.mono) == (6, 3, telemetry(4).mono)
    assert [row["v"] for row in json.loads(fresh.body)] == [6, 7, 8]
    assert _account(ledger)[0] == 8


def test_an_overlap_that_cannot_be_cut_is_a_gap() -> None:
    """A body that is no JSON can't be cut: its new numbers are lost, told and counted."""
    ledger = _ledger()
    list(ledger.admit(telemetry(1, 5)))
    assert list(ledger.admit(telemetry(4, 5, body=b"broken"))) == [
        Gap(RUN, Lane.TELEMETRY, RecordClass.TELEMETRY, 6, 8, "damaged")
    ]
    assert _account(ledger) == [8, 0, 5, 0, 3, 0]


def test_a_hole_is_told_as_missing() -> None:
    """Numbers that never came are captured and dropped, so that contiguity is proven, not assumed."""
    ledger = _ledger()
    list(ledger.admit(telemetry(1, 5)))
    gap, batch = ledger.admit(telemetry(9, 2))
    assert gap == Gap(RUN, Lane.TELEMETRY, RecordClass.TELEMETRY, 6, 8, "missing")
    assert batch == telemetry(9, 2)
    assert _account(ledger) == [10, 0, 7, 0, 3, 0]


def test_a_run_begins_where_it_is_first_heard() -> None:
    """The first arrival of a run starts its count: what came before lies in an earlier file."""
    ledger = _ledger()
    assert list(ledger.admit(telemetry(5001, 2))) == [telemetry(5001, 2)]
    assert _account(ledger)[0] == 2


def test_an_outcome_is_booked_once() -> None:
    """Two acknowledgements of one row, or one of a row that never was, change nothing."""
    ledger = _ledger()
    list(ledger.admit(telemetry(1, 5)))
    assert ledger.settle(1, RecordClass.TELEMETRY, 5, Outcome.DELIVERED)
    assert not ledger.settle(1, RecordClass.TELEMETRY, 5, Outcome.DELIVERED)
    assert not ledger.settle(2, RecordClass.TELEMETRY, 5, Outcome.DELIVERED)
    assert not ledger.settle(0, RecordClass.TELEMETRY, 5, Outcome.DELIVERED)
    assert _account(ledger) == [5, 5, 0, 0, 0, 0]


def test_old_runs_are_forgotten_but_never_our_own() -> None:
    """Only so many runs are remembered; the recorder's own events keep their numbers for the life of the file."""
    ledger = _ledger()
    list(ledger.admit(telemetry(1, 1, run="epoch")))
    for number in range(RUNS_KEPT + 5):
        list(ledger.admit(telemetry(1, 1, run=f"run{number}")))
    assert len(ledger.have) == RUNS_KEPT + 1
    assert ledger.have["epoch"] == 1


_ARRIVAL = st.one_of(
    st.builds(telemetry, st.integers(1, 40), st.integers(1, 9), st.sampled_from(["a", "b"])),
    st.builds(
        lambda run, first, count: Gap(run, Lane.TELEMETRY, RecordClass.TELEMETRY, first, first + count - 1),
        st.sampled_from(["a", "b"]),
        st.integers(1, 40),
        st.integers(1, 9),
    ),
)
_STEP = st.one_of(_ARRIVAL, st.tuples(st.integers(0, 30), st.sampled_from(Outcome)))


@given(st.lists(_STEP, max_size=40))
def test_the_accounts_always_add_up(steps: list[Batch | Gap | tuple[int, Outcome]]) -> None:
    """captured = delivered + pending + expired + dropped + rejected after any story; the text keeps all of it."""
    ledger = _ledger()
    counts: dict[int, int] = {}
    seen: dict[str, set[int]] = {"a": set(), "b": set()}
    for step in steps:
        if isinstance(step, tuple):
            ledger.settle(step[0], RecordClass.TELEMETRY, counts.get(step[0], 0), step[1])
            continue
        for fresh in ledger.admit(step):
            numbers = set(range(fresh.first, fresh.first + fresh.count))
            assert not numbers & seen[fresh.run], "a number counted twice"
            seen[fresh.run] |= numbers
            if isinstance(fresh, Batch):
                counts[ledger.newest] = fresh.count
    assert ledger.balanced
    assert _account(ledger)[0] == sum(map(len, seen.values()))
    for numbers in seen.values():
        assert not numbers or numbers == set(range(min(numbers), max(numbers) + 1))
    assert Ledger.load(Lane.TELEMETRY, ledger.dump()).dump() == ledger.dump()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"e":1}', "null", '{"a":{"telemetry":[9,0,0,0,0,0]}}'])
def test_a_damaged_ledger_is_refused(text: str) -> None:
    """A ledger that can't be read, or does not add up, is never believed."""
    with pytest.raises(ValueError, match=r"ledger|JSON|Expecting"):
        Ledger.load(Lane.TELEMETRY, text)


def test_a_ledger_that_does_not_add_up_is_refused() -> None:
    """One flipped digit in the newest row is noticed."""
    ledger = _ledger()
    list(ledger.admit(telemetry(1, 5)))
    with pytest.raises(ValueError, match="does not add up"):
        Ledger.load(Lane.TELEMETRY, ledger.dump().replace("[5,0,5", "[6,0,5"))
