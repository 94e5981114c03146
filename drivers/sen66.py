"""SEN66: particles, VOC and NOx index, carbon dioxide, temperature and humidity in one housing with a fan, on I2C.

Datasheet: Sensirion "Datasheet SEN6x", version 0.9 (November 2024), section 4.8. verified: fake.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding.sensirion import command, words
from gateway.core.driver import Channel, I2CBus, Spec
from gateway.core.errors import DeviceError, NotConnected, SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample

ADDRESS = 0x6B
START_CONTINUOUS_MEASUREMENT, START_S = 0x0021, 0.050
GET_DATA_READY = 0x0202
READ_MEASURED_VALUES = 0x0300
READ_DEVICE_STATUS = 0xD206  # leaves its error flags set: once cleared, they are missing until the next self-check
EXECUTION_S = 0.021  # of the commands that answer: 20 ms
UNKNOWN_UINT16, UNKNOWN_INT16 = 0xFFFF, 0x7FFF
BROKEN = "the module says that this element failed: take its power and give it again; replace it if that does not help"
FAN_ERROR, RHT_ERROR, GAS_ERROR, CO2_ERROR, PM_ERROR, FAN_SPEED_WARNING = (1 << bit for bit in (4, 6, 7, 9, 11, 21))


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to choose: the address is fixed."""


@dataclass(frozen=True, slots=True)
class Field:
    """One word of the measured values. per_unit: its scale. error: the status bit of the element behind it."""

    channel: Channel
    per_unit: int
    signed: bool
    error: int


FIELDS = (
    Field(Channel("pm1", "ug/m3", 0, 1000, digits=1), 10, False, PM_ERROR),
    Field(Channel("pm2_5", "ug/m3", 0, 1000, digits=1), 10, False, PM_ERROR),
    Field(Channel("pm4", "ug/m3", 0, 1000, digits=1), 10, False, PM_ERROR),
    Field(Channel("pm10", "ug/m3", 0, 1000, digits=1), 10, False, PM_ERROR),
    Field(Channel("humidity", "%{RH}", 0, 100, digits=2), 100, True, RHT_ERROR),
    Field(Channel("temperature", "Cel", -10, 60, digits=2), 200, True, RHT_ERROR),
    Field(Channel("voc_index", "{index}", 1, 500, digits=1), 10, True, GAS_ERROR),
    Field(Channel("nox_index", "{index}", 1, 500, digits=1), 10, True, GAS_ERROR),
    Field(Channel("co2", "[ppm]", 400, 5000, digits=0), 1, False, CO2_ERROR),
)
NAMES = tuple(field.channel.name for field in FIELDS)


class Sen66:
    """One module, measuring all the time, with a new set of values every second."""

    def __init__(self, bus: I2CBus, _options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """All nine quantities of the last second. Blocks about 65 ms. Raises DeviceError.

        BadWaitingForInitialData when there is no new set, as for a second after power-on: it is told to measure.
        """
        (ready,) = words(self._ask(GET_DATA_READY, 3), "data ready")
        if not ready & 1:
            self._start()
            raise DeviceError(
                "no new values yet: a set comes every second; if this lasts, check the 3.3 V supply (350 mA peak)",
                Reason.BAD_WAITING_FOR_INITIAL_DATA,
            )
        values = self._ask(READ_MEASURED_VALUES, 3 * len(FIELDS))
        return decode(values, self._ask(READ_DEVICE_STATUS, 6))

    def _start(self) -> None:
        with contextlib.suppress(NotConnected):  # a module that measures already may refuse a second start
            self._bus.transfer(ADDRESS, command(START_CONTINUOUS_MEASUREMENT))
            self._sleep(START_S)

    def _ask(self, code: int, length: int) -> bytes:
        self._bus.transfer(ADDRESS, command(code))
        self._sleep(EXECUTION_S)
        return self._bus.transfer(ADDRESS, b"", length)


def decode(values: bytes, status: bytes) -> tuple[Sample, ...]:
    """One sample per channel from nine words and the two of the device status, each with its CRC.

    A quantity that the module does not know is no number (NaN) with a Bad reason. Raises InvalidData, SensorFailure.
    """
    raw = words(values, *NAMES)
    high, low = words(status, "status", "status")
    flags = high << 16 | low
    if flags & FAN_ERROR:
        raise SensorFailure(
            "the fan does not turn, so no value means the room: free it from dirt, then take the module's power and "
            "give it again; replace it if that does not help"
        )
    return tuple(_sample(field, word, flags) for field, word in zip(FIELDS, raw, strict=True))


def _sample(field: Field, word: int, flags: int) -> Sample:
    name = field.channel.name
    if flags & field.error:
        return Sample.missing(name, Reason.BAD_SENSOR_FAILURE, BROKEN)
    if word == (UNKNOWN_INT16 if field.signed else UNKNOWN_UINT16):
        return Sample.missing(name, Reason.BAD_WAITING_FOR_INITIAL_DATA, "not known yet: wait a minute")
    number = word - 0x10000 if field.signed and word & 0x8000 else word
    # A broken element spoils the compensation of the others; a fan off its speed moves another volume of air.
    other_broken = flags & (RHT_ERROR | GAS_ERROR | CO2_ERROR | PM_ERROR)
    doubtful = other_broken or (flags & FAN_SPEED_WARNING and field.error == PM_ERROR)
    return Sample(name, number / field.per_unit, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE if doubtful else Reason.GOOD)


SPEC = Spec(
    name="sen66",
    title="Sensirion SEN66 air quality module",
    bus="i2c",
    options=Options,
    open=Sen66,
    channels=lambda _options: tuple(field.channel for field in FIELDS),
    claims=lambda _options: (f"address 0x{ADDRESS:02x}",),
    sample="air_quality: {driver: sen66, bus: sensors, every: 2 s}",
    datasheet="Sensirion, Datasheet SEN6x, version 0.9",
    min_every_s=1.5,
    wiring="VDD 3.3 V ±5 % with peaks of 350 mA, both GND pins, SDA and SCL with one pull-up of 10 kΩ each to 3.3 V; "
    "cable of at most 20 cm unless shielded. Inlet and outlet open to the room, not above a fryer: fat blinds it.",
    overlay="dtparam=i2c_arm=on",
    accuracy="PM2.5 ±(5 µg/m³ + 5 %) to 100 µg/m³, ±10 % above; CO2 ±(50 ppm + 2.5 %) to 1000 ppm; ±0.45 °C, "
    "±4.5 %RH. Index values are relative to the room's last 24 h: 100 (VOC) and 1 (NOx) are its average.",
    conversion="A new set every second; CO2 is known 6 s, NOx 11 s after the start.",
    faults="For a second after power-on: BadWaitingForInitialData; CO2 and NOx have no value for 6 and 11 s. A fan "
    "that does not turn: BadSensorFailure for all. Another broken element: its own channels have no value, the others "
    "are UncertainSensorNotAccurate, as are particles while the fan's speed is off. The module keeps such an error "
    "until its power is taken, even if it has passed. Unplugged: BadNotConnected. "
    "Disturbed cable: BadDataEncodingInvalid (each word has a CRC). SDA or SCL held low: BadTimeout.",
)
