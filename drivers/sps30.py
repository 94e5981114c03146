"""SPS30: fine dust by laser scattering, with a fan that cleans itself, on I2C.

Datasheet: Sensirion "Datasheet SPS30", version 1.0 (March 2020), section 6. verified: fake.
"""

import contextlib
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding.sensirion import command, words
from gateway.core.driver import Channel, I2CBus, Spec
from gateway.core.errors import DeviceError, InvalidData, NotConnected, SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample

ADDRESS = 0x69
START_MEASUREMENT, FORMAT_FLOAT, START_S = 0x0010, 0x0300, 0.020
READ_DATA_READY_FLAG = 0x0202
READ_MEASURED_VALUES, VALUES = 0x0300, 10
READ_DEVICE_STATUS = 0xD206  # since firmware 2.2
FAN_ERROR, LASER_ERROR, SPEED_WARNING = 1 << 4, 1 << 5, 1 << 21
CHANNELS = ("pm1", "pm2_5", "pm4", "pm10")
HIGHEST_UG_M3 = 60_000.0  # far above anything it can send; beyond it a float was never a mass
POINTER_S = 0.002  # between a command and its answer


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to choose: the address is fixed."""


class Sps30:
    """One sensor, measuring all the time, with new values every second."""

    def __init__(self, bus: I2CBus, _options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """Mass concentrations of the last second. Blocks about 20 ms. Raises DeviceError.

        BadWaitingForInitialData when there is nothing new, as for a second after power-on: it is told to measure.
        """
        (ready,) = words(self._ask(READ_DATA_READY_FLAG, 3), "data ready")
        if ready != 1:
            self._start()
            raise DeviceError(
                "no new values yet: they come every second, and not for 10 s in each week while the fan cleans itself; "
                "if this lasts, check the 5 V supply",
                Reason.BAD_WAITING_FOR_INITIAL_DATA,
            )
        values = self._ask(READ_MEASURED_VALUES, 6 * VALUES)
        return decode(values, self._ask(READ_DEVICE_STATUS, 6))

    def _start(self) -> None:
        with contextlib.suppress(NotConnected):  # a part that measures already may refuse a second start
            self._bus.transfer(ADDRESS, command(START_MEASUREMENT, FORMAT_FLOAT))
            self._sleep(START_S)

    def _ask(self, code: int, length: int) -> bytes:
        self._bus.transfer(ADDRESS, command(code))
        self._sleep(POINTER_S)
        return self._bus.transfer(ADDRESS, b"", length)


def decode(values: bytes, status: bytes) -> tuple[Sample, ...]:
    """Four masses in µg/m³ from ten floats of two words each, and the status. Raises InvalidData, SensorFailure."""
    halves = words(values, *(f"value {index // 2 + 1}" for index in range(2 * VALUES)))
    high, low = words(status, "status", "status")
    flags = high << 16 | low
    for error, what in ((FAN_ERROR, "the fan does not turn"), (LASER_ERROR, "the laser is broken")):
        if flags & error:
            raise SensorFailure(f"{what}, so no value means the room: free it from dirt or replace the part")
    masses = struct.unpack(">10f", struct.pack(">20H", *halves))[: len(CHANNELS)]
    if not all(0.0 <= mass <= HIGHEST_UG_M3 for mass in masses):
        raise InvalidData(
            f"{masses[0]:g} µg/m³ is no mass: it was set to whole numbers; take its power and give it again"
        )
    reason = Reason.UNCERTAIN_SENSOR_NOT_ACCURATE if flags & SPEED_WARNING else Reason.GOOD
    return tuple(Sample(channel, mass, reason) for channel, mass in zip(CHANNELS, masses, strict=True))


SPEC = Spec(
    name="sps30",
    title="Sensirion SPS30 fine dust",
    bus="i2c",
    options=Options,
    open=Sps30,
    channels=lambda _options: tuple(Channel(name, "ug/m3", 0, 1000, digits=1) for name in CHANNELS),
    claims=lambda _options: (f"address 0x{ADDRESS:02x}",),
    sample="hood_dust: {driver: sps30, bus: sensors, every: 2 s}",
    datasheet="Sensirion, Datasheet SPS30, version 1.0",
    min_every_s=1.5,
    wiring="Firmware 2.2 or later (since 2020), for its status register. VDD 5 V (80 mA), "
    "SEL to GND (it selects I2C), SDA and SCL at 3.3 V level with one pull-up of 10 kΩ each; "
    "cable of at most 20 cm. Inlet and outlet open to the room, not above a fryer: fat blinds it.",
    overlay="dtparam=i2c_arm=on",
    accuracy="PM1 and PM2.5 ±(5 µg/m³ + 5 %) to 100 µg/m³, ±10 % above; PM4 and PM10 ±25 µg/m³, ±25 % above.",
    conversion="New values every second; the first 8 to 30 s after the start, by concentration, are less accurate.",
    faults="For a second after power-on, and while the fan cleans itself for 10 s a week: BadWaitingForInitialData. "
    "Fan or laser broken: BadSensorFailure; fan off its speed: UncertainSensorNotAccurate. Unplugged: BadNotConnected. "
    "Disturbed cable: BadDataEncodingInvalid (each word has a CRC). SDA or SCL held low: BadTimeout.",
)
