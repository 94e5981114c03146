"""NAU7802: a load cell on I2C through a 24-bit converter.

Datasheet: Nuvoton "NAU7802", revision 1.7 (January 2012), sections 8 and 9. verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from drivers.decoding.weighing import Settling, channels, mass_kg, refuse_saturated, samples
from gateway.core.driver import I2CBus, Spec, option
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, SensorFailure
from gateway.core.reading import Sample

ADDRESS = 0x2A
PU_CTRL, CTRL1, CTRL2, ADCO_B2, ADC, PGA_PWR = 0x00, 0x01, 0x02, 0x12, 0x15, 0x1C
RR, PUD, PUA, PUR, CS, CR, AVDDS = (1 << bit for bit in (0, 1, 2, 3, 4, 5, 7))
VLDO_3V0 = 0b101 << 3
CRS_10_SPS = 0b000 << 4
CALS, CAL_ERR = 1 << 2, 1 << 3
REG_CHPS_OFF = 0x30  # the datasheet's value for this register
PGA_CAP_EN = 1 << 7
RESET_S, ANALOGUE_S = 0.01, 0.6
POLL_S, POLLS = 0.02, 12
CALIBRATION_POLLS = 60
SETTLING_S = 0.6  # six conversions, until the filter shows the load and not what it was shorted to
LOWEST, HIGHEST = -(1 << 23), (1 << 23) - 1


@dataclass(frozen=True, slots=True)
class Options:
    """How the load cell's counts become kilograms."""

    tare: int = option("counts of the empty platform", low=LOWEST, high=HIGHEST)
    counts_per_kg: float = option("counts that one kilogram adds; below 0 when the cell hangs the other way round")
    capacity_kg: float = option("what the cell can bear; above it a weight is uncertain", unit="kg", low=0)
    gain: Literal[1, 2, 4, 8, 16, 32, 64, 128] = option("of the amplifier", default=128)
    still_readings: int = option("readings that must agree before the load stands still", low=2, high=20, default=3)
    still_within_g: float = option("how far apart they may lie", unit="g", low=0, default=10.0)
    unit_weight_g: float = option("what one piece weighs, to count pieces; 0: no count", unit="g", low=0, default=0.0)

    def __post_init__(self) -> None:
        if not self.counts_per_kg:
            raise ValueError("counts_per_kg is 0: put a known weight on and divide the counts it adds by its kilograms")


class Nau7802:
    """One converter with a load cell on its first input. It is set up again whenever it has lost its settings."""

    def __init__(self, bus: I2CBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._options = options
        self._wanted = settings(options)
        self._sleep = sleep
        self._settling = Settling(options.still_readings, options.still_within_g / 1000)

    def read(self) -> Sequence[Sample]:
        """The weight of a conversion that ended in the call. Blocks 0.1 s, the first time up to 2.7 s.

        Raises DeviceError.
        """
        try:
            raw = self._convert()
        except DeviceError:
            self._settling.forget()
            raise
        weight_kg = mass_kg(raw, self._options.tare, self._options.counts_per_kg)
        return samples(weight_kg, self._settling.is_still(weight_kg), self._options.unit_weight_g)

    def _convert(self) -> int:
        if not has(self._read(PU_CTRL, 3), self._wanted):
            self._set_up()
        self._read(ADCO_B2, 3)  # what has waited there is of no known age
        for _ in range(POLLS):
            self._sleep(POLL_S)
            registers = self._read(PU_CTRL, 3)
            if not has(registers, self._wanted):
                raise InvalidData(
                    f"the settings read {registers.hex(' ')} instead of {self._wanted.hex(' ')}: "
                    "the part lost power or the bus is disturbed; check supply and SDA/SCL"
                )
            if registers[0] & CR:
                return decode(self._read(ADCO_B2, 3))
        raise DeviceTimeout(f"no conversion within {POLLS * POLL_S:.2f} s: power the part off and on; replace it")

    def _set_up(self) -> None:
        self._write(PU_CTRL, RR)
        self._write(PU_CTRL, PUD)
        self._sleep(RESET_S)
        self._write(PU_CTRL, PUD | PUA | AVDDS)
        self._write(CTRL1, self._wanted[1])
        self._write(CTRL2, self._wanted[2])
        self._write(ADC, REG_CHPS_OFF)
        self._write(PGA_PWR, PGA_CAP_EN)
        self._sleep(ANALOGUE_S)
        self._calibrate()
        self._write(PU_CTRL, PUD | PUA | AVDDS | CS)
        self._sleep(SETTLING_S)

    def _calibrate(self) -> None:
        """The internal offset calibration, with the input shorted inside the part."""
        self._write(CTRL2, self._wanted[2] | CALS)
        for _ in range(CALIBRATION_POLLS):
            self._sleep(POLL_S)
            control = self._read(CTRL2, 1)[0]
            if control & CALS:
                continue
            if control & CAL_ERR:
                raise SensorFailure("the part can't calibrate itself: check its supply and the load cell's wires")
            return
        raise DeviceTimeout("the part's calibration does not end: power it off and on; replace it")

    def _write(self, register: int, value: int) -> None:
        self._bus.transfer(ADDRESS, bytes([register, value]))

    def _read(self, register: int, length: int) -> bytes:
        return self._bus.transfer(ADDRESS, bytes([register]), length)


def settings(options: Options) -> bytes:
    """PU_CTRL, CTRL1 and CTRL2 of a part that is ready to convert."""
    return bytes([PUD | PUA | PUR | CS | AVDDS, VLDO_3V0 | options.gain.bit_length() - 1, CRS_10_SPS])


def has(registers: bytes, wanted: bytes) -> bool:
    """Whether the three registers read as they should; the ready flag may be either."""
    return bytes([registers[0] & ~CR]) + registers[1:] == wanted


def decode(data: bytes) -> int:
    """Counts of a 24-bit result. Raises InvalidData at the ends of the converter's range."""
    raw = int.from_bytes(data, "big", signed=True)
    refuse_saturated(raw, LOWEST, HIGHEST)
    return raw


SPEC = Spec(
    name="nau7802",
    title="Nuvoton NAU7802 load cell converter",
    bus="i2c",
    options=Options,
    open=Nau7802,
    channels=lambda options: channels(options.capacity_kg, options.unit_weight_g),
    claims=lambda _options: (f"address 0x{ADDRESS:02x}",),
    sample="flour_bin: {driver: nau7802, bus: sensors, every: 1 s, tare: 84210, counts_per_kg: 21500.0, "
    "capacity: 50 kg, unit_weight: 25 g}",
    datasheet="Nuvoton, NAU7802, revision 1.7",
    deadline_s=4.0,
    min_every_s=0.2,
    wiring="3.3 V; SDA and SCL with 4.7 kohm pull-ups. The load cell: E+ to AVDD, E- to ground, S+ and S- to the first "
    "input; its cable shielded, the shield to ground at the converter. One part a bus: its address is fixed.",
    overlay="dtparam=i2c_arm=on",
    accuracy="The load cell's, typically 0.02 to 0.05 % of capacity, after taring and scaling with a known weight. "
    "Warmth moves the zero: tare again when the room has changed by 10 °C.",
    conversion="0.1 s, ten times a second; after power-on 1.7 s with the part's own calibration "
    "and six conversions that are thrown away.",
    faults="Unplugged: BadNotConnected. Settings that do not read back: BadDataEncodingInvalid. Overload, or a wire of "
    "the cell that is off: the converter's limit, BadDataEncodingInvalid. A calibration that fails: BadSensorFailure. "
    "`count` is UncertainSensorNotAccurate while the load moves or lies between two whole numbers.",
    undetected=("flip",),
)
