"""PIR sensor: warm-up, hold time, and short motions between two reads."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers.pir import Options, Pir
from gateway.core.quality import Reason
from gateway.core.reading import Sample
from tests.drivers.wire import Wire, values

Until = Callable[..., None]


class Line:
    """An input that the test moves."""

    def __init__(self) -> None:
        self.active, self.count, self.claim = False, 0, dict[str, Any]()

    def input(self, line: int, **how: Any) -> "Line":
        self.claim = {"line": line, **how}
        return self

    def is_active(self) -> bool:
        return self.active

    def edges(self) -> int:
        return self.count

    def close(self) -> None:
        self.claim = {}


@pytest.mark.parametrize(("active", "active_low"), [("high", False), ("low", True)])
def test_the_line_is_claimed_as_wired(active: Any, active_low: bool) -> None:
    """Pull, polarity and debounce time reach the kernel; closing gives the line back."""
    line = Line()
    sensor = Pir(line, Options(7, "none", active))  # type: ignore[arg-type]  # the calls a sensor makes
    assert line.claim == {"line": 7, "pull": "none", "active_low": active_low, "debounce_s": 0.01}
    sensor.close()
    assert line.claim == {}


def test_what_it_says_while_it_warms_up_is_uncertain() -> None:
    """After power-on a PIR reports motion without any: a minute of doubt."""
    line, now = Line(), [1000.0]
    sensor = Pir(line, Options(7), lambda: now[0])  # type: ignore[arg-type]  # as above
    told = []
    for now[0] in (1000.0, 1058.6, 1059.9, 1060.0):
        (sample,) = sensor.read()
        told.append(sample)
    words = "warming up for {} s more: it may report motion without any"
    unsure = Reason.UNCERTAIN_SENSOR_NOT_ACCURATE
    assert told == [
        *(Sample("presence", False, unsure, words.format(s)) for s in (60, 1, 0)),
        Sample("presence", False),
    ]


def test_presence_outlasts_the_last_motion_by_the_hold_time() -> None:
    """Also that of a motion that began and ended between two reads."""
    line, now = Line(), [100.0]
    sensor = Pir(line, Options(7, hold_s=30.0, warm_up_s=0.0), lambda: now[0])  # type: ignore[arg-type]  # as above
    assert values(sensor.read()) == {"presence": False}
    line.count = 2
    seen = []
    for now[0], line.active in (
        (101.0, False),
        (131.0, False),
        (131.1, False),
        (140.0, True),
        (200.0, True),
        (231.0, False),
    ):
        seen.append(values(sensor.read())["presence"])
    assert seen == [True, True, False, True, True, False]


def test_the_simulated_sensor(wire: Wire, until: Until) -> None:
    """Somebody comes, and is seen; a cut wire looks like nobody, as the page says."""
    wire.place("pir", "gpio", "/dev/gpiochip0", hold_s=0.0, warm_up_s=0.0)
    sensor = wire.open()
    assert values(sensor.read()) == {"presence": False}
    wire.set(presence=1)
    until(lambda: values(sensor.read())["presence"])
    wire.fault("cut")
    until(lambda: not values(sensor.read())["presence"])
