"""Water leak rope on one input of an ADS1115: two bare conductors with a resistor across their far end.

Method: end-of-line supervised sensing cable, as resistive leak detection cables are wired; no single maker's part.
verified: fake.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding import ads1115 as adc
from drivers.decoding.divider import resistance_ohm, told_ohm
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample


@dataclass(frozen=True, slots=True)
class Options:
    """Where the rope is wired, and its resistances."""

    address: int = option("I2C address of the ADS1115", low=adc.LOWEST_ADDRESS, high=adc.HIGHEST_ADDRESS)
    input: int = option("AIN0 to AIN3, measured against GND", low=0, high=3)
    end_ohm: float = option("the resistor across the far end", unit="Ohm", low=1000, high=1e6, default=100_000.0)
    wet_below_ohm: float = option("a smaller resistance is water", unit="Ohm", low=100, high=1e6, default=50_000.0)
    short_below_ohm: float = option("a smaller one is a short circuit", unit="Ohm", low=1, high=1e5, default=200.0)
    tolerance_pct: float = option(
        "how far a dry rope may be from its resistor, in percent", low=1, high=50, default=20.0
    )
    pull_ohm: float = option(
        "the resistor from the supply to the input", unit="Ohm", low=100, high=1e6, default=47_000.0
    )
    supply_v: float = option("what feeds that resistor", unit="V", low=1, high=5.5, default=3.3)

    def __post_init__(self) -> None:
        driest_ohm = self.end_ohm * (1 - self.tolerance_pct / 100)
        if not self.short_below_ohm < self.wet_below_ohm < driest_ohm:
            raise ValueError(
                f"short_below ({told_ohm(self.short_below_ohm)}) must be below wet_below "
                f"({told_ohm(self.wet_below_ohm)}), and that below a dry rope's lowest ({told_ohm(driest_ohm)})"
            )


class LeakRope:
    """One rope."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._input = adc.AnalogInput(bus, options.address, options.input, options.supply_v, sleep=sleep)
        self._options = options

    def read(self) -> Sequence[Sample]:
        """Whether water is there, and the resistance, lower the more of it. Blocks 10 to 30 ms. Raises DeviceError."""
        return decode(self._input.volts(), self._options)


def decode(volts: float, options: Options) -> tuple[Sample, Sample]:
    """(wet, resistance). Between wet and dry both are Uncertain: damp. Raises SensorFailure: broken wire or short."""
    ohm = resistance_ohm(volts, options.supply_v, options.pull_ohm)
    tolerance = options.tolerance_pct / 100
    if ohm > options.end_ohm * (1 + tolerance):
        raise SensorFailure(
            f"the rope at input {options.input} is broken or off ({told_ohm(ohm)}, "
            f"its end has {told_ohm(options.end_ohm)}): mend it, it can't see water"
        )
    if ohm < options.short_below_ohm:
        raise SensorFailure(
            f"the rope at input {options.input} is short-circuited ({told_ohm(ohm)}): look for crushed wires"
        )
    dry = ohm >= options.end_ohm * (1 - tolerance)
    wet = ohm < options.wet_below_ohm
    reason = Reason.GOOD if wet or dry else Reason.UNCERTAIN_SENSOR_NOT_ACCURATE
    detail = "" if wet or dry else f"{told_ohm(ohm)} is neither dry nor wet: damp or dirt; dry and clean the rope"
    return Sample("wet", wet, reason, detail), Sample("resistance", ohm, reason, detail)


SPEC = Spec(
    name="leak_rope",
    title="Water leak rope",
    bus="i2c",
    options=Options,
    open=LeakRope,
    channels=lambda options: (
        Channel("wet"),
        Channel("resistance", "Ohm", options.short_below_ohm, math.ceil(options.end_ohm * 2), digits=0),
    ),
    claims=lambda options: adc.claim(options.address, options.input),
    sample="dishwasher_leak: {driver: leak_rope, bus: sensors, address: 0x49, input: 1, every: 2 s}",
    datasheet="End-of-line supervised resistive sensing cable (method, no single part)",
    wiring="47 kOhm from 3.3 V to the input, the rope from the input to GND, 100 kOhm across the rope's far end; "
    "100 nF at the input. ADS1115: " + adc.WIRING,
    overlay=adc.OVERLAY,
    accuracy="A graded indication: the resistance falls with length and conductivity of what is wet",
    conversion=adc.CONVERSION,
    faults="Broken wire, rope unplugged, or short circuit: BadSensorFailure, so a rope that can't see water says so. "
    "Between dry and wet (damp, dirt, detergent films): UncertainSensorNotAccurate. " + adc.UNPLUGGED,
)
