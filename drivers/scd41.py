"""SCD41 and SCD40: carbon dioxide (photoacoustic), air temperature and humidity on I2C.

Datasheet: Sensirion "Datasheet SCD4x", version 1.4 (April 2023), section 3. verified: fake.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding.sensirion import command, words
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import DeviceError, NotConnected, SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample

ADDRESS = 0x62
START_PERIODIC_MEASUREMENT = 0x21B1  # a measurement every 5 s
GET_DATA_READY_STATUS = 0xE4B8
READ_MEASUREMENT = 0xEC05
SET_AMBIENT_PRESSURE = 0xE000  # allowed while it measures
DATA_READY = 0x07FF  # none of these bits: nothing new
EXECUTION_S = 0.002  # of every command used here: at most 1 ms


@dataclass(frozen=True, slots=True)
class Options:
    """What the part can't know."""

    pressure_hpa: float = option(
        "the site's usual air pressure, for the CO2 value: 1013 at sea level, 12 less per 100 m of altitude",
        unit="hPa",
        low=700,
        high=1200,
        default=1013.0,
    )


class Scd41:
    """One sensor, measuring all the time. It gives each measurement once, so an old one can't come twice."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._pressure = command(SET_AMBIENT_PRESSURE, round(options.pressure_hpa))
        self._sleep = sleep
        self._told_pressure = False

    def read(self) -> Sequence[Sample]:
        """CO2, temperature and humidity of the last 5 s. Blocks about 6 ms. Raises DeviceError.

        BadWaitingForInitialData when there is no new measurement, as for 5 s after power-on: it is told to measure.
        """
        (ready,) = words(self._ask(GET_DATA_READY_STATUS, 3), "data ready")
        if not ready & DATA_READY:
            self._start()
            raise DeviceError(
                "no new measurement yet: one comes every 5 s; if this lasts, give the part its 205 mA peak supply",
                Reason.BAD_WAITING_FOR_INITIAL_DATA,
            )
        if not self._told_pressure:
            self._tell_pressure()
        co2_ppm, temperature_c, humidity_pct = decode(self._ask(READ_MEASUREMENT, 9))
        return (
            Sample("co2", co2_ppm),
            Sample("temperature", temperature_c),
            Sample("humidity", humidity_pct),
        )

    def _start(self) -> None:
        with contextlib.suppress(NotConnected):  # a part that measures already acknowledges no second start
            self._bus.transfer(ADDRESS, command(START_PERIODIC_MEASUREMENT))
            self._sleep(EXECUTION_S)
        self._tell_pressure()

    def _tell_pressure(self) -> None:
        self._bus.transfer(ADDRESS, self._pressure)
        self._sleep(EXECUTION_S)
        self._told_pressure = True

    def _ask(self, code: int, length: int) -> bytes:
        self._bus.transfer(ADDRESS, command(code))
        self._sleep(EXECUTION_S)
        return self._bus.transfer(ADDRESS, b"", length)


def decode(data: bytes) -> tuple[float, float, float]:
    """(ppm, °C, %RH) of three words with CRCs. Raises InvalidData for a checksum, SensorFailure for air without CO2."""
    co2_ppm, temperature_ticks, humidity_ticks = words(data, "CO2", "temperature", "humidity")
    if co2_ppm == 0:
        raise SensorFailure("the part measures 0 ppm CO2, which no air has: replace it")
    return float(co2_ppm), -45 + 175 * temperature_ticks / 65535, 100 * humidity_ticks / 65535


SPEC = Spec(
    name="scd41",
    title="Sensirion SCD41 carbon dioxide, temperature and humidity",
    bus="i2c",
    options=Options,
    open=Scd41,
    channels=lambda _options: (
        Channel("co2", "[ppm]", 400, 5000, digits=0),
        Channel("temperature", "Cel", -10, 60, digits=2),
        Channel("humidity", "%{RH}", 0, 100, digits=2),
    ),
    claims=lambda _options: (f"address 0x{ADDRESS:02x}",),
    sample="kitchen_air: {driver: scd41, bus: sensors, every: 10 s, pressure: 1013 hPa}",
    datasheet="Sensirion, Datasheet SCD4x, version 1.4",
    min_every_s=6.0,
    wiring="VDD 2.4 to 5.5 V, which must bear peaks of 205 mA: use 3.3 V of the Pi with 10 µF at the part. SDA and SCL "
    "with one pull-up of 2.2 to 10 kΩ each per bus. Out of direct light, wind and heat.",
    overlay="dtparam=i2c_arm=on",
    accuracy="±(50 ppm + 2.5 %) from 400 to 1000 ppm, ±(50 ppm + 3 %) to 2000, ±(40 ppm + 5 %) to 5000 ppm; it "
    "recalibrates itself when it meets outdoor air (400 ppm) once a week: air the room. Its temperature is that of the "
    "warm part less 4 °C.",
    conversion="A new measurement every 5 s; a reading is at most 5 s old.",
    faults="For 5 s after power-on, and between two measurements when polled faster: BadWaitingForInitialData. "
    "Unplugged: BadNotConnected. Disturbed cable: BadDataEncodingInvalid (each word has a CRC). CO2 of 0: "
    "BadSensorFailure. SDA or SCL held low: BadTimeout.",
)
