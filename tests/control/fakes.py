"""Small stand-ins for the parts around the one under test."""

import threading
from collections.abc import Callable
from typing import TypeVar

from gateway.core.clock import Wall
from gateway.core.driver import Channel, Driver
from gateway.core.output import OutputPolicy
from gateway.core.reading import Sample
from gateway.settings.model import Device, Output

SECOND = 1_000_000_000
T = TypeVar("T")


class FakeClock:
    """Time that passes when told; `on_tick` runs at every 50 ms of it, as the overseer's checks do."""

    boot_id = "b" * 32

    def __init__(self) -> None:
        self.time_ns = 1000 * SECOND
        self.on_tick: Callable[[int], None] = lambda _now: None

    def now_ns(self) -> int:
        return self.time_ns

    def wall(self) -> Wall:
        return Wall(1_795_470_000_000 + self.time_ns // 1_000_000, True)

    def advance(self, seconds: float) -> None:
        end_ns = self.time_ns + round(seconds * SECOND)
        while self.time_ns < end_ns:
            step_ns = min(end_ns - self.time_ns, 50_000_000 - self.time_ns % 50_000_000)
            self.time_ns += step_ns
            if self.time_ns % 50_000_000 == 0:
                self.on_tick(self.time_ns)


class ScriptedDriver(Driver):
    """Does what the script says, one entry per read; a callable entry runs and gives the value."""

    def __init__(self, script: Callable[[], float | bool], channel: str = "temperature") -> None:
        self.script = script
        self.channel = channel

    def read(self) -> tuple[Sample, ...]:
        return (Sample(self.channel, self.script()),)


class FakeLine:
    """An output line that remembers every level; `broken` makes it raise."""

    def __init__(self, safe: bool) -> None:
        self.levels = [safe]
        self.broken: Exception | None = None
        self.closed = False
        self.driven = threading.Condition()

    def drive(self, active: bool) -> None:
        if self.broken is not None:
            raise self.broken
        with self.driven:
            self.levels.append(active)
            self.driven.notify_all()

    def level(self) -> bool:
        return self.levels[-1]

    def close(self) -> None:
        self.closed = True

    def await_level(self, level: bool, within_s: float = 5.0) -> None:
        with self.driven:
            assert self.driven.wait_for(lambda: self.levels[-1] is level, within_s), f"never {level}: {self.levels}"


def output(
    name: str, *, lease_s: float = 3.0, min_off_s: float = 0.0, safe: bool = False, active: str = "high"
) -> Output:
    policy = OutputPolicy(name, safe=safe, lease_s=lease_s, min_off_s=min_off_s)
    return Output(name, "relay", "header", {"line": 17, "active": active}, policy)


def device(name: str, *channels: Channel, every_s: float = 1.0, deadline_s: float = 0.5, **rest: object) -> Device:
    fields = {"driver": "sht4x", "bus": "sensors", "process": "control", "direction": "polled", "options": {}, **rest}
    return Device(
        name=name,
        every_s=every_s,
        deadline_s=deadline_s,
        channels=channels or (Channel("temperature", "Cel", -40, 125, 2),),
        **fields,  # type: ignore[arg-type]  # each test knows what it changes
    )
