"""BME280: air temperature, humidity and pressure on I2C.

Datasheet: Bosch Sensortec BST-BME280-DS002 "BME280", revision 1.6, sections 4.2.3 (compensation) and 5. verified: fake.
The part has no checksums: calibration and data are read twice, beside the settings that they were measured with.
"""

import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import DeviceTimeout, InvalidData
from gateway.core.reading import Sample

CALIB00 = 0x88  # 26 bytes to 0xA1
CALIB26 = 0xE1  # 7 bytes to 0xE7
ID, CHIP_ID = 0xD0, 0x60
CTRL_HUM, CTRL_MEAS = 0xF2, 0xF4
BURST, BURST_LENGTH = 0xF2, 13  # ctrl_hum, status, ctrl_meas, config, one reserved; press, temp, hum
OSRS_X1 = 0b001
MODE_FORCED = 0b01
SLEEPING_CONTROL = OSRS_X1 << 5 | OSRS_X1 << 2  # ctrl_meas when the measurement has ended
STATUS_MEASURING, STATUS_IM_UPDATE = 0x08, 0x01
MEASUREMENT_S = 0.0095  # at most 9.3 ms with every oversampling at 1 (9.1)
ATTEMPTS = 3
NOT_MEASURED = (0x80000, 0xFFFFF, 0)  # skipped; a floating bus; a dead converter
RANGES = (("temperature", -40.0, 85.0), ("pressure", 300.0, 1100.0))


@dataclass(frozen=True, slots=True)
class Options:
    """Where the part is."""

    address: int = option("I2C address: SDO to GND 0x76, to VDDIO 0x77", low=0x76, high=0x77, default=0x76)


@dataclass(frozen=True, slots=True)
class Calibration:
    """dig_T1 to dig_T3, dig_P1 to dig_P9 and dig_H1 to dig_H6."""

    t: tuple[int, ...]
    p: tuple[int, ...]
    h: tuple[int, ...]


class Bme280:
    """One sensor. It sleeps; every read orders a measurement of its own."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._address = options.address
        self._sleep = sleep
        self._calibration: Calibration | None = None

    def read(self) -> Sequence[Sample]:
        """Temperature, humidity and pressure, measured now. Blocks 11 to 30 ms. Raises DeviceError."""
        calibration = self._calibration or self._read_calibration()
        start = bytes((CTRL_HUM, OSRS_X1, CTRL_MEAS, SLEEPING_CONTROL | MODE_FORCED))
        self._bus.transfer(self._address, start)
        temperature_c, humidity_pct, pressure_hpa = decode(self._burst(), calibration)
        self._calibration = calibration
        return (
            Sample("temperature", temperature_c),
            Sample("humidity", humidity_pct),
            Sample("pressure", pressure_hpa),
        )

    def _burst(self) -> bytes:
        for _ in range(ATTEMPTS):
            self._sleep(MEASUREMENT_S)
            burst = self._read_twice(BURST, BURST_LENGTH)
            busy = burst[1] & (STATUS_MEASURING | STATUS_IM_UPDATE)
            if not busy or burst[0] != OSRS_X1:  # a floating bus reads busy too: `decode` says so
                return burst
        raise DeviceTimeout(f"the part still measures after {ATTEMPTS * MEASUREMENT_S * 1000:.0f} ms: replace it")

    def _read_calibration(self) -> Calibration:
        chip = self._read_twice(ID, 1)[0]
        if chip != CHIP_ID:
            cure = "it is a BMP280, which has no humidity" if chip in (0x56, 0x57, 0x58) else "another part sits there"
            raise InvalidData(f"the chip at 0x{self._address:02x} says 0x{chip:02x} instead of 0x60: {cure}")
        return decode_calibration(self._read_twice(CALIB00, 26), self._read_twice(CALIB26, 7))

    def _read_twice(self, register: int, length: int) -> bytes:
        first, second = (self._bus.transfer(self._address, bytes((register,)), length) for _ in range(2))
        if first != second:
            raise InvalidData(
                f"register 0x{register:02x} reads {first.hex(' ')} and then {second.hex(' ')}: "
                "check cable length, shield and pull-ups"
            )
        return first


def decode_calibration(low: bytes, high: bytes) -> Calibration:
    """From 0x88…0xA1 and 0xE1…0xE7. Raises InvalidData for words that no factory burns in."""
    t, p = struct.unpack("<Hhh", low[0:6]), struct.unpack("<H8h", low[6:24])
    h2, h3, e4, e5, e6, h6 = struct.unpack("<hBbBbb", high)
    if t[0] in (0, 0xFFFF) or p[0] in (0, 0xFFFF):
        raise InvalidData(f"the calibration words are blank ({low.hex(' ')}): check the supply, or replace the part")
    return Calibration(t, p, (low[25], h2, h3, e4 << 4 | e5 & 0xF, e6 << 4 | e5 >> 4, h6))


def decode(burst: bytes, calibration: Calibration) -> tuple[float, float, float]:
    """(°C, %RH, hPa) of registers 0xF2…0xFE. Raises InvalidData for what this part can't have measured."""
    if burst[0] != OSRS_X1 or burst[2] != SLEEPING_CONTROL:
        raise InvalidData(
            f"the settings read back as {burst[0]:02x} and {burst[2]:02x}: it lost power or the bus is disturbed; "
            "check the supply and SDA/SCL"
        )
    raw_p, raw_t = (int.from_bytes(burst[place : place + 3], "big") >> 4 for place in (5, 8))
    raw_h = int.from_bytes(burst[11:], "big")
    if raw_p in NOT_MEASURED or raw_t in NOT_MEASURED or raw_h in (0x8000, 0xFFFF, 0):
        raise InvalidData(f"no measurement in {burst[5:].hex(' ')}: check the supply, or replace the part")
    fine = _fine_temperature(raw_t, calibration.t)
    temperature_c, pressure_hpa = fine / 5120, _pressure_pa(raw_p, fine, calibration.p) / 100
    for (name, low, high), value in zip(RANGES, (temperature_c, pressure_hpa), strict=True):
        if not low <= value <= high:
            raise InvalidData(f"a {name} of {value:.6g} is outside the part's {low:g} to {high:g}: replace it")
    return temperature_c, _humidity_pct(raw_h, fine, calibration.h), pressure_hpa


def _fine_temperature(raw: int, t: tuple[int, ...]) -> float:
    """`t_fine`, 5120 per °C."""
    offset = raw / 16384 - t[0] / 1024
    return offset * t[1] + (offset / 8) ** 2 * t[2]


def _pressure_pa(raw: int, fine: float, p: tuple[int, ...]) -> float:
    warmth = fine / 2 - 64000
    offset = (warmth * warmth * p[5] / 32768 + warmth * p[4] * 2) / 4 + p[3] * 65536
    slope = (1 + (p[2] * warmth * warmth / 524288 + p[1] * warmth) / 524288 / 32768) * p[0]
    if slope <= 0:
        return 0.0
    linear = (1048576 - raw - offset / 4096) * 6250 / slope
    return linear + (p[8] * linear * linear / 2147483648 + linear * p[7] / 32768 + p[6]) / 16


def _humidity_pct(raw: int, fine: float, h: tuple[int, ...]) -> float:
    warmth = fine - 76800
    gain = h[1] / 65536 * (1 + h[5] / 67108864 * warmth * (1 + h[2] / 67108864 * warmth))
    linear = (raw - (h[3] * 64 + h[4] / 16384 * warmth)) * gain
    # The datasheet crops what the formula puts beyond the ends.
    return min(100.0, max(0.0, linear * (1 - h[0] * linear / 524288)))


SPEC = Spec(
    name="bme280",
    title="Bosch BME280 temperature, humidity and pressure",
    bus="i2c",
    options=Options,
    open=Bme280,
    channels=lambda _options: (
        Channel("temperature", "Cel", -40, 85, digits=2, max_per_s=5),
        Channel("humidity", "%{RH}", 0, 100, digits=2, max_per_s=50),
        Channel("pressure", "hPa", 300, 1100, digits=2, max_per_s=10),
    ),
    claims=lambda options: (f"address 0x{options.address:02x}",),
    sample="hood_air: {driver: bme280, bus: sensors, address: 0x76, every: 2 s}",
    datasheet="Bosch Sensortec, BME280, BST-BME280-DS002 revision 1.6",
    wiring="VDD and VDDIO 3.3 V of the Pi, CSB to VDDIO (it selects I2C), SDO to GND (0x76) or VDDIO (0x77), never "
    "open. SDA and SCL with one pull-up of 2.2 to 10 kΩ each per bus; 100 nF at both supplies. "
    "Keep it away from what warms it.",
    overlay="dtparam=i2c_arm=on",
    accuracy="±1 °C from 0 to 65 °C, ±3 %RH, ±1 hPa.",
    conversion="9.3 ms at most, started by every read.",
    faults="Unplugged or without power: BadNotConnected. The part has no checksum: calibration and data are read twice "
    "and the settings with them, so a disturbed cable, a reset or a floating bus is BadDataEncodingInvalid, as are "
    "values outside the part's range. A BMP280 in its place: BadDataEncodingInvalid. SDA or SCL held low: BadTimeout. "
    "A disturbance that changes the same bit twice in a row stays unseen within the limits.",
    undetected=("flip",),
)
