"""Judging field's devices."""

from gateway.control.silence import FieldWatch
from gateway.core.quality import Reason
from gateway.core.reading import Sample
from gateway.local.polling import Outcome
from tests.control.fakes import SECOND, device


def outcome(time_s: float, name: str = "dht") -> Outcome:
    return Outcome(name, round(time_s * SECOND), (Sample("temperature", 20.0),))


def watch() -> FieldWatch:
    return FieldWatch([device("dht", every_s=5.0, deadline_s=2.0, process="field")], 0)


def test_what_field_sends_in_time_counts() -> None:
    """A poll's sample passes, and no silence is told for it."""
    field = watch()
    for poll in range(1, 10):
        assert len(field.accept([outcome(poll * 5)], round((poll * 5 + 0.3) * SECOND))) == 1
        assert field.overdue(round((poll * 5 + 4) * SECOND)) == []
    assert field.answers() == {"dht": True}


def test_silence_is_one_bad_outcome_per_nominal_poll() -> None:
    """After every + deadline without a word, BadNoCommunication at the device's own rate."""
    field = watch()
    told = [(second, each) for second in range(60) for each in field.overdue(second * SECOND)]
    assert [second for second, _ in told] == list(range(7, 60, 5))
    assert all(each.reason is Reason.BAD_NO_COMMUNICATION for _, each in told)
    assert field.answers() == {"dht": False}


def test_a_sample_that_comes_after_its_poll_was_closed_is_dropped() -> None:
    """First to close the poll wins, also between field and silence."""
    field = watch()
    assert len(field.overdue(7 * SECOND)) == 1
    assert field.accept([outcome(4.9)], 7 * SECOND + 1) == []
    assert len(field.accept([outcome(7.0)], round(7.3 * SECOND))) == 1


def test_a_backlog_after_a_stall_is_not_counted_twice() -> None:
    """A field process that was stopped for a while sends old samples: those polls have their outcome already."""
    field = watch()
    told = sum(len(field.overdue(second * SECOND)) for second in range(41))
    backlog = [outcome(second) for second in range(5, 41, 5)]
    accepted = field.accept(backlog, 41 * SECOND)
    assert told + len(accepted) == 8


def test_a_field_that_is_always_late_is_silent() -> None:
    """Samples that come at the right rate but are older than every + deadline are not believed."""
    field = watch()
    told = []
    for second in range(12, 60, 5):
        assert field.accept([outcome(second - 10)], second * SECOND) == []
        told += field.overdue(second * SECOND)
    assert len(told) == len(range(12, 60, 5))


def test_repeated_and_future_samples_and_strangers_are_dropped() -> None:
    """A sample counts once, our clock judges it, and only field's devices are taken from field."""
    field = watch()
    assert len(field.accept([outcome(5), outcome(5)], 6 * SECOND)) == 1
    assert field.accept([outcome(100)], 7 * SECOND) == []
    assert field.accept([outcome(6.5, "fryer_oil")], 7 * SECOND) == []
