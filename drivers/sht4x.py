"""SHT40, SHT41, SHT43 and SHT45: air temperature and humidity on I2C.

Datasheet: Sensirion "Datasheet SHT4x", version 6 (February 2023), section 4. verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding.sensirion import words
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.reading import Sample

MEASURE_HIGH_PRECISION = 0xFD
MEASUREMENT_DURATION_S = 0.010  # t_MEAS,h is at most 8.3 ms


@dataclass(frozen=True, slots=True)
class Options:
    """Where the part is."""

    address: int = option("I2C address; it is printed in the part's order code", low=0x44, high=0x46, default=0x44)


class Sht4x:
    """One sensor. It clears its result when it is read, so it can't give an old one twice."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._address = options.address
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """Temperature and humidity, measured now. Blocks about 11 ms. Raises DeviceError."""
        self._bus.transfer(self._address, bytes([MEASURE_HIGH_PRECISION]))
        self._sleep(MEASUREMENT_DURATION_S)
        temperature_c, humidity_pct = decode(self._bus.transfer(self._address, b"", 6))
        return (Sample("temperature", temperature_c), Sample("humidity", humidity_pct))


def decode(data: bytes) -> tuple[float, float]:
    """(°C, %RH) of the six bytes T, CRC, RH, CRC. Raises InvalidData when a checksum refuses a word."""
    temperature_ticks, humidity_ticks = words(data, "temperature", "humidity")
    # The formula may leave 0..100 %RH at the ends; the datasheet asks to crop it.
    humidity_pct = min(100.0, max(0.0, -6 + 125 * humidity_ticks / 65535))
    return -45 + 175 * temperature_ticks / 65535, humidity_pct


SPEC = Spec(
    name="sht4x",
    title="Sensirion SHT4x temperature and humidity",
    bus="i2c",
    options=Options,
    open=Sht4x,
    channels=lambda _options: (
        Channel("temperature", "Cel", -40, 125, digits=2),
        Channel("humidity", "%{RH}", 0, 100, digits=2),
    ),
    claims=lambda options: (f"address 0x{options.address:02x}",),
    sample="walkin_air: {driver: sht4x, bus: sensors, address: 0x44, every: 2 s}",
    datasheet="Sensirion, Datasheet SHT4x, version 6",
    wiring="VDD 1.08 to 3.6 V: use 3.3 V of the Pi. SDA and SCL with one pull-up of 2.2 to 10 kΩ each per bus; 100 nF "
    "between VDD and VSS at the part. Beyond 1 m use 10 kHz and a shield.",
    overlay="dtparam=i2c_arm=on",
    accuracy="SHT45: ±0.1 °C, ±1 %RH. SHT41: ±0.2 °C, ±1.8 %RH. SHT40: ±0.2 °C, ±1.8 %RH (typical values).",
    conversion="8.3 ms at most, started by every read.",
    faults="Unplugged or without power: BadNotConnected. Disturbed cable: BadDataEncodingInvalid (each word has a "
    "CRC). SDA or SCL held low: BadTimeout, and all devices of the bus with it.",
)
