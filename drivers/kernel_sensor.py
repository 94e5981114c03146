"""Whatever the kernel already measures: one attribute of an hwmon or IIO device, such as the Pi's own temperature.

The text is that of the kernel's sysfs ABI: Documentation/hwmon/sysfs-interface.rst (milli-degrees, milli-percent,
millivolts …) and Documentation/ABI/testing/sysfs-bus-iio. verified: fake.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, IndustrialIo, Spec, option
from gateway.core.errors import InvalidData
from gateway.core.reading import Sample
from gateway.core.units import UNITS

_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Options:
    """Which attribute, and what its number means."""

    sensor: str = option("name of the kernel's device: see `cat /sys/class/hwmon/*/name /sys/bus/iio/devices/*/name`")
    attribute: str = option("the file that holds the number, e.g. temp1_input")
    channel: str = option("name of the quantity, e.g. temperature")
    unit: str = option("its unit as a UCUM code, e.g. Cel")
    low: float = option("the lowest value that can be true, in `unit`")
    high: float = option("the highest value that can be true, in `unit`")
    scale: float = option(
        "what one of the kernel's units is in `unit`: 0.001 for °C, %, V and A; 0.000001 for W and J; 1 for fans",
        default=0.001,
    )
    zero: float = option("what the kernel's 0 is in `unit`", default=0.0)

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unknown unit {self.unit!r}; known: {', '.join(UNITS)}")
        if not _ATTRIBUTE.fullmatch(self.attribute):
            raise ValueError(f"{self.attribute!r} is no attribute of a device: write a file name such as temp1_input")
        if not self.low < self.high:
            raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")


class KernelSensor:
    """One attribute, measured by the kernel while it is read."""

    def __init__(self, bus: IndustrialIo, options: Options) -> None:
        self._bus = bus
        self._options = options

    def read(self) -> Sequence[Sample]:
        """The attribute's value now. Blocks as long as the kernel's driver measures. Raises DeviceError."""
        options = self._options
        return (Sample(options.channel, decode(self._bus.read(options.sensor, options.attribute), options)),)


def decode(text: str, options: Options) -> float:
    """The number in the channel's unit. Raises InvalidData for no number, and for one that can't be true."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    value = number * options.scale + options.zero
    if not math.isfinite(value):
        raise InvalidData(f"{options.attribute} of {options.sensor} holds {text.strip()[:40]!r}, which is no number")
    if not options.low <= value <= options.high:
        raise InvalidData(
            f"{value:g} {options.unit} of {options.sensor} can't be true: check the part, and `scale` and `zero`"
        )
    return value


SPEC = Spec(
    name="kernel_sensor",
    title="Any sensor of the kernel's hwmon or IIO",
    bus="iio",
    options=Options,
    open=KernelSensor,
    channels=lambda options: (Channel(options.channel, options.unit, options.low, options.high, digits=3),),
    claims=lambda options: (f"attribute {options.sensor} {options.attribute}",),
    sample="pi: {driver: kernel_sensor, bus: kernel_io, every: 10 s, sensor: cpu_thermal, attribute: temp1_input, "
    "channel: temperature, unit: Cel, low: -40, high: 125}",
    datasheet="Linux, Documentation/hwmon/sysfs-interface.rst and Documentation/ABI/testing/sysfs-bus-iio",
    deadline_s=3.0,
    wiring="Whatever the device tree says; the Pi's own temperature needs none. A part that a kernel driver holds must "
    "not be read by another driver of ours on the same bus: both would talk to it.",
    overlay="# e.g. a BMP280 on I2C, read by the kernel:\ndtoverlay=i2c-sensor,bmp280",
    accuracy="The part's.",
    conversion="The part's; the kernel measures during the read, or gives its last value where its driver keeps one.",
    faults="No such device: BadNotConnected. What the kernel reports as EIO or ETIMEDOUT: BadCommunicationError or "
    "BadTimeout. A number outside `low` to `high`: BadDataEncodingInvalid. Whether the value is fresh is up to the "
    "kernel's driver.",
    undetected=("flip",),
)
