"""MAX31855: a thermocouple on SPI; the part compensates its cold junction, this driver the thermocouple's curve.

Datasheet: Maxim (Analog Devices) 19-5793 "MAX31855", revision 5 (January 2015), tables 1 to 4. verified: fake.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drivers.decoding.thermocouple import RANGES_C, Kind, temperature_c, voltage_mv
from gateway.core.driver import Channel, Spec, SpiBus, option
from gateway.core.errors import InvalidData, NotConnected, SensorFailure
from gateway.core.reading import Sample

FRAME_BYTES = 4
SPI_MODE = 0
SPEED_HZ = 1_000_000  # f_SCL is at most 5 MHz; long wires want less
FAULT = 1 << 16
RESERVED = 1 << 17 | 1 << 3  # always 0
SCV, SCG, OC = 1 << 2, 1 << 1, 1 << 0
HOT_LSB_C, COLD_LSB_C = 0.25, 0.0625
# The part takes the curve for a line of this slope (table 1); each type is a part of its own.
SLOPE_MV_PER_C: Mapping[Kind, float] = {"K": 0.041276, "J": 0.057953, "N": 0.036256, "T": 0.05218}
COLD_LOW_C, COLD_HIGH_C = -40.0, 125.0


@dataclass(frozen=True, slots=True)
class Options:
    """Which thermocouple."""

    thermocouple: Kind = option("its type, which is also the last letter of the part's name", default="K")


class Max31855:
    """One part. It converts all the time, ten times a second, and can't be told to do anything."""

    def __init__(self, bus: SpiBus, options: Options) -> None:
        self._bus = bus
        self._kind = options.thermocouple

    def read(self) -> Sequence[Sample]:
        """Hot and cold junction, converted within the last 0.1 s. Blocks less than 1 ms. Raises DeviceError."""
        hot_c, cold_c = decode(self._bus.transfer(bytes(FRAME_BYTES), mode=SPI_MODE, speed_hz=SPEED_HZ), self._kind)
        return (Sample("temperature", hot_c), Sample("cold_junction", cold_c))


def decode(data: bytes, kind: Kind) -> tuple[float, float]:
    """(°C of the hot junction on the true curve, °C of the cold one) of a frame.

    Raises NotConnected for a wire that stays low or high, InvalidData for bits that no part sends, SensorFailure for
    its fault bits.
    """
    frame = int.from_bytes(data, "big")
    if frame in {0, 0xFFFFFFFF}:  # 0 °C at both ends, to the bit, is refused with it
        raise NotConnected(f"the frame is {data.hex()}: nothing drives MISO; check the wires, chip select and supply")
    faults = frame & (SCV | SCG | OC)
    if frame & RESERVED or bool(frame & FAULT) != bool(faults):
        raise InvalidData(f"no MAX31855 sends the frame {data.hex(' ')}: check MISO, the clock and the ground wire")
    if faults:
        raise SensorFailure(_explanation(faults))
    hot_c, cold_c = _signed(frame >> 18, 14) * HOT_LSB_C, _signed(frame >> 4 & 0xFFF, 12) * COLD_LSB_C
    if not COLD_LOW_C <= cold_c <= COLD_HIGH_C:
        raise InvalidData(f"a cold junction of {cold_c} °C is outside what the part bears: check MISO and the ground")
    return temperature_c(kind, (hot_c - cold_c) * SLOPE_MV_PER_C[kind] + voltage_mv(kind, cold_c)), cold_c


def _explanation(faults: int) -> str:
    if faults & OC:
        return "the thermocouple is open: broken wire or loose terminal"
    return f"the thermocouple touches {'the supply' if faults & SCV else 'ground'}: check its insulation"


def _signed(bits: int, width: int) -> int:
    return bits - (1 << width) if bits >> (width - 1) else bits


def _channels(options: Options) -> tuple[Channel, ...]:
    low_c, high_c = RANGES_C[options.thermocouple]
    return (
        Channel("temperature", "Cel", low_c, high_c, digits=2, max_per_s=100.0),
        Channel("cold_junction", "Cel", COLD_LOW_C, COLD_HIGH_C, digits=2, max_per_s=2.0),
    )


SPEC = Spec(
    name="max31855",
    title="Maxim MAX31855 thermocouple converter",
    bus="spi",
    options=Options,
    open=Max31855,
    channels=_channels,
    claims=lambda _options: ("the chip select",),
    sample="fryer_oil: {driver: max31855, bus: fryer_probe, thermocouple: K, every: 1 s}",
    datasheet="Maxim, MAX31855, 19-5793 revision 5",
    wiring="3.3 V, with 100 nF at the part; SCK, SO (MISO) and CS, no MOSI. An ungrounded thermocouple: a grounded one "
    "shows as a short circuit. 10 nF across its terminals; extension wire of the same type.",
    overlay="dtparam=spi=on",
    accuracy="K: 2 °C from -20 to 700 °C, 4 °C beyond, and the thermocouple's own tolerance. The part takes the curve "
    "for a straight line, 2.3 °C too low at 180 °C; this driver puts that right.",
    conversion="Every 0.1 s, all by itself; nothing to wait for.",
    faults="Open thermocouple, or one that touches ground or supply: BadSensorFailure. Absent part, or MISO held low "
    "or high: BadNotConnected; so is a frame of zeros, which is also 0.00 °C at both ends. Bits that no part sends: "
    "BadDataEncodingInvalid.",
    undetected=("flip", "garbage"),
)
