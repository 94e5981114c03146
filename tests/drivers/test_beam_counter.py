"""Beam counter: passages, and a beam that is stuck."""

from collections.abc import Callable

import pytest

from drivers.beam_counter import BeamCounter
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
