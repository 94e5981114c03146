"""ADS1115: one input of a four-channel 16-bit ADC on I2C, behind a transmitter with a live zero.

Datasheet: Texas Instruments SBAS444 "ADS111x", revision E (December 2024), register map.
Fault limits: NAMUR NE 43. verified: fake.
A 4-20 mA transmitter becomes volts in a shunt: 250 ohm makes 1 V to 5 V.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import DeviceTimeout, InvalidData, SensorFailure
from gateway.core.reading import Sample
from gateway.core.units import UNITS

CONVERSION_REGISTER = 0x00
CONFIG_REGISTER = 0x01
OS_START = OS_IDLE = 1 << 15  # written: start a single conversion; read: none is under way
MUX_SINGLE_ENDED = 0b100 << 12  # plus the input number << 12: AINx against GND
PGA_6V144 = 0b000 << 9
PGA_4V096 = 0b001 << 9
MODE_SINGLE_SHOT = 1 << 8
DR_128_SPS = 0b100 << 5
COMP_QUE_DISABLE = 0b11
CONVERSION_S = 0.009  # 1/128 s, and the oscillator may be 10 % slow
ATTEMPTS = 3
# NE 43 in parts of the span 4..20 mA: valid from 3.8 to 20.5 mA, the transmitter is broken below 3.6 and above 21 mA.
VALID_BELOW, VALID_ABOVE = 0.2 / 16, 0.5 / 16
BROKEN_BELOW, BROKEN_ABOVE = 0.4 / 16, 1.0 / 16


@dataclass(frozen=True, slots=True)
class Options:
    """Where the signal comes in, and what its volts mean."""

    address: int = option("I2C address, chosen by the ADDR pin", low=0x48, high=0x4B)
    input: int = option("AIN0 to AIN3, measured against GND", low=0, high=3)
    channel: str = option("name of the quantity, e.g. pressure")
    unit: str = option("its unit as a UCUM code, e.g. hPa")
    at_low: float = option("what the transmitter means by `low`, in `unit`")
    at_high: float = option("what the transmitter means by `high`, in `unit`")
    low_v: float = option("signal at the lower end of the range", unit="V", low=0, high=5.5, default=0.5)
    high_v: float = option("signal at the upper end of the range", unit="V", low=0, high=5.5, default=4.5)

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unknown unit {self.unit!r}; known: {', '.join(UNITS)}")
        if self.high_v <= self.low_v:
            raise ValueError(
                f"high ({self.high_v} V) must be above low ({self.low_v} V); swap at_low and at_high instead"
            )
        if self.at_low == self.at_high:
            raise ValueError(f"at_low and at_high are both {self.at_low}: the signal would mean nothing")


class Ads1115:
    """One input; every read starts a conversion of its own, so devices may share the part."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._options = options
        self._config = config_word(options)
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """The scaled value of a conversion started now. Blocks 10 to 30 ms. Raises DeviceError."""
        options = self._options
        self._bus.transfer(options.address, bytes([CONFIG_REGISTER]) + (OS_START | self._config).to_bytes(2, "big"))
        self._await_conversion()
        data = self._bus.transfer(options.address, bytes([CONVERSION_REGISTER]), 2)
        return (Sample(options.channel, scale(decode(data, self._config), options)),)

    def _await_conversion(self) -> None:
        for _ in range(ATTEMPTS):
            self._sleep(CONVERSION_S)
            config = int.from_bytes(self._bus.transfer(self._options.address, bytes([CONFIG_REGISTER]), 2), "big")
            if config & ~OS_IDLE != self._config:
                raise InvalidData(
                    f"the ADC's configuration reads 0x{config:04x} instead of 0x{OS_IDLE | self._config:04x}: "
                    "it lost power or the bus is stuck; check the supply and SDA/SCL"
                )
            if config & OS_IDLE:
                return
        raise DeviceTimeout(f"the ADC is still converting after {ATTEMPTS * CONVERSION_S * 1000:.0f} ms: replace it")


def config_word(options: Options) -> int:
    """The config register without its OS bit: the smaller gain range that still shows a transmitter's fault signal."""
    highest_v = options.high_v + BROKEN_ABOVE * (options.high_v - options.low_v)
    pga = PGA_4V096 if highest_v < 4.096 else PGA_6V144
    return MUX_SINGLE_ENDED | options.input << 12 | pga | MODE_SINGLE_SHOT | DR_128_SPS | COMP_QUE_DISABLE


def decode(data: bytes, config: int) -> float:
    """Volts of a conversion register (two's complement: 0x7FFF is one LSB below full scale)."""
    full_scale_v = 4.096 if config & PGA_4V096 else 6.144
    return int.from_bytes(data, "big", signed=True) * full_scale_v / 32768


def scale(signal_v: float, options: Options) -> float:
    """The signal in the channel's unit. Raises SensorFailure where NE 43 says that the transmitter is broken."""
    part = (signal_v - options.low_v) / (options.high_v - options.low_v)
    if part < -BROKEN_BELOW:
        raise SensorFailure(
            f"input {options.input} has {signal_v:.3f} V, below the live zero of {options.low_v} V: "
            "broken wire or transmitter without power"
        )
    if part > 1 + BROKEN_ABOVE:
        raise SensorFailure(
            f"input {options.input} has {signal_v:.3f} V, above the range's {options.high_v} V: "
            "short circuit or the transmitter reports a fault"
        )
    return options.at_low + part * (options.at_high - options.at_low)


def _channel(options: Options) -> Channel:
    span = options.at_high - options.at_low
    low, high = sorted((options.at_low - VALID_BELOW * span, options.at_high + VALID_ABOVE * span))
    return Channel(options.channel, options.unit, low, high, digits=2)


SPEC = Spec(
    name="ads1115",
    title="Texas Instruments ADS1115 analog input",
    bus="i2c",
    options=Options,
    open=Ads1115,
    channels=lambda options: (_channel(options),),
    claims=lambda options: (f"address 0x{options.address:02x} input {options.input}",),
    sample="gas: {driver: ads1115, bus: sensors, address: 0x48, input: 0, every: 200 ms, channel: concentration, "
    'unit: "%{LEL}", at_low: 0, at_high: 100, low: 0.5 V, high: 4.5 V}',
    datasheet="Texas Instruments, ADS111x, SBAS444 revision E",
    faults="A cut wire or a dead transmitter falls below the live zero, a short circuit rises above the range: "
    "BadSensorFailure. A transmitter without a live zero (`low: 0 V`) can't show a cut wire. The part has no checksum; "
    "a reset or a stuck bus shows as a wrong configuration register: BadDataEncodingInvalid. Unplugged: "
    "BadNotConnected.",
)
