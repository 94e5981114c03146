"""VEML7700: ambient light on I2C, from a dim store room to sunlight.

Datasheet: Vishay "VEML7700", document 84286, revision 1.8; application note "Designing the VEML7700 Into an
Application", document 84323. verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, I2CBus, Spec
from gateway.core.errors import InvalidData
from gateway.core.reading import Sample

ADDRESS = 0x10
ALS_CONF, ALS = 0x00, 0x04
FINEST_LX_PER_COUNT, FINEST_GAIN, FINEST_MS = 0.0042, 2.0, 800
FEW_COUNTS, MANY_COUNTS, SATURATED = 100, 10_000, 0xFFFF
SETTLING = 2.2  # integrations after a change: the one under way is lost, and the oscillator may be 10 % slow
CORRECTED_ABOVE_LX = 53.76  # 100 counts at gain 1/8 and 100 ms, where the application note begins to correct
DISAGREEMENT = 0.25  # of two reads in a row; more is a disturbance


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to choose: the address is fixed."""


@dataclass(frozen=True, slots=True)
class Range:
    """A gain and an integration time with their codes in ALS_CONF."""

    gain: float
    gain_code: int
    integration_ms: int
    integration_code: int

    @property
    def word(self) -> int:
        """ALS_CONF_0: powered on, no interrupt."""
        return self.gain_code << 11 | self.integration_code << 6

    @property
    def lx_per_count(self) -> float:
        """The resolution."""
        return FINEST_LX_PER_COUNT * FINEST_GAIN / self.gain * FINEST_MS / self.integration_ms


RANGES = (  # the most sensitive first
    Range(2, 0b01, 100, 0b0000),
    Range(1, 0b00, 100, 0b0000),
    Range(1 / 4, 0b11, 100, 0b0000),
    Range(1 / 8, 0b10, 100, 0b0000),
    Range(1 / 8, 0b10, 25, 0b1100),
)
FIRST = RANGES[3]


class Veml7700:
    """One sensor, integrating all the time; its range is kept in the part and follows the light."""

    def __init__(self, bus: I2CBus, _options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """Illuminance of the last tenth of a second. Blocks 2 ms, 0.5 s when the range changes. Raises DeviceError."""
        found = self._configured() or self._switch(FIRST)
        counts = self._counts()
        better = choose(counts, found)
        if better is not found:
            counts = self._settled(better)
        if self._configured() is not better:
            raise InvalidData("its settings read back wrong: it lost power or the bus is disturbed; check the supply")
        return (Sample("light", decode(counts, better)),)

    def _settled(self, better: Range) -> int:
        self._switch(better)
        return self._counts()

    def _configured(self) -> Range | None:
        """The range in which the part runs; None when it is shut down, as after power-on."""
        word = self._word(ALS_CONF)
        return next((each for each in RANGES if each.word == word), None)

    def _switch(self, wanted: Range) -> Range:
        self._bus.transfer(ADDRESS, bytes((ALS_CONF,)) + wanted.word.to_bytes(2, "little"))
        self._sleep(SETTLING * wanted.integration_ms / 1000)
        return wanted

    def _counts(self) -> int:
        first, second = self._word(ALS), self._word(ALS)
        if abs(first - second) > DISAGREEMENT * max(first, second) + 3:
            raise InvalidData(f"two reads in a row give {first} and {second} counts: check cable length and pull-ups")
        return second

    def _word(self, register: int) -> int:
        return int.from_bytes(self._bus.transfer(ADDRESS, bytes((register,)), 2), "little")


def choose(counts: int, now: Range) -> Range:
    """The range for the light that gave these counts: the present one while it is good, else the finest that fits."""
    if FEW_COUNTS <= counts <= MANY_COUNTS:
        return now
    if counts == SATURATED:
        return RANGES[-1]
    fitting = (each for each in RANGES if counts * now.lx_per_count <= MANY_COUNTS * each.lx_per_count)
    return next(fitting, RANGES[-1])


def decode(counts: int, measured_in: Range) -> float:
    """Lux, corrected for the part's non-linearity. Raises InvalidData when it is saturated."""
    if counts == SATURATED:
        raise InvalidData("all ones: more light than the part can measure, or a floating bus; check SDA/SCL")
    lx = counts * measured_in.lx_per_count
    if lx <= CORRECTED_ABOVE_LX:
        return lx
    return (((6.0135e-13 * lx - 9.3924e-9) * lx + 8.1488e-5) * lx + 1.0023) * lx


SPEC = Spec(
    name="veml7700",
    title="Vishay VEML7700 ambient light",
    bus="i2c",
    options=Options,
    open=Veml7700,
    channels=lambda _options: (Channel("light", "lx", 0, 120_000, digits=1),),
    claims=lambda _options: (f"address 0x{ADDRESS:02x}",),
    sample="store_light: {driver: veml7700, bus: sensors, every: 5 s}",
    datasheet="Vishay, VEML7700, document 84286 revision 1.8",
    min_every_s=0.5,
    wiring="VDD 3.3 V of the Pi, 100 nF at the part. SDA and SCL with one pull-up of 2.2 to 10 kΩ each per bus. Its "
    "address is fixed: one per bus. A cover glass dims it.",
    overlay="dtparam=i2c_arm=on",
    accuracy="±10 %; 0.034 lx resolution in the dark, 2.2 lx in sunlight.",
    conversion="100 ms (25 ms in sunlight) all the time; a change of the range takes 55 to 220 ms more, once or twice.",
    faults="Unplugged or without power: BadNotConnected. The part has no checksum: its settings are read back and its "
    "result is read twice, so a disturbed cable or a reset is BadDataEncodingInvalid, as is light beyond the scale. A "
    "disturbance that changes a low bit stays unseen within the limits. SDA or SCL held low: BadTimeout.",
    undetected=("flip",),
)
