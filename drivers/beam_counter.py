"""Infrared break-beam that counts people, plates or portions on a GPIO line, and knows when it is stuck.

Datasheet: Adafruit "IR Break Beam Sensors" (products 2167, 2168): open collector, low while the beam arrives.
verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, DigitalLines, Spec, option
from gateway.core.quality import Reason
from gateway.core.reading import Sample

EDGES_PER_PASSAGE = 2


@dataclass(frozen=True, slots=True)
class Options:
    """Where the receiver is wired, and how long something may stand in its way."""

    line: int = option("GPIO number, e.g. GPIO16", low=0, high=53)
    debounce_s: float = option("how long a level must last", unit="s", low=0, high=1, default=0.02)
    blocked_s: float = option("a longer interruption is a fault", unit="s", low=1, high=86400, default=60.0)


class BeamCounter:
    """One beam. It counts from 0 at each start of the gateway, and only once it has seen the beam arrive."""

    def __init__(self, bus: DigitalLines, options: Options, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._line = bus.input(options.line, pull="up", active_low=False, debounce_s=options.debounce_s)
        self._blocked_s = options.blocked_s
        self._monotonic = monotonic
        self._cleared_at: int | None = None  # edges when the beam was first seen to arrive
        self._edges = 0
        self._since_s = 0.0  # when the beam arrived, or changed, last

    def read(self) -> Sequence[Sample]:
        """How many passed, and whether something stands in the beam. Raises NotConnected.

        Both are BadSensorFailure while the beam has been interrupted for too long, or was never seen to arrive.
        """
        blocked, edges, now_s = self._line.is_active(), self._line.edges(), self._monotonic()
        if edges != self._edges or not blocked:
            self._edges, self._since_s = edges, now_s
        if self._cleared_at is None and not blocked:
            self._cleared_at = edges
        if self._cleared_at is None:
            return _stuck("the beam has not arrived since the start")
        if blocked and now_s - self._since_s >= self._blocked_s:
            return _stuck(f"the beam has been interrupted for {now_s - self._since_s:.0f} s")
        passed = (edges - self._cleared_at) // EDGES_PER_PASSAGE
        return (Sample("count", float(passed)), Sample("blocked", blocked))

    def close(self) -> None:
        """Give the line back."""
        self._line.close()


def _stuck(what: str) -> tuple[Sample, Sample]:
    detail = f"{what}: clear its way, wipe and align it, check its supply and its wire"
    count, blocked = (Sample.missing(name, Reason.BAD_SENSOR_FAILURE, detail) for name in ("count", "blocked"))
    return (count, blocked)


SPEC = Spec(
    name="beam_counter",
    title="Infrared break-beam counter",
    bus="gpio",
    options=Options,
    open=BeamCounter,
    channels=lambda _options: (Channel("count", "1", 0, digits=0), Channel("blocked")),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="pass_plates: {driver: beam_counter, bus: header, line: GPIO16, every: 1 s}",
    datasheet="Adafruit, IR Break Beam Sensors (2167, 2168)",
    wiring="Emitter: 5 V, GND. Receiver: 5 V, GND, output (open collector) to the line; the Pi pulls it up to 3.3 V.",
    accuracy="Two that pass side by side are one; what flickers longer than `debounce` is counted",
    conversion="The kernel numbers the interruptions, so none is lost between two reads",
    faults="Blocked, misaligned or dirty beam, emitter or receiver without supply, cut wire: interrupted, and "
    "BadSensorFailure after `blocked`, or at once when the beam was never seen to arrive; the count then goes on. "
    "`count` begins at 0 when the gateway starts: a fall is a restart. A short circuit of the output reads as a free "
    "beam. GPIO chip gone: BadNotConnected.",
)
