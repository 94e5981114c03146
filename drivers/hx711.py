"""HX711: a load cell through the kernel's own driver. For new sites take an NAU7802.

Datasheet: Avia Semiconductor "HX711", 24-Bit Analog-to-Digital Converter for Weigh Scales. The text is that of the
kernel's `hx711` (drivers/iio/adc/hx711.c). verified: fake.
Why not from user space: a clock pulse longer than 60 us switches the part off in the middle of a value, and no
scheduler promises a program less; the kernel clocks with interrupts off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.decoding.weighing import Settling, channels, mass_kg, refuse_saturated, samples
from gateway.core.driver import IndustrialIo, Spec, option
from gateway.core.errors import DeviceError, InvalidData, NotConnected
from gateway.core.reading import Sample

ATTRIBUTE = "in_voltage0_raw"  # channel A, gain 128
MIDDLE = 0x800000  # the kernel makes two's complement into offset binary
LOWEST, HIGHEST = -(1 << 23), (1 << 23) - 1


@dataclass(frozen=True, slots=True)
class Options:
    """Which converter, and how the load cell's counts become kilograms."""

    tare: int = option("counts of the empty platform: the kernel's raw value less 8388608", low=LOWEST, high=HIGHEST)
    counts_per_kg: float = option("counts that one kilogram adds; below 0 when the cell hangs the other way round")
    capacity_kg: float = option("what the cell can bear; above it a weight is uncertain", unit="kg", low=0)
    iio: str = option("name of the kernel's device, or its label where there are several", default="hx711")
    still_readings: int = option("readings that must agree before the load stands still", low=2, high=20, default=3)
    still_within_g: float = option("how far apart they may lie", unit="g", low=0, default=20.0)
    unit_weight_g: float = option("what one piece weighs, to count pieces; 0: no count", unit="g", low=0, default=0.0)

    def __post_init__(self) -> None:
        if not self.counts_per_kg:
            raise ValueError("counts_per_kg is 0: put a known weight on and divide the counts it adds by its kilograms")


class Hx711:
    """One converter, read by the kernel."""

    def __init__(self, bus: IndustrialIo, options: Options) -> None:
        self._bus = bus
        self._options = options
        self._settling = Settling(options.still_readings, options.still_within_g / 1000)

    def read(self) -> Sequence[Sample]:
        """The weight of a conversion made in the call. Blocks 0.1 s, without a part up to 2 s. Raises DeviceError."""
        try:
            raw = decode(self._bus.read(self._options.iio, ATTRIBUTE))
        except DeviceError:
            self._settling.forget()
            raise
        weight_kg = mass_kg(raw, self._options.tare, self._options.counts_per_kg)
        return samples(weight_kg, self._settling.is_still(weight_kg), self._options.unit_weight_g)


def decode(text: str) -> int:
    """Counts of the kernel's raw value.

    Raises InvalidData for what is no value and at the ends of the range, NotConnected for a data wire that stood still.
    """
    if not text.strip().isascii() or not text.strip().isdecimal() or int(text) > 0xFFFFFF:
        raise InvalidData(f"the kernel wrote {text.strip()[:40]!r} instead of a 24-bit number: check its driver")
    raw = int(text) - MIDDLE
    if raw in {0, -1}:  # all bits low, all bits high: to the bit, no load cell does that
        raise NotConnected("the data wire stood still during a value: check DOUT, SCK and the supply")
    refuse_saturated(raw, LOWEST, HIGHEST)
    return raw


SPEC = Spec(
    name="hx711",
    title="Avia HX711 load cell converter, through the kernel",
    bus="iio",
    options=Options,
    open=Hx711,
    channels=lambda options: channels(options.capacity_kg, options.unit_weight_g),
    claims=lambda options: (f"device {options.iio}",),
    sample="rice_bin: {driver: hx711, bus: kernel_io, every: 1 s, tare: -31200, counts_per_kg: 10400.0, "
    "capacity: 20 kg, unit_weight: 500 g}",
    datasheet="Avia Semiconductor, HX711",
    deadline_s=3.0,
    min_every_s=0.2,
    wiring="3.3 V on VCC, so that DOUT fits the Pi; E+ and E- to the load cell's supply, A+ and A- to its signal. Keep "
    "DOUT and SCK below 20 cm. Recommended instead: an NAU7802, whose bus can't be disturbed by a busy processor.",
    overlay='# Raspberry Pi OS brings no overlay for it: compile one with a node of compatible "avia,hx711",\n'
    "# its sck-gpios, dout-gpios and avdd-supply, and a label where there are several; then\ndtoverlay=my-hx711",
    accuracy="The load cell's, after taring and scaling with a known weight; noise about 50 counts.",
    conversion="0.1 s (10 Hz) or 0.0125 s (80 Hz, RATE pin high), waited for by the kernel.",
    faults="Silent part: the kernel's EIO after 1 to 2 s, BadCommunicationError. Data wire that stands still: "
    "BadNotConnected. Overload or a wire of the cell off: the converter's limit, BadDataEncodingInvalid. The part has "
    "no checksum: a disturbed value can be any weight within the capacity, so use `stable` with it.",
    undetected=("flip", "garbage"),
)
