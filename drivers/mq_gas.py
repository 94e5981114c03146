"""MQ gas sensor (MQ-2, MQ-5, MQ-7, MQ-135 …) on one input of an ADS1115: an indication, never a safety device.

Datasheet: Hanwei Electronics "MQ-2 gas sensor" (technical data, Rs/Ro over ppm for LPG); the curve of other parts by
options. verified: fake.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding import ads1115 as adc
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample

OPEN_BELOW = 0.004
"""Of the supply: so little current flows through no sensor that is there, also in clean air."""
SHORT_ABOVE = 0.98


@dataclass(frozen=True, slots=True)
class Options:
    """Where the signal comes in, the circuit, and the datasheet's curve: concentration = scale · (Rs/R0)^exponent."""

    address: int = option("I2C address of the ADS1115", low=adc.LOWEST_ADDRESS, high=adc.HIGHEST_ADDRESS)
    input: int = option("AIN0 to AIN3, measured against GND", low=0, high=3)
    r0_ohm: float = option(
        "Rs as the datasheet's R0 defines it, measured at this sensor", unit="Ohm", low=100, high=1e7
    )
    load_ohm: float = option("the module's load resistor", unit="Ohm", low=100, high=1e6, default=5000.0)
    supply_v: float = option("the sensor's supply", unit="V", low=1, high=24, default=5.0)
    divider: float = option("volts of the signal per volt at the input", low=1, high=100, default=1.0)
    scale: float = option("ppm at Rs/R0 = 1, of the datasheet's curve", low=0.01, high=1e9, default=574.25)
    exponent: float = option("slope of that curve in double logarithms", low=-20, high=-0.1, default=-2.222)
    lowest: float = option("where the curve begins, in ppm", low=0, high=1e6, default=200.0)
    highest: float = option("where the curve ends, in ppm", low=1, high=1e6, default=10000.0)
    warm_up_s: float = option("how long the heater needs", unit="s", low=0, high=86400, default=180.0)

    def __post_init__(self) -> None:
        if self.highest <= self.lowest:
            raise ValueError(f"highest ({self.highest:g} ppm) must be above lowest ({self.lowest:g} ppm)")
        adc.config_word(self.input, self.supply_v / self.divider)


class MqGas:
    """One sensor. Its readings are always Uncertain: heat, humidity and other gases move them as much as the gas."""

    def __init__(
        self,
        bus: I2CBus,
        options: Options,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._input = adc.AnalogInput(
            bus, options.address, options.input, options.supply_v / options.divider, sleep=sleep
        )
        self._options = options
        self._monotonic = monotonic
        self._warm_s = monotonic() + options.warm_up_s

    def read(self) -> Sequence[Sample]:
        """An indication of the concentration, and whether the heater has had its time. Blocks 10 to 30 ms.

        Raises DeviceError. After an error the heater's time begins anew: nobody knows whether it had power.
        """
        concentration = decode(self._input.volts(), self._options)
        return (
            Sample(
                "concentration", concentration, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, "an indication, no measurement"
            ),
            Sample("warm", self._monotonic() >= self._warm_s),
        )


def decode(volts: float, options: Options) -> float:
    """ppm of the voltage at the load resistor. Raises SensorFailure when no sensor or a short is on the wire."""
    share = volts * options.divider / options.supply_v
    if share < OPEN_BELOW:
        raise SensorFailure(
            f"input {options.input} has {volts:.3f} V: the sensor's wire is cut, its element or its supply is gone"
        )
    if share > SHORT_ABOVE:
        raise SensorFailure(f"input {options.input} has {volts:.3f} V, the supply's: the sensor is short-circuited")
    rs_ohm = options.load_ohm * (1 / share - 1)
    return options.scale * math.pow(rs_ohm / options.r0_ohm, options.exponent)


SPEC = Spec(
    name="mq_gas",
    title="MQ gas sensor (indication only)",
    bus="i2c",
    options=Options,
    open=MqGas,
    channels=lambda options: (
        Channel("concentration", "[ppm]", options.lowest, options.highest, digits=0),
        Channel("warm"),
    ),
    claims=lambda options: adc.claim(options.address, options.input),
    sample="bin_gas: {driver: mq_gas, bus: sensors, address: 0x49, input: 0, every: 2 s, r0: 9800 Ohm, divider: 2}",
    datasheet="Hanwei Electronics, MQ-2 technical data",
    wiring="Module: 5 V (150 mA for the heater), GND, AOUT through a divider to the input (5 V is too much for an "
    "ADS1115 at 3.3 V: 10 kOhm in series, 10 kOhm to GND, `divider: 2`). ADS1115: " + adc.WIRING,
    overlay=adc.OVERLAY,
    accuracy="None that can be relied on: half to double after calibration in clean air, worse with humidity and age",
    conversion=adc.CONVERSION + " The heater needs minutes after each power-up, a day after months without power.",
    faults="This is no safety device: it is not certified, drifts, is poisoned by silicone, and answers to alcohol, "
    "smoke and steam. Never let it release or replace a gas interlock; use a certified detector (drivers `panel`, "
    "`ads1115`). Every concentration is UncertainSensorNotAccurate, outside the curve "
    "UncertainEngineeringUnitsExceeded; `warm` is false during the heater's time. Cut wire, dead element or no supply, "
    "and a short circuit: BadSensorFailure. " + adc.UNPLUGGED,
)
