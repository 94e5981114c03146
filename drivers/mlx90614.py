"""MLX90614: the temperature of a surface without touching it, and that of the part, on SMBus.

Datasheet: Melexis 3901090614 "MLX90614 family", revision 13 (September 2019), sections 8.4 and 8.7. verified: fake.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import InvalidData, SensorFailure
from gateway.core.reading import Sample

RAM_TA, RAM_TOBJ1 = 0x06, 0x07
WORD_BYTES = 3  # low byte, high byte, PEC
ERROR_FLAG = 1 << 15
LSB_K = 0.02
ZERO_C_K = 273.15
PEC_POLYNOMIAL = 0x07  # x^8 + x^2 + x + 1
AMBIENT_LOW_C, AMBIENT_HIGH_C = -40.0, 125.0
OBJECT_LOW_C, OBJECT_HIGH_C = -70.0, 380.0


@dataclass(frozen=True, slots=True)
class Options:
    """Where the part is, and what it looks at."""

    address: int = option("I2C address; it can be changed in the part", low=0x01, high=0x7F, default=0x5A)
    emissivity: float = option(
        "of the surface: food, water, oil, paint 0.95; bright steel 0.1 to 0.3, so aim at something else",
        low=0.3,
        high=1.0,
        default=1.0,
    )


class Mlx90614:
    """One part with one field of view. It measures all the time, about ten times a second."""

    def __init__(self, bus: I2CBus, options: Options) -> None:
        self._bus = bus
        self._address = options.address
        self._emissivity = options.emissivity

    def read(self) -> Sequence[Sample]:
        """The surface and the part's own case, measured within the last 0.1 s. Blocks 2 ms. Raises DeviceError."""
        object_k, ambient_k = self._kelvin(RAM_TOBJ1), self._kelvin(RAM_TA)
        object_c, ambient_c = check(through_emissivity(object_k, ambient_k, self._emissivity), ambient_k)
        return (Sample("object", object_c), Sample("ambient", ambient_c))

    def _kelvin(self, command: int) -> float:
        return decode(self._bus.transfer(self._address, bytes([command]), WORD_BYTES), self._address, command)


def decode(data: bytes, address: int, command: int) -> float:
    """Kelvin of a word and its PEC, which covers the whole transfer. Raises InvalidData or SensorFailure."""
    sent = bytes([address << 1, command, address << 1 | 1])
    if len(data) != WORD_BYTES or pec(sent + data[:2]) != data[2]:
        raise InvalidData(f"the word {data.hex(' ')} fails its PEC: check cable length and pull-ups, at most 100 kHz")
    raw = int.from_bytes(data[:2], "little")
    if raw & ERROR_FLAG:
        raise SensorFailure(f"the part flags an error (0x{raw:04x}): its window or its supply is damaged; replace it")
    return raw * LSB_K


def pec(data: bytes) -> int:
    """The packet error code of SMBus."""
    remainder = 0
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder << 1) ^ PEC_POLYNOMIAL if remainder & 0x80 else remainder << 1
        remainder &= 0xFF
    return remainder


def through_emissivity(seen_k: float, ambient_k: float, emissivity: float) -> float:
    """Kelvin of a surface that radiates `emissivity` of what a black one does and mirrors its surroundings."""
    radiated = (seen_k**4 - (1 - emissivity) * ambient_k**4) / emissivity
    return float(max(0.0, radiated) ** 0.25)


def check(object_k: float, ambient_k: float) -> tuple[float, float]:
    """Both in °C. Raises InvalidData for what the part can't measure, such as the zeros before its first value."""
    object_c, ambient_c = object_k - ZERO_C_K, ambient_k - ZERO_C_K
    if not AMBIENT_LOW_C <= ambient_c <= AMBIENT_HIGH_C or not OBJECT_LOW_C - 50 <= object_c <= OBJECT_HIGH_C + 50:
        raise InvalidData(
            f"{object_c:.1f} °C seen from {ambient_c:.1f} °C is not what the part can measure: "
            "it has just been switched on, or the supply is bad"
        )
    return object_c, ambient_c


SPEC = Spec(
    name="mlx90614",
    title="Melexis MLX90614 infrared thermometer",
    bus="i2c",
    options=Options,
    open=Mlx90614,
    channels=lambda _options: (
        Channel("object", "Cel", OBJECT_LOW_C, OBJECT_HIGH_C, digits=2),
        Channel("ambient", "Cel", AMBIENT_LOW_C, AMBIENT_HIGH_C, digits=2),
    ),
    claims=lambda options: (f"address 0x{options.address:02x}",),
    sample="pass_plate: {driver: mlx90614, bus: sensors, address: 0x5A, emissivity: 0.95, every: 1 s}",
    datasheet="Melexis, MLX90614 family, revision 13",
    wiring="3 V types at 3.3 V; SDA and SCL with 4.7 kohm pull-ups, at most 100 kHz. Its field of view is a cone: 90 ° "
    "for the A types, so 20 cm of plate at 10 cm distance. Keep steam and grease off the window.",
    overlay="dtparam=i2c_arm=on",
    accuracy="0.5 °C from 0 to 50 °C, 1 to 4 °C beyond, of a black surface that fills the field of view. `emissivity` "
    "corrects for others, in this driver: leave the part's own register as it came, at 1. Below 0.3 no value is right.",
    conversion="0.1 s, all by itself; the first value comes 0.25 s after power-on.",
    faults="Unplugged: BadNotConnected. Disturbed cable: BadDataEncodingInvalid (each word has a PEC). The part's own "
    "error flag: BadSensorFailure. A greasy window shows nothing: compare with a probe now and then.",
)
