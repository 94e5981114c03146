"""SHT30, SHT31 and SHT35: air temperature and humidity on I2C.

Datasheet: Sensirion "Datasheet SHT3x-DIS", version 7 (December 2022), section 4. verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding.sensirion import command, words
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.reading import Sample

MEASURE_HIGH_REPEATABILITY = 0x2400  # single shot without clock stretching, which a Pi's controller mishandles
MEASUREMENT_DURATION_S = 0.017  # t_MEAS,h is at most 15.5 ms


@dataclass(frozen=True, slots=True)
class Options:
    """Where the part is."""

    address: int = option("I2C address: ADDR to GND 0x44, to VDD 0x45", low=0x44, high=0x45, default=0x44)


class Sht3x:
    """One sensor. It clears its result when it is read, so it can't give an old one twice."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._address = options.address
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """Temperature and humidity, measured now. Blocks about 18 ms. Raises DeviceError."""
        self._bus.transfer(self._address, command(MEASURE_HIGH_REPEATABILITY))
        self._sleep(MEASUREMENT_DURATION_S)
        temperature_c, humidity_pct = decode(self._bus.transfer(self._address, b"", 6))
        return (Sample("temperature", temperature_c), Sample("humidity", humidity_pct))


def decode(data: bytes) -> tuple[float, float]:
    """(°C, %RH) of the six bytes T, CRC, RH, CRC. Raises InvalidData when a checksum refuses a word."""
    temperature_ticks, humidity_ticks = words(data, "temperature", "humidity")
    return -45 + 175 * temperature_ticks / 65535, 100 * humidity_ticks / 65535


SPEC = Spec(
    name="sht3x",
    title="Sensirion SHT3x temperature and humidity",
    bus="i2c",
    options=Options,
    open=Sht3x,
    channels=lambda _options: (
        Channel("temperature", "Cel", -40, 125, digits=2),
        Channel("humidity", "%{RH}", 0, 100, digits=2),
    ),
    claims=lambda options: (f"address 0x{options.address:02x}",),
    sample="dry_store: {driver: sht3x, bus: sensors, address: 0x44, every: 2 s}",
    datasheet="Sensirion, Datasheet SHT3x-DIS, version 7",
    wiring="VDD 2.15 to 5.5 V: use 3.3 V of the Pi. SDA and SCL with one pull-up of 2.2 to 10 kΩ each per bus. ADDR to "
    "GND (0x44) or VDD (0x45), never open. 100 nF between VDD and VSS at the part. Beyond 1 m use 10 kHz and a shield.",
    overlay="dtparam=i2c_arm=on",
    accuracy="SHT31: ±0.2 °C from 0 to 90 °C, ±2 %RH. SHT35: ±0.1 °C from 20 to 60 °C, ±1.5 %RH. SHT30: ±3 %RH.",
    conversion="15.5 ms at most, started by every read.",
    faults="Unplugged or without power: BadNotConnected. Disturbed cable: BadDataEncodingInvalid (each word has a "
    "CRC). SDA or SCL held low: BadTimeout, and all devices of the bus with it.",
)
