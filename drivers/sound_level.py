"""Analog sound level meter on one input of an ADS1115: 0.6 V to 2.6 V for 30 to 130 dB(A).

Datasheet: DFRobot "SEN0232 Gravity: Analog Sound Level Meter", product page (50 dB per volt). verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding import ads1115 as adc
from drivers.decoding.transmitter import Scaling, Transmitter
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.reading import Sample

SCALING = Scaling(low=0.6, high=2.6, at_low=30.0, at_high=130.0)


@dataclass(frozen=True, slots=True)
class Options:
    """Where the signal comes in."""

    address: int = option("I2C address of the ADS1115", low=adc.LOWEST_ADDRESS, high=adc.HIGHEST_ADDRESS)
    input: int = option("AIN0 to AIN3, measured against GND", low=0, high=3)


class SoundLevel:
    """One meter. It averages over 125 ms (fast) itself."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._input = adc.AnalogInput(bus, options.address, options.input, SCALING.highest_v, sleep=sleep)
        self._transmitter = Transmitter(SCALING, "level", f"input {options.input}")

    def read(self) -> Sequence[Sample]:
        """The level in dB(A). Blocks 10 to 30 ms. Raises DeviceError."""
        return (self._transmitter.sample(self._input.volts()),)


SPEC = Spec(
    name="sound_level",
    title="Analog sound level meter",
    bus="i2c",
    options=Options,
    open=SoundLevel,
    channels=lambda _options: (Channel("level", "dB[SPL]", 30.0, 130.0, digits=1),),
    claims=lambda options: adc.claim(options.address, options.input),
    sample="dining_noise: {driver: sound_level, bus: sensors, address: 0x48, input: 3, every: 1 s}",
    datasheet="DFRobot, SEN0232 Analog Sound Level Meter",
    wiring="Meter: 3.3 V to 5 V, GND, signal to the input, away from mains. ADS1115: " + adc.WIRING,
    overlay=adc.OVERLAY,
    accuracy="±1.5 dB from 31.5 Hz to 8.5 kHz, A-weighted; not a calibrated instrument",
    conversion=adc.CONVERSION,
    faults="Cut signal or no supply (0 V), or short circuit to it: BadSensorFailure. Below 30 or above 130 dB: "
    "UncertainEngineeringUnitsExceeded. Sound may jump, so no change is too fast to be believed. " + adc.UNPLUGGED,
)
