"""MAX31856: a thermocouple of any usual type on SPI, linearised and compensated by the part.

Datasheet: Maxim (Analog Devices) 19-7534 "MAX31856", revision 0 (February 2015), register map. verified: fake.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Channel, Spec, SpiBus, option
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.reading import Sample

Kind = Literal["B", "E", "J", "K", "N", "R", "S", "T"]

SPI_MODE = 1
SPEED_HZ = 1_000_000  # f_SCL is at most 5 MHz
REGISTERS = 16
WRITE = 0x80
CR0 = 0x00
ONE_SHOT, OPEN_DETECTION, FILTER_50_HZ = 1 << 6, 0b01 << 4, 1 << 0  # OCFAULT 01: a source below 5 kohm
TYPES: Mapping[Kind, int] = {"B": 0, "E": 1, "J": 2, "K": 3, "N": 4, "R": 5, "S": 6, "T": 7}
# MASK to CJTO as they are after power-on: no threshold, no cold-junction offset.
UNUSED = b"\xff\x7f\xc0\x7f\xff\x80\x00\x00"
CONVERSION_S = 0.21  # at 50 Hz at most 185 ms, and 15 ms for the open-circuit test
LATE_S, ATTEMPTS = 0.02, 3
RANGES_C: Mapping[Kind, tuple[float, float]] = {
    "B": (250, 1820),
    "E": (-200, 1000),
    "J": (-210, 1200),
    "K": (-200, 1372),
    "N": (-200, 1300),
    "R": (-50, 1768),
    "S": (-50, 1768),
    "T": (-200, 400),
}
COLD_LOW_C, COLD_HIGH_C = -55.0, 125.0
UNUSED_HOT_BITS, HOT_LSB_C = 5, 1 / 128  # the data sheet leaves open what the unused bits of LTCBL read
FAULTS = (
    (0x01, "the thermocouple is open: broken wire or loose terminal"),
    (0x02, "the thermocouple's voltage is below ground or above the supply: check for a short to another circuit"),
    (0x80, "the cold junction is outside what the part bears: check where it is mounted"),
    (0x40, "the hot junction is outside what this thermocouple type bears: check type and wires"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """Which thermocouple, and which mains hum to filter."""

    thermocouple: Kind = option("its type", default="K")
    mains: Literal[50, 60] = option("the mains frequency in Hz, whose hum is filtered out", default=60)


class Max31856:
    """One part. Each read writes every setting, so one that lost power is right again."""

    def __init__(self, bus: SpiBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._kind = options.thermocouple
        self._settings = settings(options)
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """Hot and cold junction of a conversion started now. Blocks 0.21 to 0.27 s. Raises DeviceError."""
        self._transfer(bytes([WRITE | CR0, self._settings[0] | ONE_SHOT]) + self._settings[1:])
        self._sleep(CONVERSION_S)
        for _ in range(ATTEMPTS):
            registers = self._transfer(bytes(1 + REGISTERS))[1:]
            if not is_converting(registers, self._settings):
                hot_c, cold_c = decode(registers, self._settings)
                return (Sample("temperature", hot_c), Sample("cold_junction", cold_c))
            self._sleep(LATE_S)
        raise DeviceTimeout("the MAX31856 is still converting after 0.27 s: replace it")

    def _transfer(self, data: bytes) -> bytes:
        return self._bus.transfer(data, mode=SPI_MODE, speed_hz=SPEED_HZ)


def settings(options: Options) -> bytes:
    """CR0 to CJTO as they are while nothing is converted."""
    cr0 = OPEN_DETECTION | (FILTER_50_HZ if options.mains == 50 else 0)
    return bytes([cr0, TYPES[options.thermocouple]]) + UNUSED


def is_converting(registers: bytes, wanted: bytes) -> bool:
    """True while the part is there, has its settings, and has not finished."""
    return registers[: len(wanted)] == bytes([wanted[0] | ONE_SHOT]) + wanted[1:]


def decode(registers: bytes, wanted: bytes) -> tuple[float, float]:
    """(°C of the hot junction, °C of the cold one) of all 16 registers.

    The part has no checksum; ten registers must read as they were written. Raises NotConnected, InvalidData or
    SensorFailure.
    """
    if registers in {bytes(REGISTERS), b"\xff" * REGISTERS}:
        raise NotConnected(f"all registers read 0x{registers[0]:02x}: check MISO, chip select and the supply")
    if len(registers) != REGISTERS or registers[: len(wanted)] != wanted:
        raise InvalidData(
            f"the settings read {registers[: len(wanted)].hex(' ')} instead of {wanted.hex(' ')}: "
            "the part lost power or the wires are disturbed; check supply, ground and cable length"
        )
    for bit, explanation in FAULTS:
        if registers[15] & bit:
            raise SensorFailure(explanation)
    if registers[15] or registers[11] & 0x03:
        raise InvalidData(f"bits are set that no MAX31856 sets ({registers[10:].hex(' ')}): check MISO and the ground")
    cold_c = int.from_bytes(registers[10:12], "big", signed=True) / 256
    hot_c = (int.from_bytes(registers[12:15], "big", signed=True) >> UNUSED_HOT_BITS) * HOT_LSB_C
    if not COLD_LOW_C <= cold_c <= COLD_HIGH_C:
        raise InvalidData(f"a cold junction of {cold_c} °C is outside what the part can measure: check MISO")
    return hot_c, cold_c


def _channels(options: Options) -> tuple[Channel, ...]:
    low_c, high_c = RANGES_C[options.thermocouple]
    return (
        Channel("temperature", "Cel", low_c, high_c, digits=2, max_per_s=100.0),
        Channel("cold_junction", "Cel", COLD_LOW_C, COLD_HIGH_C, digits=2, max_per_s=2.0),
    )


SPEC = Spec(
    name="max31856",
    title="Maxim MAX31856 thermocouple converter",
    bus="spi",
    options=Options,
    open=Max31856,
    channels=_channels,
    claims=lambda _options: ("the chip select",),
    sample="oven_chamber: {driver: max31856, bus: oven_probe, thermocouple: K, mains: 50, every: 2 s}",
    datasheet="Maxim, MAX31856, 19-7534",
    min_every_s=0.3,
    wiring="3.3 V with 100 nF at the part; SCK, SDI (MOSI), SDO (MISO) and CS. 100 nF across the thermocouple's "
    "terminals and 10 nF from each to ground; extension wire of the thermocouple's own type.",
    overlay="dtparam=spi=on",
    accuracy="0.15 % of full scale and the thermocouple's own tolerance; cold junction 0.7 °C.",
    conversion="0.15 s at 60 Hz, 0.19 s at 50 Hz, started by each read; the open-circuit test takes 15 ms of it.",
    faults="Open thermocouple, voltage beyond the supply, or a junction outside its range: BadSensorFailure. Absent "
    "part, MISO held low or high: BadNotConnected. Settings that do not read back: BadDataEncodingInvalid.",
    undetected=("flip",),
)
