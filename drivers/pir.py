"""Passive infrared motion sensor (AM312, HC-SR501, ceiling detectors with a relay) on a GPIO line.

Datasheet: Senba "AM312 mini PIR" and "HC-SR501" product sheets: output high for seconds after a motion, unsteady for
up to a minute after power-on. verified: fake.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Channel, DigitalLines, Spec, option
from gateway.core.quality import Reason
from gateway.core.reading import Sample


@dataclass(frozen=True, slots=True)
class Options:
    """How the sensor is wired, and how long a motion counts as presence."""

    line: int = option("GPIO number, e.g. GPIO24", low=0, high=53)
    pull: Literal["up", "down", "none"] = option("the Pi's own resistor", default="down")
    active: Literal["high", "low"] = option("the level at motion", default="high")
    hold_s: float = option(
        "how long after the last motion someone is present", unit="s", low=0, high=3600, default=30.0
    )
    warm_up_s: float = option("how long the sensor needs after power-on", unit="s", low=0, high=600, default=60.0)
    debounce_s: float = option("how long a level must last", unit="s", low=0, high=1, default=0.01)


class Pir:
    """One sensor. A motion between two reads is seen too: the kernel counts the edges."""

    def __init__(self, bus: DigitalLines, options: Options, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._line = bus.input(
            options.line, pull=options.pull, active_low=options.active == "low", debounce_s=options.debounce_s
        )
        self._options = options
        self._monotonic = monotonic
        self._warm_s = monotonic() + options.warm_up_s
        self._edges = self._line.edges()
        self._moved_s = -math.inf

    def read(self) -> Sequence[Sample]:
        """Whether someone moved within the hold time. Uncertain until the sensor is warm. Raises NotConnected."""
        active, edges, now_s = self._line.is_active(), self._line.edges(), self._monotonic()
        if active or edges != self._edges:
            self._moved_s = now_s
        self._edges = edges
        present = now_s - self._moved_s <= self._options.hold_s
        if now_s < self._warm_s:
            detail = f"warming up for {self._warm_s - now_s:.0f} s more: it may report motion without any"
            return (Sample("presence", present, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, detail),)
        return (Sample("presence", present),)

    def close(self) -> None:
        """Give the line back."""
        self._line.close()


SPEC = Spec(
    name="pir",
    title="Passive infrared motion sensor",
    bus="gpio",
    options=Options,
    open=Pir,
    channels=lambda _options: (Channel("presence"),),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="store_room_motion: {driver: pir, bus: header, line: GPIO20, every: 500 ms, hold: 60 s}",
    datasheet="Senba, AM312 and HC-SR501 product sheets",
    wiring="AM312: 3.3 V, GND, output to the line. HC-SR501: 5 V, its output is 3.3 V. A relay detector: contact "
    "to GND with `pull: up` and `active: high` for a normally closed one. Not towards fryers, hobs or the sun.",
    accuracy="Motion of a warm body against a background of another temperature; none of someone who sits still",
    conversion="The output stays active for 2 s or more after a motion",
    faults="A sensor without supply or with a cut wire reads as nobody (pull down), one that is stuck as somebody: "
    "neither can be told from the truth. After power-on it is UncertainSensorNotAccurate for `warm_up`, also after the "
    "gateway was restarted. GPIO chip gone: BadNotConnected.",
    undetected=("cut",),
)
