"""Lamps and buzzers: patterns in virtual time, and on the simulated chip."""

from collections.abc import Iterator
from typing import Any

import pytest

from drivers import annunciator
from drivers.buses import open_bus
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, NotConnected

CHIP = "/dev/gpiochip0"
BEGIN_NS = 77_000_123_456_789
MS = 1_000_000


class Lamp:
    """A line in virtual time. stuck: what it shows whatever is driven."""

    def __init__(self) -> None:
        self.lit = False
        self.stuck: bool | None = None

    def output(self, line: int, *, active_low: bool, initial: bool) -> "Lamp":
        self.claimed, self.lit = (line, active_low, initial), initial
        return self

    def drive(self, active: bool) -> None:
        self.lit = active

    def level(self) -> bool:
        return self.lit if self.stuck is None else self.stuck


def opened(pattern: str, safe: bool = False, **changes: Any) -> tuple[Lamp, annunciator.Annunciator]:
    """A lamp and the driver above it."""
    lamp = Lamp()
    options = annunciator.Options(**{"line": 24, "active": "high", "pattern": pattern, **changes})
    return lamp, annunciator.SPEC.open(lamp, options, safe)


def shown(lamp: Lamp, output: annunciator.Annunciator, for_ms: int, late_ms: int = 0) -> list[tuple[int, bool]]:
    """(ms since the beginning, lit) at each change, when the guard serves it as it asks, or later."""
    changes = [(0, lamp.lit)]
    now_ns = BEGIN_NS
    while True:
        due_ns = output.service(now_ns)
        if lamp.lit is not changes[-1][1]:
            changes.append(((now_ns - BEGIN_NS) // MS, lamp.lit))
        assert now_ns < due_ns <= now_ns + annunciator.LOOK_NS
        assert output.level() is True
        now_ns = due_ns + late_ms * MS
        if now_ns >= BEGIN_NS + for_ms * MS:
            return changes


@pytest.mark.parametrize(
    ("pattern", "times"),
    [
        ("steady", []),
        ("flash", [500, 1000, 1500, 2000, 2500]),
        ("fast_flash", [250, 500, 750, 1000, 1250, 1500, 1750, 2000, 2250, 2500, 2750]),
        ("beep", [200, 2500, 2700]),
    ],
)
@pytest.mark.parametrize("late_ms", [0, 7])
def test_each_pattern_has_its_rhythm(pattern: str, times: list[int], late_ms: int) -> None:
    """Lit at once, then 60 or 120 flashes a minute or a beep; a guard that is late does not make it drift."""
    lamp, output = opened(pattern, beep_every_s=2.5)
    output.drive(True)
    changes = shown(lamp, output, 3000, late_ms)
    assert [lit for _, lit in changes] == [index % 2 == 0 for index in range(len(changes))]
    assert [at for at, _ in changes[1:]] == [at + late_ms for at in times if at + late_ms < 3000]


@pytest.mark.parametrize("pattern", ["steady", "flash", "fast_flash", "beep"])
def test_off_is_dark_at_once_and_stays_dark(pattern: str) -> None:
    """In the call itself; the next time begins with the lit part again."""
    lamp, output = opened(pattern)
    output.drive(True)
    shown(lamp, output, 1300)
    output.drive(False)
    assert (lamp.lit, output.level()) == (False, False)
    for second in range(20):
        output.service(BEGIN_NS + second * 1000 * MS)
        assert (lamp.lit, output.level()) == (False, False)
    output.drive(True)
    assert lamp.lit is True


def test_a_dark_moment_of_the_pattern_reads_back_as_on() -> None:
    """And driving it again, as the guard does after a failure, does not disturb the pattern."""
    lamp, output = opened("flash")
    output.drive(True)
    output.service(BEGIN_NS)
    due_ns = output.service(BEGIN_NS + 600 * MS)
    assert (lamp.lit, output.level()) == (False, True)
    output.drive(True)
    assert (lamp.lit, output.level()) == (False, True)
    assert due_ns == BEGIN_NS + 1000 * MS


@pytest.mark.parametrize("pattern", ["steady", "flash", "beep"])
@pytest.mark.parametrize("wanted", [False, True])
def test_a_line_that_does_not_follow_is_not_what_was_driven(pattern: str, wanted: bool) -> None:
    """The read-back is the opposite, and the look each second is an error."""
    lamp, output = opened(pattern)
    lamp.stuck = not wanted
    output.drive(wanted)
    assert output.level() is not wanted
    with pytest.raises(DeviceError, match="check for a short circuit"):
        output.service(BEGIN_NS)


@pytest.mark.parametrize(("active", "level"), [("high", 1), ("low", 0)])
def test_a_lamp_that_is_safe_when_lit(active: str, level: int) -> None:
    """It is claimed lit, and the safe-state program lights it steadily; nobody is left to keep a pattern."""
    lamp, output = opened("flash", safe=True, active=active)
    assert lamp.claimed == (24, active == "low", True)
    assert output.level() is True
    options = annunciator.Options(24, active, "flash")  # type: ignore[arg-type]  # one of its words
    bus = Bus("header", "gpio", CHIP)
    assert annunciator.SPEC.safe_state(bus, options, True) == (f"gpio {CHIP} 24 {level}",)
    assert annunciator.SPEC.safe_state(bus, options, False) == (f"gpio {CHIP} 24 {1 - level}",)


@pytest.fixture
def machine(root: str) -> Iterator[Machine]:
    """A machine to place loads on; this process finds its nodes below `root`."""
    made = Machine(root)
    undo = install(root)
    yield made
    undo()
    made.stop()


@pytest.mark.parametrize("active", ["high", "low"])
def test_the_lamp_lights_on_the_wire(machine: Machine, active: str) -> None:
    """A lamp and a buzzer of one tower, on the production bus; through a chip that goes and comes."""
    options = [annunciator.Options(24, active, "flash"), annunciator.Options(25, active, "beep")]  # type: ignore[arg-type]  # as above
    for name, each in zip(("lamp", "buzzer"), options, strict=True):
        plain = {key: getattr(each, key) for key in annunciator.Options.__slots__}
        machine.place("annunciator", name, Wiring("gpio", CHIP, plain))
    machine.start()
    bus: Any = open_bus(Bus("header", "gpio", CHIP), machine.root)
    lamp, buzzer = (annunciator.SPEC.open(bus, each, False) for each in options)
    lit = []
    for at_ms in (0, 300, 600, 1100):
        lamp.drive(True)
        lamp.service(BEGIN_NS + at_ms * MS)
        machine.do()
        lit.append((machine.truths["lamp.on"], machine.truths["buzzer.on"]))
    assert lit == [(1.0, 0.0), (1.0, 0.0), (0.0, 0.0), (1.0, 0.0)]
    machine.plug(CHIP, False)
    with pytest.raises(NotConnected):
        lamp.service(BEGIN_NS + 1200 * MS)
    with pytest.raises(NotConnected):
        buzzer.level()
    machine.plug(CHIP, True)
    lamp.drive(True)
    buzzer.drive(False)
    assert lamp.service(BEGIN_NS + 1300 * MS)
    for fault, truth in (("cut", 0.0), ("welded", 1.0)):
        machine.fault("lamp", fault)
        assert machine.truths["lamp.on"] == truth
    bus.close()
