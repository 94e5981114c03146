"""BH1750FVI: ambient light on I2C.

Datasheet: ROHM "Digital 16bit Serial Output Type Ambient Light Sensor IC BH1750FVI", revision D (2011.11).
verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import InvalidData
from gateway.core.reading import Sample

ONE_TIME_H_RESOLUTION_MODE = 0x20
MEASUREMENT_S = 0.180  # typically 120 ms
COUNTS_PER_LX = 1.2  # at the measurement time register's 69


@dataclass(frozen=True, slots=True)
class Options:
    """Where the part is."""

    address: int = option("I2C address: ADDR to GND or open 0x23, to VCC 0x5c", low=0x23, high=0x5C, default=0x23)

    def __post_init__(self) -> None:
        if self.address not in (0x23, 0x5C):
            raise ValueError(f"a BH1750 has the address 0x23 or 0x5c, not 0x{self.address:02x}")


class Bh1750:
    """One sensor. Every read orders a measurement of its own, after which the part sleeps."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._address = options.address
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """Illuminance, measured now. Blocks about 182 ms. Raises DeviceError."""
        self._bus.transfer(self._address, bytes((ONE_TIME_H_RESOLUTION_MODE,)))
        self._sleep(MEASUREMENT_S)
        first, second = (self._bus.transfer(self._address, b"", 2) for _ in range(2))
        return (Sample("light", decode(first, second)),)


def decode(first: bytes, second: bytes) -> float:
    """Lux of the result register, read twice. Raises InvalidData when the two differ, and for all ones."""
    if first != second:
        raise InvalidData(
            f"one result reads {first.hex(' ')} and then {second.hex(' ')}: check cable length, shield and pull-ups"
        )
    if first == b"\xff\xff":
        raise InvalidData("all ones: more than 54,600 lx, or a floating bus; shade the sensor, or check SDA/SCL")
    return int.from_bytes(first, "big") / COUNTS_PER_LX


SPEC = Spec(
    name="bh1750",
    title="ROHM BH1750 ambient light",
    bus="i2c",
    options=Options,
    open=Bh1750,
    channels=lambda _options: (Channel("light", "lx", 0, 54_612, digits=0),),
    claims=lambda options: (f"address 0x{options.address:02x}",),
    sample="prep_light: {driver: bh1750, bus: sensors, address: 0x23, every: 5 s}",
    datasheet="ROHM, BH1750FVI, revision D",
    min_every_s=0.5,
    wiring="VCC 3.3 V of the Pi, ADDR to GND (0x23) or VCC (0x5c), DVI as on the module. SDA and SCL with one pull-up "
    "of 2.2 to 10 kΩ each per bus. Window level, out of splashes; a cover glass dims it.",
    overlay="dtparam=i2c_arm=on",
    accuracy="±20 % from part to part (1.2 counts per lx, 0.96 to 1.44); 1 lx resolution.",
    conversion="120 ms, at most 180 ms, started by every read; the bus is free meanwhile, its worker is not.",
    faults="Unplugged or without power: BadNotConnected. The part has no checksum: its result is read twice, so a "
    "disturbed cable is BadDataEncodingInvalid, as are all ones. A disturbance that changes the same bit twice in a "
    "row stays unseen within the limits. SDA or SCL held low: BadTimeout.",
    undetected=("flip",),
)
