"""Pulse counter: every pulse of the simulated meter, whoever is late; rate, limits, units."""

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from drivers.pulse_counter import Options, PulseCounter, channels
from gateway.core.driver import Channel
from gateway.core.errors import NotConnected
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Sample
from gateway.core.units import UNITS
from tests.drivers.wire import Wire, values

CHIP = "/dev/gpiochip0"
Until = Callable[..., None]


class Line:
    """An input whose edges the test makes."""

    def __init__(self) -> None:
        self.count = 0
        self.claim: dict[str, Any] = {}

    def input(self, line: int, **how: Any) -> "Line":
        self.claim = {"line": line, **how}
        return self

    def is_active(self) -> bool:
        return False

    def edges(self) -> int:
        return self.count

    def close(self) -> None:
        self.claim = {}


def test_pulses_total_and_rate() -> None:
    """Two edges are a pulse; the rate is that of the window, Uncertain until there was one."""
    line, now = Line(), [0.0]
    meter = PulseCounter(line, Options(11, 0.01, "m3", window_s=60.0), lambda: now[0])  # type: ignore[arg-type]  # the calls a counter makes
    seen = []
    for now[0], line.count in ((0.0, 0), (30.0, 21), (60.0, 40), (90.0, 41), (120.0, 42), (150.0, 42), (180.0, 42)):
        count, total, rate = meter.read()
        assert total.value == pytest.approx(count.value * 0.01)
        seen.append((count.value, round(rate.value, 3), rate.reason.quality))
    good, uncertain = Quality.GOOD, Quality.UNCERTAIN
    assert seen == [
        (0, 0.0, uncertain),
        (10, 12.0, uncertain),
        (20, 12.0, good),
        (20, 6.0, good),
        (21, 0.6, good),
        (21, 0.6, good),
        (21, 0.0, good),
    ]
    meter.close()
    assert line.claim == {}


def test_a_rate_says_how_long_it_was_looked_at() -> None:
    """While the window is not full, in words."""
    line, now = Line(), [1000.0]
    meter = PulseCounter(line, Options(11, window_s=60.0), lambda: now[0])  # type: ignore[arg-type]  # as above
    meter.read()
    now[0], line.count = 1030.0, 2
    words = "seen for 30 s of the 60 s that the rate is taken over"
    unsure = Sample("rate", 120.0, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, words)
    assert meter.read() == (Sample("count", 1.0), Sample("total", 1.0), unsure)
    now[0] = 1060.0
    assert meter.read() == (Sample("count", 1.0), Sample("total", 1.0), Sample("rate", 60.0))


def test_the_line_is_claimed_as_wired() -> None:
    """Pull and debounce time reach the kernel."""
    line = Line()
    PulseCounter(line, Options(11, pull="none", debounce_s=0.1))  # type: ignore[arg-type]  # as above
    assert line.claim == {"line": 11, "pull": "none", "active_low": False, "debounce_s": 0.1}


@pytest.mark.parametrize(
    ("unit", "rate_unit", "highest"),
    [
        ("1", "/h", 360_000),
        ("L", "L/h", 360_000),
        ("m3", "m3/h", 360_000),
        ("W.h", "W", 360_000),
        ("kW.h", "kW", 360_000),
    ],
)
def test_the_rate_has_its_unit_and_the_debounces_limit(unit: Any, rate_unit: str, highest: float) -> None:
    """What debouncing lets through is the highest rate that can be true."""
    count, total = Channel("count", "1", 0, digits=0), Channel("total", unit, 0, digits=6)
    assert channels(Options(11, unit=unit)) == (count, total, Channel("rate", rate_unit, 0, highest, 3))
    assert channels(Options(11, unit=unit, debounce_s=0.0))[2] == Channel("rate", rate_unit, 0, math.inf, 3)
    assert {unit, rate_unit} <= UNITS.keys()


def test_every_pulse_of_the_simulated_meter_is_counted(wire: Wire, until: Until) -> None:
    """Bouncing contacts too: the kernel debounces."""
    wire.place("pulse_counter", "gpio", CHIP)
    meter = wire.open()
    assert values(meter.read())["count"] == 0
    for fault, count in (("none", 5), ("bounce", 9)):
        wire.fault(fault)
        wire.set(count=count)
        until(lambda wanted=count: values(meter.read())["count"] == wanted)
    assert values(meter.read())["total"] == pytest.approx(0.09)


def test_a_reader_that_is_late_loses_nothing(wire: Wire, until: Until) -> None:
    """While nobody reads edges, more come than the kernel keeps: its numbers tell how many there were."""
    wire.place("pulse_counter", "gpio", CHIP, debounce_s=0.0)
    meter = wire.open()
    lines, line = wire.machine.lines, wire.options.line
    blocked, stalled = threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        blocked.wait(10)

    meter._line._device.pin._factory.edges.soon(stall)
    assert stalled.wait(5)

    def flow(pulses: int) -> None:
        for _ in range(pulses):
            lines.drive(line, 0)
            lines.drive(line, None)

    wire.machine.do(lambda: flow(2000))
    assert values(meter.read())["count"] == 0
    blocked.set()
    wire.machine.do(lambda: flow(1))
    until(lambda: values(meter.read())["count"] == 2001)


def test_a_chip_that_went_away_is_no_standstill(wire: Wire) -> None:
    """The count of a line that is gone is not reported."""
    wire.place("pulse_counter", "gpio", CHIP)
    meter = wire.open()
    meter.read()
    wire.machine.plug(CHIP, False)
    with pytest.raises(NotConnected):
        meter.read()
