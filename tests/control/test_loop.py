"""The loop: order, freshness, answers, and what it does when a step fails."""

import threading
from collections.abc import Sequence

import pytest

from gateway.control.loop import DRAIN_LIMIT, Asked, Happened, Loop, Message, Stop, Swap
from gateway.core.command import Command, Reply
from gateway.core.event import Event, EventClass
from gateway.core.quality import Reason
from gateway.core.reading import Reading, Value
from gateway.core.role import Role, Verb
from rules.engine import Decisions
from tests.control.fakes import SECOND, FakeClock


class Engine:
    """Notes what it is given; `broken` makes a step raise."""

    def __init__(self) -> None:
        self.points = {"door.open": Reading("door.open", None, Reason.BAD_NO_COMMUNICATION, 0)}
        self.given: list[Reading] = []
        self.broken = False
        self.persist = False
        self.predecessor: object = None
        self.unwilling = False

    def step(self, now_ns: int, readings: Sequence[Reading] = (), commands: Sequence[Command] = ()) -> Decisions:
        if self.broken:
            raise ZeroDivisionError
        self.given.extend(readings)
        events = tuple(Event(EventClass.OUTPUT, "light", "on", now_ns, {}) for _ in readings)
        replies = tuple(Reply(command.token, True, command.target) for command in commands)
        return Decisions({"light": True}, events, replies, self.persist, None)

    def state(self) -> dict[str, object]:
        return {"given": len(self.given)}

    def succeed(self, predecessor: object, _now_ns: int) -> None:
        if self.unwilling:
            raise ValueError("no")
        self.predecessor = predecessor


class Rig:
    """A loop whose turns the test makes; it plays guard, ring and keeper itself."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.engine = Engine()
        self.order: list[str] = []
        self.refreshed: list[tuple[dict[str, Value], int]] = []
        self.recorded: list[Reading | Event] = []
        self.states: list[dict[str, object]] = []
        self.fed: list[int] = []
        self.loop = Loop(
            self.engine,  # type: ignore[arg-type]  # a stand-in
            self,  # type: ignore[arg-type]  # it plays the guard
            self,
            self,
            clock=self.clock,
            lease_s=3.0,
            fed=self.fed.append,
        )

    def refresh(self, targets: dict[str, Value], now_ns: int) -> None:
        self.order.append("guard")
        self.refreshed.append((dict(targets), now_ns))

    def add(self, readings: Sequence[Reading], events: Sequence[Event]) -> None:
        self.order.append("ring")
        self.recorded.extend((*readings, *events))

    def offer(self, state: dict[str, object]) -> None:
        self.order.append("keeper")
        self.states.append(state)


def door(value: bool, time_s: float) -> list[Reading]:
    return [Reading("door.open", value, Reason.GOOD, round(time_s * SECOND))]


def test_outputs_are_told_before_anything_is_kept() -> None:
    """Trips act first and persist after; answers come last."""
    rig = Rig()
    rig.engine.persist = True
    rig.loop.turn([door(True, 1), Asked(command(), lambda ok, text: rig.order.append(f"answer {ok} {text}"))])
    assert rig.order == ["guard", "ring", "keeper", "answer True light"]


def command() -> Command:
    return Command(Verb.SET, "light", Role.OPERATOR, "kim", True, 60.0)


def test_a_level_read_before_an_edge_does_not_undo_it() -> None:
    """A poll that was overtaken by an edge is recorded, and changes nothing."""
    rig = Rig()
    rig.loop.turn([door(True, 2.0), door(False, 1.9)])
    rig.loop.turn([door(False, 1.95)])
    assert [reading.value for reading in rig.engine.given] == [True]
    assert sum(isinstance(each, Reading) for each in rig.recorded) == 3
    rig.loop.turn([door(False, 2.1)])
    assert rig.engine.given[-1].value is False


def test_points_of_no_configuration_are_dropped() -> None:
    """A late reading of a device that a reload removed is neither decided on nor recorded."""
    rig = Rig()
    rig.loop.turn([[Reading("gone.x", 1.0, Reason.GOOD, 5)]])
    assert (rig.engine.given, rig.recorded) == ([], [])


def test_news_of_others_is_recorded_in_order() -> None:
    """Events of the guard and of the handler come before those of the step that follows them."""
    rig = Rig()
    lapsed = Event(EventClass.SYSTEM, "light", "lease_lapsed", 1, {})
    rig.loop.turn([door(True, 1), Happened(lapsed)])
    assert [each.what for each in rig.recorded if isinstance(each, Event)] == ["lease_lapsed", "on"]


def test_a_failing_step_neither_renews_leases_nor_feeds_the_watchdog() -> None:
    """The loop survives its engine's fault, outputs go safe by their leases, and it is not busy meanwhile."""
    rig = Rig()
    rig.engine.broken = True
    rig.loop._turn_safely([door(True, 1)])
    assert (rig.refreshed, rig.fed) == ([], [])
    assert rig.loop._due_ns > rig.clock.now_ns()
    rig.engine.broken = False
    rig.loop._turn_safely([])
    assert len(rig.refreshed) == len(rig.fed) == 1


def test_leases_are_renewed_three_times_within_the_shortest() -> None:
    """With nothing to do the loop steps at least every third of the lease, and twice a second."""
    rig = Rig()
    rig.loop.turn([])
    assert rig.loop._due_ns - rig.clock.now_ns() == SECOND // 2
    rig.loop._swap(Swap(Engine(), 0.3, lambda _error: None))  # type: ignore[arg-type]  # a stand-in
    rig.loop.turn([])
    assert rig.loop._due_ns - rig.clock.now_ns() == SECOND // 10


def test_running_times_are_saved_once_a_minute() -> None:
    """Without edges the state is still saved every minute."""
    rig = Rig()
    for _ in range(200):
        rig.clock.advance(1.0)
        rig.loop.turn([])
    assert len(rig.states) == 3


def test_swap_hands_everything_to_the_new_engine_or_keeps_the_old() -> None:
    """An engine that can't take over never replaces the running one."""
    rig = Rig()
    errors: list[Exception | None] = []
    bad, good = Engine(), Engine()
    bad.unwilling = True
    rig.loop.turn([Swap(bad, 3.0, errors.append)])  # type: ignore[arg-type]  # a stand-in
    assert id(rig.loop.engine) == id(rig.engine)
    rig.loop.turn([Swap(good, 3.0, errors.append)])  # type: ignore[arg-type]  # a stand-in
    assert good.predecessor is rig.engine
    assert [type(error) for error in errors] == [ValueError, type(None)]
    assert rig.states, "the new engine's state is saved"


@pytest.mark.parametrize("count", [1, DRAIN_LIMIT + 50])
def test_everything_queued_is_taken_and_stop_ends_the_loop(count: int) -> None:
    """Nothing put before Stop is lost, also when it is more than one step takes."""
    rig = Rig()
    messages: list[Message] = [door(True, number) for number in range(count)]
    for message in (*messages, Stop()):
        rig.loop.put(message)
    thread = threading.Thread(target=rig.loop.run, daemon=True)
    thread.start()
    thread.join(5.0)
    assert not thread.is_alive()
    assert len(rig.engine.given) == count


def test_who_waits_for_a_failing_step_is_answered() -> None:
    """A command and a new configuration that met a fault are refused, not left without an answer."""
    rig = Rig()
    rig.engine.broken = True
    replies: list[tuple[bool, str]] = []
    errors: list[Exception | None] = []
    command = Command(Verb.SET, "light", Role.OPERATOR, "kim", True, 60.0)
    swap = Swap(Engine(), 3.0, errors.append)  # type: ignore[arg-type]  # a stand-in
    rig.loop._turn_safely([Asked(command, lambda ok, message: replies.append((ok, message))), swap])
    ((ok, message),) = replies
    assert not ok
    assert "see the log" in message
    assert [type(error) for error in errors] == [ZeroDivisionError]
    rig.engine.broken = False
    rig.loop._turn_safely([])
    assert id(rig.loop.engine) == id(rig.engine)
