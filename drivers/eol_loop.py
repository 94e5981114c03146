"""Contact in a supervised loop with two end-of-line resistors, on one input of an ADS1115: open, closed, cut, short.

Method: double end-of-line resistors as intruder alarm systems (EN 50131-1) and conventional fire zones (EN 54-2,
8.2.4: faults of the line are told from its states) wire them; no single maker's part. verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding import ads1115 as adc
from drivers.decoding.divider import resistance_ohm, told_ohm
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import SensorFailure
from gateway.core.reading import Sample


@dataclass(frozen=True, slots=True)
class Options:
    """Where the loop is wired, and its resistors."""

    address: int = option("I2C address of the ADS1115", low=adc.LOWEST_ADDRESS, high=adc.HIGHEST_ADDRESS)
    input: int = option("AIN0 to AIN3, measured against GND", low=0, high=3)
    line_ohm: float = option("the resistor in series, at the contact", unit="Ohm", low=100, high=1e5, default=4700.0)
    contact_ohm: float = option("the resistor across the contact", unit="Ohm", low=100, high=1e5, default=4700.0)
    tolerance_pct: float = option(
        "how far a state may be from its resistance, in percent", low=1, high=30, default=15.0
    )
    pull_ohm: float = option("the resistor from the supply to the input", unit="Ohm", low=100, high=1e5, default=4700.0)
    supply_v: float = option("what feeds that resistor", unit="V", low=1, high=5.5, default=3.3)
    channel: str = option("what an open contact means, e.g. open, alarm", default="open")

    def __post_init__(self) -> None:
        tolerance = self.tolerance_pct / 100
        if self.line_ohm * (1 + tolerance) >= (self.line_ohm + self.contact_ohm) * (1 - tolerance):
            raise ValueError(
                f"closed ({told_ohm(self.line_ohm)}) and open ({told_ohm(self.line_ohm + self.contact_ohm)}) can't be "
                f"told apart within {self.tolerance_pct:g} %: take a larger contact resistor"
            )


class EolLoop:
    """One loop."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._input = adc.AnalogInput(bus, options.address, options.input, options.supply_v, sleep=sleep)
        self._options = options

    def read(self) -> Sequence[Sample]:
        """Whether the contact is open. Blocks 10 to 30 ms. Raises DeviceError; SensorFailure for cut or short."""
        return (Sample(self._options.channel, decode(self._input.volts(), self._options)),)


def decode(volts: float, options: Options) -> bool:
    """True when the contact is open. Raises SensorFailure for every resistance that is no state of the contact."""
    ohm = resistance_ohm(volts, options.supply_v, options.pull_ohm)
    closed_ohm, open_ohm = options.line_ohm, options.line_ohm + options.contact_ohm
    tolerance = options.tolerance_pct / 100
    for state, of_state_ohm in ((False, closed_ohm), (True, open_ohm)):
        if abs(ohm - of_state_ohm) <= tolerance * of_state_ohm:
            return state
    if ohm > open_ohm:
        what = "is cut"
    elif ohm < closed_ohm:
        what = "is short-circuited"
    else:
        what = "is neither open nor closed: tampering, or a bad joint"
    raise SensorFailure(
        f"the loop at input {options.input} {what} ({told_ohm(ohm)}; closed {told_ohm(closed_ohm)}, "
        f"open {told_ohm(open_ohm)}): look along its wire"
    )


SPEC = Spec(
    name="eol_loop",
    title="Supervised contact loop with end-of-line resistors",
    bus="i2c",
    options=Options,
    open=EolLoop,
    channels=lambda options: (Channel(options.channel),),
    claims=lambda options: adc.claim(options.address, options.input),
    sample="back_door: {driver: eol_loop, bus: sensors, address: 0x49, input: 2, every: 500 ms}",
    datasheet="Double end-of-line supervised loop (EN 50131-1, EN 54-2 8.2.4; method, no single part)",
    wiring="4.7 kOhm from 3.3 V to the input; from the input the wire to the contact, there 4.7 kOhm in series and "
    "4.7 kOhm across the contact, back to GND. Resistors sit at the contact, not at the Pi; 100 nF at the input. "
    "ADS1115: " + adc.WIRING,
    overlay=adc.OVERLAY,
    accuracy="Four states told apart within the tolerance, wire resistance included",
    conversion=adc.CONVERSION + " No edge is reported: a change shorter than `every` is not seen.",
    faults="Cut wire, short circuit, and every resistance between the states (tampering, corrosion): BadSensorFailure, "
    "never open and never closed. " + adc.UNPLUGGED,
)
