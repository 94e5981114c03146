"""MAX31865: a platinum resistance thermometer (PT100, PT1000) on SPI.

Datasheet: Maxim (Analog Devices) 19-6478 "MAX31865", revision 3 (July 2015), register map and table 9.
Curve: IEC 60751 (Callendar-Van Dusen). verified: fake.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Channel, Spec, SpiBus, option
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.reading import Sample

Element = Literal["PT100", "PT1000"]

SPI_MODE = 1
SPEED_HZ = 1_000_000  # f_SCL is at most 5 MHz
REGISTERS = 8
WRITE = 0x80
CONFIGURATION, HIGH_THRESHOLD = 0x00, 0x03
VBIAS, ONE_SHOT, THREE_WIRE, FAULT_CYCLE, FAULT_CLEAR, FILTER_50_HZ = 0x80, 0x20, 0x10, 0x04, 0x02, 0x01
THRESHOLDS = b"\xff\xff\x00\x00"  # the ends of the range: an open or shorted element
BIAS_S = 0.011  # ten time constants of the input filter and 1 ms
FAULT_CYCLE_S = 0.001  # 0.55 ms
CONVERSION_S = 0.067  # at 50 Hz at most 66 ms
NOMINAL_OHM: Mapping[Element, float] = {"PT100": 100.0, "PT1000": 1000.0}
A, B, C = 3.9083e-3, -5.775e-7, -4.183e-12  # IEC 60751
LOWEST_C, HIGHEST_C = -200.0, 850.0
FAULTS = (
    (0x04, "a terminal is below ground or above the supply: check for a short to another circuit"),
    (0x80, "the element or its wire is open"),
    (0x40, "the element or its wire is short-circuited"),
    (0x20, "the reference side sees too much voltage: a wire of the element is open"),
    (0x10, "FORCE- is open or short-circuited: check the element's wires"),
    (0x08, "RTDIN- is open or short-circuited: check the element's wires"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """The element, how it is wired, and the resistor on the board."""

    wires: Literal[2, 3, 4] = option("wires of the element; the board's jumpers must say the same")
    element: Element = option("what it is", default="PT100")
    reference_ohm: float = option(
        "the board's reference resistor: 430 or 400 for PT100, 4300 or 4000 for PT1000",
        unit="Ohm",
        low=50,
        high=50_000,
        default=430.0,
    )
    mains: Literal[50, 60] = option("the mains frequency in Hz, whose hum is filtered out", default=60)

    def __post_init__(self) -> None:
        nominal = NOMINAL_OHM[self.element]
        if not 1.5 * nominal <= self.reference_ohm <= 10 * nominal:
            raise ValueError(
                f"a reference of {self.reference_ohm:g} ohm does not fit a {self.element}: "
                f"it is about {4.3 * nominal:g} ohm; read it off the board"
            )


class Max31865:
    """One part. It is biased only for a measurement, so that its current does not warm the element."""

    def __init__(self, bus: SpiBus, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus = bus
        self._options = options
        self._idle = (THREE_WIRE if options.wires == 3 else 0) | (FILTER_50_HZ if options.mains == 50 else 0)
        self._sleep = sleep

    def read(self) -> Sequence[Sample]:
        """The element's temperature, of a fault test and a conversion started now. Blocks 80 ms. Raises DeviceError."""
        active = VBIAS | self._idle
        self._write(HIGH_THRESHOLD, THRESHOLDS)
        self._configure(active | FAULT_CLEAR, BIAS_S)
        self._configure(active | FAULT_CYCLE, FAULT_CYCLE_S)
        self._configure(active | ONE_SHOT, CONVERSION_S)
        registers = self._bus.transfer(bytes(1 + REGISTERS), mode=SPI_MODE, speed_hz=SPEED_HZ)[1:]
        self._write(CONFIGURATION, bytes([self._idle]))
        resistance_ohm = decode(registers, active) * self._options.reference_ohm
        return (Sample("temperature", temperature_c(resistance_ohm / NOMINAL_OHM[self._options.element])),)

    def _configure(self, bits: int, settle_s: float) -> None:
        self._write(CONFIGURATION, bytes([bits]))
        self._sleep(settle_s)

    def _write(self, register: int, data: bytes) -> None:
        self._bus.transfer(bytes([WRITE | register]) + data, mode=SPI_MODE, speed_hz=SPEED_HZ)


def decode(registers: bytes, configuration: int) -> float:
    """Resistance in parts of the reference, 0 to 1, of all eight registers.

    The part has no checksum; its configuration and thresholds must read as written. Raises NotConnected,
    DeviceTimeout, InvalidData or SensorFailure.
    """
    if registers in {bytes(REGISTERS), b"\xff" * REGISTERS}:
        raise NotConnected(f"all registers read 0x{registers[0]:02x}: check MISO, chip select and the supply")
    if len(registers) != REGISTERS or registers[0] & ~ONE_SHOT != configuration or registers[3:7] != THRESHOLDS:
        raise InvalidData(
            f"the registers read {registers.hex(' ')}, not 0x{configuration:02x} and {THRESHOLDS.hex(' ')}: the part "
            "lost power or the wires are disturbed; check supply, ground and cable length"
        )
    if registers[0] & ONE_SHOT:
        raise DeviceTimeout("the MAX31865 is still converting after 67 ms: replace it")
    for bit, explanation in FAULTS:
        if registers[7] & bit:
            raise SensorFailure(f"{explanation} (fault register 0x{registers[7]:02x})")
    ratio = int.from_bytes(registers[1:3], "big")
    if registers[7] or ratio & 1:
        raise InvalidData(f"a fault is flagged and none is named ({registers.hex(' ')}): check MISO and the ground")
    return (ratio >> 1) / 32768


def temperature_c(relative: float) -> float:
    """°C of a resistance in parts of that at 0 °C, by Newton's steps: six from 0 °C reach either end to a nano-degree.

    Raises InvalidData outside -200 to 850 °C.
    """
    if not relative_resistance(LOWEST_C) - 1e-3 <= relative <= relative_resistance(HIGHEST_C) + 1e-3:
        raise InvalidData(
            f"a resistance of {relative:.4f} times that at 0 °C is no temperature of a platinum element: "
            "check its wires, `element` and `reference`"
        )
    celsius = 0.0
    for _ in range(6):
        slope = A + 2 * B * celsius + C * (4 * celsius - 300) * min(0.0, celsius) ** 2
        celsius -= (relative_resistance(celsius) - relative) / slope
    return celsius


def relative_resistance(celsius: float) -> float:
    """The resistance at a temperature, in parts of that at 0 °C (IEC 60751)."""
    return 1 + A * celsius + B * celsius**2 + C * (celsius - 100) * min(0.0, celsius) ** 3


def _channels(options: Options) -> tuple[Channel, ...]:
    full_scale = options.reference_ohm / NOMINAL_OHM[options.element]
    high_c = HIGHEST_C if full_scale > relative_resistance(HIGHEST_C) else temperature_c(full_scale)
    return (Channel("temperature", "Cel", LOWEST_C, high_c, digits=2, max_per_s=20.0),)


SPEC = Spec(
    name="max31865",
    title="Maxim MAX31865 resistance thermometer converter",
    bus="spi",
    options=Options,
    open=Max31865,
    channels=_channels,
    claims=lambda _options: ("the chip select",),
    sample="walkin_core_pt: {driver: max31865, bus: core_probe, wires: 4, element: PT100, reference: 430 Ohm, "
    "mains: 50, every: 2 s}",
    datasheet="Maxim, MAX31865, 19-6478 revision 3",
    wiring="3.3 V with 100 nF at the part; SCK, SDI (MOSI), SDO (MISO) and CS. Four wires cancel the cable, three do "
    "if they are alike, two add 2.6 °C for each ohm of cable with a PT100. Set the board's jumpers for the wires.",
    overlay="dtparam=spi=on",
    accuracy="0.5 °C over the range with the part alone; a class A element adds 0.15 °C at 0 °C. Resolution 0.03 °C.",
    conversion="80 ms: bias, fault test and one conversion, all started by each read; unbiased in between.",
    faults="Open or shorted element or wire, or a terminal beyond the supply: BadSensorFailure. "
    "Absent part, MISO held low or high: BadNotConnected. Settings that do not read back: BadDataEncodingInvalid.",
    undetected=("flip",),
)
