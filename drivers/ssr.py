"""A zero-crossing solid-state relay on a GPIO line, switched so that its load gets a percentage of the power.

Sense: IEC 60947-4-3, zero-point switching: it conducts from one zero of the mains to another, so power comes in whole
half-cycles. verified: fake.
"""

import math
from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import AnalogOutput, Bus, Channel, DigitalLines, DigitalOutput, Spec, option
from gateway.core.errors import DeviceError, WrongOption
from gateway.core.reading import Value

FULL = 100_000_000
"""100 % in the unit of our accounts, a millionth of a percent: whole numbers never lose anything."""
_PER_PERCENT = FULL // 100
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """How the relay is wired, and how coarse its load may be fed."""

    line: int = option("GPIO number, e.g. GPIO23", low=0, high=53)
    active: Literal["high", "low"] = option("the level that makes the relay conduct")
    period_s: float = option(
        "in which the on-time is the percentage: short beside what the load takes to warm up",
        unit="s",
        low=0.2,
        high=120,
        default=2.0,
    )
    mains: Literal[50, 60] = option("the mains frequency in Hz, whose half-cycles are not cut", default=50)
    min_pulse_s: float = option(
        "no shorter pulse, nor pause, is made; what it leaves out is made up for in the next periods",
        unit="s",
        low=0.0,
        high=10,
        default=0.02,
    )

    def __post_init__(self) -> None:
        if 2 * self.min_pulse_s > self.period_s:
            raise WrongOption(
                f"a pulse of {self.min_pulse_s:g} s and as long a pause don't fit into a period of {self.period_s:g} s",
                ("min_pulse_s",),
            )


class Ssr:
    """The relay above its line (`AnalogOutput`, `Served`).

    Time is counted in half-cycles since the machine's boot. `debt` is what the load was to get and did not, in
    half-cycles times FULL: it is measured, not planned, so a late call is made up for, and the mean over time is exact.
    """

    def __init__(self, line: DigitalOutput, options: Options, is_on: bool) -> None:
        self._line = line
        self._per_s = 2 * options.mains
        self._period = round(options.period_s * self._per_s)
        self._least = max(1, math.ceil(options.min_pulse_s * self._per_s - 1e-9))
        self._is_on = is_on
        self._level = 100.0 * is_on
        self._wanted = self._next = self._in_force = FULL * is_on
        self._debt = 0
        self._now = self._switched = self._on_until = self._end = 0  # half-cycles
        self._length = self._period  # of the next plan

    def drive(self, level_pct: float) -> None:
        """Set the level: 0 at once, any other from the next half-cycle on. Raises NotConnected."""
        self._level = level_pct
        self._wanted = round(level_pct * _PER_PERCENT)
        if not self._wanted:
            self._is_on = False
        self._line.drive(self._is_on)

    def level(self) -> float:
        """What was driven, where the line is as it is to be at this moment; else 0 or 100. Raises NotConnected."""
        seen = self._line.level()
        return self._level if seen is self._is_on else 100.0 * seen

    def service(self, now_ns: int) -> int:
        """Switch where it is due; returns when that is the next time. Raises NotConnected or DeviceError."""
        self._account(now_ns * self._per_s // _NS)
        if self._wanted != self._next:
            self._change()
        elif self._now >= self._end:
            self._plan()
        self._put(self._now < self._on_until)
        due = self._on_until if self._now < self._on_until else self._end
        return -(-due * _NS // self._per_s)

    def close(self) -> None:
        """Give the line back as it is: drive it to 0 before."""
        close = getattr(self._line, "close", None)
        if close is not None:
            close()

    def _account(self, now: int) -> None:
        owed = self._debt + (now - self._now) * (self._in_force - FULL * self._is_on)
        most = self._period * FULL  # after a long silence nothing is made up for longer than a period
        self._debt = max(-most, min(most, owed))
        self._now = now

    def _change(self) -> None:
        """Stay as it is until the next half-cycle, or until the pulse or pause is long enough; plan anew then.

        What is left of the period is planned, so that a level that moves a little makes no pulses of its own.
        """
        idle = self._in_force in (0, FULL)
        self._next = self._wanted
        left, self._end = self._end, max(self._now + 1, self._switched + self._least)
        self._on_until = self._end if self._is_on else self._now
        self._length = self._period if idle or left <= self._end else left - self._end

    def _plan(self) -> None:
        """First on, then off, each for whole half-cycles: what is due, to the nearest one."""
        length, self._length = self._length, self._period
        self._in_force = self._next
        if self._in_force in (0, FULL):
            self._debt = 0
        on = (2 * (self._debt + length * self._in_force) + FULL) // (2 * FULL)
        if on < self._least:
            on = 0
        elif on > length - self._least:
            on = length
        self._on_until, self._end = self._now + on, self._now + length

    def _put(self, on: bool) -> None:
        if on is self._is_on:
            return
        self._line.drive(on)
        if self._line.level() is not on:
            raise DeviceError(f"the line does not go {'on' if on else 'off'}: check for a short circuit")
        self._is_on, self._switched = on, self._now


def open_output(bus: DigitalLines, options: Options, safe: float) -> AnalogOutput:
    """Claim the line, on only where its safe level is 100 %. Raises NotConnected when it is not to be had."""
    is_on = safe >= 100.0
    return Ssr(bus.output(options.line, active_low=options.active == "low", initial=is_on), options, is_on)


def safe_state(bus: Bus, options: Options, safe: Value) -> tuple[str, ...]:
    """The relay can't be timed without this driver: on only where its safe level is 100 %."""
    return (f"gpio {bus.device} {options.line} {int((safe >= 100.0) is not (options.active == 'low'))}",)


SPEC = Spec(
    name="ssr",
    title="Solid-state relay that switches whole half-cycles in proportion",
    bus="gpio",
    direction="output",
    options=Options,
    open=open_output,
    channels=lambda _options: (Channel("level", "%", 0.0, 100.0, digits=2),),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="heater: {driver: ssr, bus: header, line: GPIO23, active: high, period: 2 s, safe: off, lease: 3 s}",
    datasheet="IEC 60947-4-3, AC semiconductor controllers for non-motor loads",
    wiring="A zero-crossing relay with a 3 to 32 V input takes 5 to 15 mA: put a transistor between it and the line. "
    "Ohmic loads only: a transformer or a motor wants full waves or phase control. An external resistor holds the line "
    "at off while the Pi boots. The relay needs its heat sink, and a contactor in series that a safety thermostat "
    "opens: a relay that fails usually conducts.",
    accuracy="Over time the mean of the line is exact: what a period can't give in whole half-cycles, or a busy "
    "machine switched late, the next one gives. In one period it is right within a half-cycle (10 ms at 50 Hz), or "
    "within `min_pulse` where that is longer. The relay adds up to a half-cycle to each edge, as it waits for a zero.",
    conversion="A new level holds from the next half-cycle on, once a pulse that runs has its `min_pulse`; 0 at once.",
    faults="The line is read back at each switching. **A relay that has failed conducts with its line off**, and one "
    "without a load, a fuse or its supply gives nothing: both show only with `read_back`, a current sensor, say. When "
    "the gateway dies the safe-state program switches the line off (on only where `safe` is 100); when all of the "
    "machine hangs, the line stays as it is until the hardware watchdog resets it.",
    undetected=("cut", "welded"),
    safe_state=safe_state,
)
