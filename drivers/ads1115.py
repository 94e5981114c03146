"""ADS1115: one input of a four-channel 16-bit ADC on I2C, behind a transmitter.

Datasheet: Texas Instruments SBAS444 "ADS111x", revision E (December 2024), register map.
Fault limits: NAMUR NE 43. verified: fake.
A 4-20 mA transmitter becomes volts in a shunt, 0-10 V comes through a divider.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from drivers.decoding import ads1115 as adc
from drivers.decoding.transmitter import Scaling, SignalName, Transmitter, scaling
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.reading import Sample
from gateway.core.units import UNITS

LOW_V, HIGH_V = 0.5, 4.5


@dataclass(frozen=True, slots=True)
class Options:
    """Where the signal comes in, and what it means."""

    address: int = option("I2C address, chosen by the ADDR pin", low=adc.LOWEST_ADDRESS, high=adc.HIGHEST_ADDRESS)
    input: int = option("AIN0 to AIN3, measured against GND", low=0, high=3)
    channel: str = option("name of the quantity, e.g. pressure")
    unit: str = option("its unit as a UCUM code, e.g. hPa")
    at_low: float = option("what the transmitter means by `low`, in `unit`")
    at_high: float = option("what the transmitter means by `high`, in `unit`")
    low_v: float = option("signal at the lower end of the range", unit="V", low=0, high=100, default=LOW_V)
    high_v: float = option("signal at the upper end of the range", unit="V", low=0, high=100, default=HIGH_V)
    signal: SignalName | Literal[""] = option("a standard signal instead of `low` and `high`", default="")
    shunt_ohm: float = option("the resistor a current flows through", unit="Ohm", low=0, high=1000, default=0.0)
    divider: float = option("volts of the signal per volt at the input", low=1, high=1000, default=1.0)
    against: int | None = option("measure against AIN1 or AIN3 instead of GND", low=1, high=3, default=None)
    fault_after_s: float = option(
        "how long the transmitter's failure signal is only Uncertain; NE 43 says 4 s", unit="s", low=0, high=60,
        default=0.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unknown unit {self.unit!r}: write its UCUM code, e.g. [ppm], Cel, hPa or %")
        if self.signal and (self.low_v, self.high_v) != (LOW_V, HIGH_V):
            raise ValueError(f"`signal: {self.signal}` says what low and high are: remove these")
        adc.config_word(self.input, self.scaling().highest_v, self.against)

    def scaling(self) -> Scaling:
        """The line from volts to the quantity. Raises ValueError for a signal that means nothing."""
        if self.signal:
            return scaling(self.signal, self.at_low, self.at_high, shunt_ohm=self.shunt_ohm, divider=self.divider)
        return Scaling(self.low_v, self.high_v, self.at_low, self.at_high, self.divider)


class Ads1115:
    """One input; every read starts a conversion of its own, so devices may share the part."""

    def __init__(
        self,
        bus: I2CBus,
        options: Options,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        line = options.scaling()
        self._input = adc.AnalogInput(
            bus, options.address, options.input, line.highest_v, against=options.against, sleep=sleep
        )
        where = f"input {options.input}"
        self._transmitter = Transmitter(line, options.channel, where, options.fault_after_s, monotonic)

    def read(self) -> Sequence[Sample]:
        """The scaled value of a conversion started now. Blocks 10 to 30 ms. Raises DeviceError."""
        return (self._transmitter.sample(self._input.volts()),)


def channels(options: Options) -> tuple[Channel]:
    """The quantity, within NE 43's valid range."""
    return (options.scaling().channel(options.channel, options.unit),)


SPEC = Spec(
    name="ads1115",
    title="Texas Instruments ADS1115 analog input",
    bus="i2c",
    options=Options,
    open=Ads1115,
    channels=channels,
    claims=lambda options: adc.claim(options.address, options.input),
    sample="gas: {driver: ads1115, bus: sensors, address: 0x48, input: 0, every: 200 ms, channel: concentration, "
    'unit: "%{LEL}", at_low: 0, at_high: 100, low: 0.5 V, high: 4.5 V}',
    datasheet="Texas Instruments, ADS111x, SBAS444 revision E",
    wiring=adc.WIRING
    + " A 4-20 mA loop: 150 Ohm, 0.1 %, from the input to GND (0.6 V to 3 V, 3.15 V in failure), `shunt: 150 Ohm`. "
    "0-10 V: 20 kOhm in series and 10 kOhm from the input to GND, `divider: 3`.",
    overlay=adc.OVERLAY,
    accuracy="gain error at most 0.15 %, besides what shunt, divider and the transmitter add",
    conversion=adc.CONVERSION,
    faults="A transmitter with a live zero (4-20 mA, 1-5 V, 2-10 V, 0.5-4.5 V) that is cut or dead falls to 3.6 mA or "
    "below, in short circuit or failure it rises to 21 mA or above: BadSensorFailure, at once, or after `fault_after` "
    "with UncertainSensorNotAccurate until then; never Good. From 3.6 mA to 3.8 mA and from 20.5 mA to 21 mA the value "
    "is UncertainEngineeringUnitsExceeded (NAMUR NE 43; the same parts of the span for volts). A signal without a live "
    "zero (0-10 V, 0-5 V, 0-20 mA) can't show a cut wire: it reads as the lower end. Interlocks and rules say with "
    "`on_bad_input` what a failure does; leave `fault_after` at 0 s for what a trip depends on. " + adc.UNPLUGGED,
)
