"""The connection to control."""

import threading
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.core.record import Batch, Gap, Lane, RecordClass
from gateway.local.paths import StatePaths
from gateway.recorder.intake import FRAMES_LIMIT, Intake
from gateway.recorder.link import Link, read_arrival
from tests.recorder.fakes import RUN, FakeControl, event, eventually, telemetry


class Books:
    """A store that has nothing yet."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.ok = True
        self.stored: dict[str, dict[str, int]] = {}

    def have(self, run: str) -> dict[str, int]:
        return self.stored.get(run, {"telemetry": 0, "events": 0})


@pytest.fixture
def control(directory: Path) -> Iterator[FakeControl]:
    made = FakeControl(directory).start()
    yield made
    made.stop()


@pytest.fixture
def intake() -> Intake:
    return Intake()


@pytest.fixture
def link(directory: Path, intake: Intake) -> Iterator[Link]:
    made = Link(StatePaths(directory).control_sock, intake, lambda: {"store_ok": True})
    yield made
    made.stop()


def test_it_asks_for_what_the_store_lacks(control: FakeControl, link: Link, intake: Intake) -> None:
    """The subscription names control's run and the last number of it in each lane."""
    books = Books()
    books.stored[RUN] = {"telemetry": 6, "events": 2}
    control.add(telemetry(1), telemetry(4), telemetry(7), event(1), event(2), event(3))
    link.start(books)
    eventually(lambda: intake.size(Lane.TELEMETRY)[0] and intake.size(Lane.EVENTS)[0])
    assert control.subscriptions == [{"kind": "subscribe", "run": RUN, "have": {"telemetry": 6, "events": 2}}]
    assert intake.waiting(Lane.TELEMETRY) == [telemetry(7)]
    assert intake.waiting(Lane.EVENTS) == [event(3)]


def test_it_waits_for_the_store_before_it_asks(control: FakeControl, link: Link) -> None:
    """Health is told at once, records are asked for only when the store knows what it has."""
    books = Books()
    books.opened.clear()
    link.start(books)
    eventually(lambda: control.health)
    assert control.subscriptions == []
    books.opened.set()
    eventually(lambda: control.subscriptions)


def test_it_stops_reading_when_the_disk_does_not_take(control: FakeControl, link: Link, intake: Intake) -> None:
    """Memory is bounded by the intake: the rest stays in control's ring, and health goes on meanwhile."""
    control.window = 3 * FRAMES_LIMIT
    link.start(Books())
    control.add(*(telemetry(n, 1) for n in range(1, 3 * FRAMES_LIMIT)))
    eventually(lambda: intake.full)
    heard = len(control.health)
    eventually(lambda: len(control.health) > heard)
    assert intake.size(Lane.TELEMETRY)[0] == FRAMES_LIMIT
    kept = intake.waiting(Lane.TELEMETRY)
    intake.kept(Lane.TELEMETRY, kept)
    link.acknowledge(Lane.TELEMETRY, RUN, kept[-1].last if isinstance(kept[-1], Batch) else 0)
    eventually(lambda: intake.full)
    assert intake.waiting(Lane.TELEMETRY)[0].first == kept[-1].first + 1


def test_it_connects_again_to_the_next_run(directory: Path, link: Link, intake: Intake) -> None:
    """Control may die and come back as another run at any time: everything unacknowledged is asked for anew."""
    first = FakeControl(directory).start()
    link.start(Books())
    first.add(telemetry(1))
    eventually(lambda: intake.size(Lane.TELEMETRY)[0])
    first.stop()
    eventually(lambda: not link.connected)
    assert intake.size(Lane.TELEMETRY)[0] == 0
    second = FakeControl(directory, run="ef" * 8).start()
    second.add(telemetry(1, run="ef" * 8))
    eventually(lambda: intake.waiting(Lane.TELEMETRY) == [telemetry(1, run="ef" * 8)])
    second.stop()


def test_an_acknowledgement_of_an_earlier_run_is_kept_back(control: FakeControl, link: Link) -> None:
    """Numbers of another run mean nothing to this one: told to it, they would make it forget what nobody has."""
    link.start(Books())
    eventually(lambda: control.subscriptions)
    link.acknowledge(Lane.TELEMETRY, "another", 1000)
    link.acknowledge(Lane.EVENTS, RUN, 1)
    control.wait_acknowledged(Lane.EVENTS, 1)
    assert control.acknowledged[Lane.TELEMETRY] == 0


def test_a_command_is_answered_once_whatever_happens(control: FakeControl, link: Link) -> None:
    """Control's answer comes back; without control, or when it goes away, the answer says so."""
    answers: list[tuple[bool, str]] = []
    fields = {"verb": "set", "target": "gas_valve", "value": True, "for_s": 5, "who": "app"}
    link.command(fields, lambda ok, text: answers.append((ok, text)))
    assert answers == [(False, "control is not running: nothing was done; try again")]
    link.start(Books())
    eventually(lambda: link.connected)
    link.command(fields, lambda ok, text: answers.append((ok, text)))
    eventually(lambda: answers[1:] == [(True, "done")])
    assert control.commands[0].who == "cloud:app"
    control.answer = lambda _command, _reply: None
    link.command(fields, lambda ok, text: answers.append((ok, text)))
    eventually(lambda: len(control.commands) == 2)
    control.stop()
    eventually(lambda: len(answers) == 3)
    assert not answers[2][0]
    assert "went away" in answers[2][1]


def test_a_new_configuration_is_passed_on(directory: Path, control: FakeControl, intake: Intake) -> None:
    """Control's hello and its announcements of a configuration reach the process."""
    heard: list[dict[str, Any]] = []
    link = Link(StatePaths(directory).control_sock, intake, dict, heard.append)
    link.start(Books())
    eventually(lambda: control.subscriptions)
    control.announce("f00d")
    eventually(lambda: len(heard) == 2)
    assert heard[0]["run"] == RUN
    assert heard[1] == {"configuration": "f00d"}
    link.stop()


_RECORDS = {
    "kind": "records", "run": RUN, "lane": "telemetry", "class": "telemetry", "first": 1, "count": 3,
    "boot": "b", "mono": 1, "ts": 2, "trusted": True, "sim": False,
}  # fmt: skip


def test_frames_become_batches_and_gaps() -> None:
    """Every field of a records frame and of a gap frame arrives where it belongs."""
    batch = read_arrival(_RECORDS, b"[]")
    assert batch == Batch(RUN, Lane.TELEMETRY, RecordClass.TELEMETRY, 1, 3, "b", 1, 2, True, False, b"[]")
    gap = {"kind": "gap", "run": RUN, "lane": "events", "class": "audit", "first": 3, "last": 9}
    assert read_arrival(gap, None) == Gap(RUN, Lane.EVENTS, RecordClass.AUDIT, 3, 9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class": "alarm"}, "does not belong"),
        ({"class": "weather"}, "weather"),
        ({"lane": "fast"}, "fast"),
        ({"first": 0}, "first"),
        ({"first": True}, "first"),
        ({"count": 0}, "count"),
        ({"count": 2**60}, "count"),
        ({"ts": -1}, "ts"),
        ({"mono": 1.5}, "mono"),
        ({"run": ""}, "run"),
        ({"run": 5}, "run"),
        ({"boot": "x" * 65}, "boot"),
    ],
)
def test_a_wrong_frame_is_refused(change: dict[str, Any], words: str) -> None:
    """A frame that can't be booked truly ends the connection with words that name the field."""
    with pytest.raises(ValueError, match=words):
        read_arrival({**_RECORDS, **change}, b"[]")


@pytest.mark.parametrize("missing", ["run", "lane", "class", "first", "count", "boot", "mono", "ts", "body"])
def test_an_incomplete_frame_is_refused(missing: str) -> None:
    """Nothing is made up for a field that is not there."""
    frame = {key: value for key, value in _RECORDS.items() if key != missing}
    with pytest.raises(ValueError, match=r"lacks|without"):
        read_arrival(frame, None if missing == "body" else b"[]")


def test_a_command_that_meets_the_end_of_a_connection_does_not_wait_for_the_next(
    control: FakeControl, link: Link
) -> None:
    """Handed over while control dies, it is refused: done much later it would surprise people."""

    class Fields(UserDict[str, Any]):
        def keys(self) -> Any:
            link._lost()
            return super().keys()

    link.start(Books())
    eventually(lambda: link.connected)
    answers: list[bool] = []
    fields = cast(dict[str, Any], Fields(verb="set", target="siren"))  # a dict would be copied without asking it
    link.command(fields, lambda ok, _: answers.append(ok))
    assert answers == [False]
    assert not link._out
