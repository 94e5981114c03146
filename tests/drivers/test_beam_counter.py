"""Beam counter: passages, and a beam that is stuck."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers.beam_counter import BeamCounter, Options
from gateway.core.quality import Quality, Reason
from tests.drivers.wire import Wire, values

CHIP = "/dev/gpiochip0"
Until = Callable[..., None]


@pytest.fixture
def now() -> list[float]:
    """The driver's clock."""
    return [0.0]


@pytest.fixture
def beam(wire: Wire, now: list[float]) -> BeamCounter:
    """A counter on the simulated wire, its beam free."""
    wire.place("beam_counter", "gpio", CHIP)
    counter: BeamCounter = wire.open(monotonic=lambda: now[0])
    return counter


def test_everyone_is_counted(wire: Wire, beam: BeamCounter, until: Until) -> None:
    """Each interruption is one, however fast they follow; a bouncing receiver is debounced."""
    assert values(beam.read()) == {"count": 0, "blocked": False}
    for fault, count in (("none", 4), ("bounce", 6)):
        wire.fault(fault)
        wire.set(count=count)
        until(lambda wanted=count: values(beam.read()) == {"count": wanted, "blocked": False})


def test_a_stuck_beam_is_a_fault_and_the_count_goes_on(
    wire: Wire, beam: BeamCounter, now: list[float], until: Until
) -> None:
    """Someone may stand in it for a while; longer is a fault, of both channels; cleared, it counts on."""
    wire.set(count=2)
    until(lambda: values(beam.read())["count"] == 2)
    wire.set(blocked=1)
    until(lambda: beam._line.edges() == 5)  # two passages and this one: an edge comes after its level
    assert values(beam.read())["blocked"]
    now[0] += 59.9
    assert values(beam.read()) == {"count": 2, "blocked": True}
    now[0] += 0.1
    count, blocked = beam.read()
    assert count.reason is blocked.reason is Reason.BAD_SENSOR_FAILURE
    assert "interrupted for 60 s" in count.detail
    wire.set(blocked=0)
    until(lambda: values(beam.read()) == {"count": 3, "blocked": False})


def test_a_beam_that_was_free_for_long_is_not_stuck_at_once(
    wire: Wire, beam: BeamCounter, now: list[float], until: Until
) -> None:
    """The time runs from when the beam last arrived."""
    beam.read()
    now[0] += 3600
    beam.read()
    wire.set(blocked=1)
    until(lambda: values(beam.read())["blocked"])


class Line:
    """An input that the test moves."""

    def __init__(self) -> None:
        self.active, self.count = False, 0

    def input(self, _line: int, **_how: Any) -> "Line":
        return self

    def is_active(self) -> bool:
        return self.active

    def edges(self) -> int:
        return self.count


def test_what_a_stuck_beam_says() -> None:
    """Both channels in words, from the limit on; who comes through and stops in the beam begins anew."""
    line, now = Line(), [100.0]
    beam = BeamCounter(line, Options(14), lambda: now[0])  # type: ignore[arg-type]  # the calls a counter makes
    told = {}
    for now[0], line.active, line.count in (
        (100.0, True, 0),
        (101.0, False, 1),
        (150.0, True, 2),
        (209.9, True, 2),
        (210.0, True, 2),
        (211.0, True, 4),
    ):
        told[now[0]] = [(each.channel, each.detail.partition(": clear its way")[0]) for each in beam.read()]
    good = [("count", ""), ("blocked", "")]
    assert told == {
        100.0: [(name, "the beam has not arrived since the start") for name in ("count", "blocked")],
        101.0: good,
        150.0: good,
        209.9: good,
        210.0: [(name, "the beam has been interrupted for 60 s") for name in ("count", "blocked")],
        211.0: good,
    }


def test_a_beam_never_seen_to_arrive_is_a_fault(wire: Wire, until: Until) -> None:
    """Without supply or with a cut wire from the start, nothing is counted and nothing is Good."""
    wire.place("beam_counter", "gpio", CHIP)
    wire.fault("cut")
    counter = wire.open()
    for sample in counter.read():
        assert sample.reason.quality is Quality.BAD
        assert "not arrived since the start" in sample.detail
    wire.fault("none")
    until(lambda: values(counter.read()) == {"count": 0, "blocked": False})
    counter.close()
