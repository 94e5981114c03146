"""Pulse output of a gas, water or electricity meter on a GPIO line, counted by the kernel.

Interface: EN 62053-31 (S0, class A: pulses of 30 ms or more) and reed contacts of gas and water meters. Numbers:
`line_seqno` of the GPIO v2 uAPI (linux/gpio.h), which counts edges that a late reader never sees. verified: fake.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Channel, DigitalLines, Spec, option
from gateway.core.quality import Reason
from gateway.core.reading import Sample

# unit of the total → that of one of it an hour
RATES = {"1": "/h", "L": "L/h", "m3": "m3/h", "W.h": "W", "kW.h": "kW"}
EDGES_PER_PULSE = 2


@dataclass(frozen=True, slots=True)
class Options:
    """How the contact is wired, and what one pulse is worth."""

    line: int = option("GPIO number, e.g. GPIO23", low=0, high=53)
    per_pulse: float = option("what one pulse is worth, in `unit`", low=1e-9, high=1e6, default=1.0)
    unit: Literal["1", "L", "m3", "W.h", "kW.h"] = option("the unit of the total", default="1")
    pull: Literal["up", "down", "none"] = option("the Pi's own resistor", default="up")
    debounce_s: float = option(
        "how long a level must last; less than half a pulse", unit="s", low=0, high=1, default=0.005
    )
    window_s: float = option("the time the rate is taken over", unit="s", low=1, high=3600, default=60.0)


class PulseCounter:
    """One meter. It counts from 0 at each start of the gateway: histories keep what was before."""

    def __init__(self, bus: DigitalLines, options: Options, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._line = bus.input(
            options.line, pull=options.pull, active_low=options.pull == "up", debounce_s=options.debounce_s
        )
        self._options = options
        self._monotonic = monotonic
        self._seen: deque[tuple[float, int]] = deque()  # (time, pulses) within the window, and the last before it

    def read(self) -> Sequence[Sample]:
        """Pulses, total and rate. The rate is Uncertain until a window has passed. Raises NotConnected."""
        self._line.is_active()  # says so when the chip is gone
        pulses, now_s = self._line.edges() // EDGES_PER_PULSE, self._monotonic()
        options = self._options
        count = Sample("count", float(pulses))
        return (count, Sample("total", pulses * options.per_pulse), self._rate(now_s, pulses))

    def close(self) -> None:
        """Give the line back."""
        self._line.close()

    def _rate(self, now_s: float, pulses: int) -> Sample:
        window_s = self._options.window_s
        self._seen.append((now_s, pulses))
        while len(self._seen) > 1 and self._seen[1][0] <= now_s - window_s:
            self._seen.popleft()
        since_s, before = self._seen[0]
        elapsed_s = now_s - since_s
        per_hour = (pulses - before) * self._options.per_pulse * 3600 / elapsed_s if elapsed_s else 0.0
        if elapsed_s >= window_s:
            return Sample("rate", per_hour)
        detail = f"seen for {elapsed_s:.0f} s of the {window_s:.0f} s that the rate is taken over"
        return Sample("rate", per_hour, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, detail)


def channels(options: Options) -> tuple[Channel, ...]:
    """No rate is higher than the debouncing lets through."""
    highest = math.inf
    if options.debounce_s:
        highest = options.per_pulse * 3600 / (EDGES_PER_PULSE * options.debounce_s)
    return (
        Channel("count", "1", 0, digits=0),
        Channel("total", options.unit, 0, digits=6),
        Channel("rate", RATES[options.unit], 0, highest, digits=3),
    )


SPEC = Spec(
    name="pulse_counter",
    title="Meter with a pulse output",
    bus="gpio",
    options=Options,
    open=PulseCounter,
    channels=channels,
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="gas_meter: {driver: pulse_counter, bus: header, line: GPIO21, every: 10 s, per_pulse: 0.01, unit: m3}",
    datasheet="EN 62053-31 (S0 pulse output); linux/gpio.h, line_seqno",
    wiring="Reed contact or S0 output (S0+ to the line, S0- to GND) between line and GND with `pull: up`; beyond a few "
    "metres 1 kOhm in series and 100 nF at the Pi, and `pull: none` with 4.7 kOhm to 3.3 V. Gas meters: the maker's "
    "pulse transmitter and, in explosive zones, an isolating barrier.",
    accuracy="Every pulse that lasts longer than `debounce`; the kernel numbers them even when the gateway is busy",
    conversion="The count is of now; the rate is taken over `window`",
    faults="`count` and `total` begin at 0 when the gateway starts, and when the line had to be claimed again: build "
    "long-term totals from differences, a fall is a restart. A cut wire looks like a meter that stands still, and a "
    "bouncing contact without `debounce` counts too much. GPIO chip gone: BadNotConnected.",
    undetected=("cut",),
)
