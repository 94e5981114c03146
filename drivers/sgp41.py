"""SGP41: volatile organic compounds and nitrogen oxides as indices of how unusual the air is, on I2C.

Datasheet: Sensirion "Datasheet SGP41", version 1.0 (January 2022), section 4. verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding.gas_index import NOX, SATURATED_TICKS, VOC, GasIndex
from drivers.decoding.sensirion import command, words
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import InvalidData, SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample

ADDRESS = 0x59
EXECUTE_CONDITIONING = 0x2612
MEASURE_RAW_SIGNALS = 0x2619
TURN_HEATER_OFF, HEATER_OFF_S = 0x3615, 0.002
EXECUTION_S = 0.051  # of the two that answer: at most 50 ms
CONDITIONING_S = 9.6  # the NOx pixel bears 10 s; it is conditioned until the next command, whenever that comes
LONGEST_HOLD_S = 10  # seconds for which one measurement may stand


@dataclass(frozen=True, slots=True)
class Options:
    """The air for which the part corrects its signals."""

    humidity_pct: float = option("the room's usual relative humidity in %", low=0, high=100, default=50.0)
    temperature_c: float = option("the room's usual temperature", unit="Cel", low=-45, high=130, default=25.0)


class Sgp41:
    """One sensor with the memory of what is normal in its room. Poll it every second."""

    def __init__(
        self,
        bus: I2CBus,
        options: Options,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._air = round(options.humidity_pct / 100 * 65535), round((options.temperature_c + 45) / 175 * 65535)
        self._sleep = sleep
        self._monotonic = monotonic
        self._asked_s: float | None = None
        self._began_s: float | None = None
        self._is_conditioned = False
        self._fed_until_s = 0.0
        self._voc, self._nox = GasIndex(VOC), GasIndex(NOX)

    def read(self) -> Sequence[Sample]:
        """Both indices; Uncertain while they are being learnt, and 0 in the first minute. Blocks 50 to 110 ms.

        The first read only begins: how often it is polled, so whether conditioning would end in time, shows at the
        second. Raises DeviceError; the driver that is opened then learns anew.
        """
        now_s = self._monotonic()
        asked_s, self._asked_s = self._asked_s, now_s
        if asked_s is None:
            words(self._ask(MEASURE_RAW_SIGNALS, 6), "VOC", "NOx")  # of pixels that are still cold: no value
            return self._nothing_yet(now_s)
        if self._began_s is None:
            self._began_s = now_s
        if 2 * now_s - asked_s < self._began_s + CONDITIONING_S:  # the next poll will come in time to end it
            self._is_conditioned = True
            words(self._ask(EXECUTE_CONDITIONING, 3), "VOC")
            return self._nothing_yet(now_s)
        ticks = self._measure()
        self._is_conditioned = False
        return self._feed(now_s, *ticks)

    def close(self) -> None:
        """End the conditioning, which must not go on when nobody polls. Blocks 2 ms. Raises DeviceError."""
        if self._is_conditioned:
            self._bus.transfer(ADDRESS, command(TURN_HEATER_OFF))
            self._sleep(HEATER_OFF_S)

    def _nothing_yet(self, now_s: float) -> Sequence[Sample]:
        self._fed_until_s = now_s
        return _sample("voc_index", 0, self._voc), _sample("nox_index", 0, self._nox)

    def _measure(self) -> tuple[int, ...]:
        try:
            return decode(self._ask(MEASURE_RAW_SIGNALS, 6))
        except InvalidData:  # an error throws away what was learnt: one disturbance shall not
            return decode(self._ask(MEASURE_RAW_SIGNALS, 6))

    def _feed(self, now_s: float, voc_ticks: int, nox_ticks: int) -> Sequence[Sample]:
        """Feed the indices once per second that has passed, whatever the pace of the polls."""
        seconds = max(1, round(now_s - self._fed_until_s))
        self._fed_until_s += seconds
        for _ in range(min(seconds, LONGEST_HOLD_S)):
            voc, nox = self._voc.feed(voc_ticks), self._nox.feed(nox_ticks)
        return _sample("voc_index", voc, self._voc), _sample("nox_index", nox, self._nox)

    def _ask(self, code: int, length: int) -> bytes:
        self._bus.transfer(ADDRESS, command(code, *self._air))
        self._sleep(EXECUTION_S)
        return self._bus.transfer(ADDRESS, b"", length)


def decode(data: bytes) -> tuple[int, int]:
    """Ticks (VOC, NOx) of two words with CRCs. Raises InvalidData, SensorFailure for a converter at its end."""
    voc, nox = words(data, "VOC", "NOx")
    for name, ticks in (("VOC", voc), ("NOx", nox)):
        if not 0 < ticks < SATURATED_TICKS:
            raise SensorFailure(f"the {name} pixel gives {ticks} ticks, the end of its scale: replace the part")
    return voc, nox


def _sample(channel: str, value: int, index: GasIndex) -> Sample:
    return Sample(channel, float(value), Reason.UNCERTAIN_SENSOR_NOT_ACCURATE if index.learning else Reason.GOOD)


SPEC = Spec(
    name="sgp41",
    title="Sensirion SGP41 VOC and NOx index",
    bus="i2c",
    options=Options,
    open=Sgp41,
    channels=lambda _options: (
        Channel("voc_index", "{index}", 0, 500, digits=0),
        Channel("nox_index", "{index}", 0, 500, digits=0),
    ),
    claims=lambda _options: (f"address 0x{ADDRESS:02x}",),
    sample="odour: {driver: sgp41, bus: sensors, every: 1 s, humidity_pct: 50, temperature: 25 Cel}",
    datasheet="Sensirion, Datasheet SGP41, version 1.0",
    min_every_s=1.0,
    wiring="VDD and VDDH 1.7 to 3.6 V: use 3.3 V of the Pi. SDA and SCL with one pull-up of 10 kΩ each per bus, 100 nF "
    "at each supply. Its heaters run all the time: 3 mA, and a little warmth, so not beside a thermometer.",
    overlay="dtparam=i2c_arm=on",
    accuracy="An index of the change against the room's own last day, not a concentration: 100 (VOC) and 1 (NOx) are "
    "its average, 500 the most. Device to device ±15 VOC index points.",
    conversion="50 ms, started by every read; poll it every second (from 10 s on its NOx pixel, which bears no longer, "
    "is not conditioned). 11 s of conditioning and 46 s of start give 0; VOC is accurate after 1 h, NOx after 6 h.",
    faults="While the indices are being learnt: UncertainSensorNotAccurate (VOC 1 h, NOx 6 h after each start of the "
    "gateway and after each failure; one disturbed answer is asked for again first). Unplugged: BadNotConnected. "
    "Disturbed cable: BadDataEncodingInvalid (each word has a CRC). A pixel at the end of its scale: BadSensorFailure. "
    "SDA or SCL held low: BadTimeout.",
)
