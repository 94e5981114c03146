"""DS18B20: a temperature probe on the kernel's 1-Wire bus.

Datasheet: Maxim (Analog Devices) 19-7487 "DS18B20", revision 6, July 2019, "Operation - Measuring Temperature".
The text is that of `w1_therm` (kernel Documentation/w1/slaves/w1_therm.rst). verified: fake.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, OneWire, Spec, option
from gateway.core.errors import InvalidData
from gateway.core.reading import Sample

POWER_ON_RESET_C = 85.0  # what the scratchpad holds until a conversion has finished
LOWEST_C, HIGHEST_C = -55.0, 125.0
PLAUSIBLE_STEP_C = 5.0
_IDENTIFIER = re.compile(r"28-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Options:
    """Which probe."""

    id: str = option("the probe's ROM code as the kernel writes it: 28- and 12 hex digits")

    def __post_init__(self) -> None:
        if not _IDENTIFIER.fullmatch(self.id):
            raise ValueError(
                f"{self.id!r} is no DS18B20: an id is 28- and 12 lower-case hex digits; "
                "find it with `ls /sys/bus/w1/devices`"
            )


class Ds18b20:
    """One probe. Remembers its last good value only to judge whether 85 °C can be true."""

    def __init__(self, bus: OneWire, options: Options) -> None:
        self._bus = bus
        self._id = options.id
        self._last_c: float | None = None

    def read(self) -> Sequence[Sample]:
        """The temperature, converted now. Blocks up to 0.8 s. Raises DeviceError."""
        temperature_c = decode(self._bus.read_temperature(self._id), self._last_c)
        self._last_c = temperature_c
        return (Sample("temperature", temperature_c),)


def decode(text: str, last_c: float | None) -> float:
    """°C of the kernel's milli-degrees. Raises InvalidData for no text, and for 85 °C unless `last_c` was near."""
    if not text.strip():
        raise InvalidData(
            "the kernel had no temperature: CRC error on the wire; check cable length and the 4.7 kohm pull-up"
        )
    try:
        temperature_c = int(text) / 1000
    except ValueError:
        raise InvalidData(f"the kernel wrote {text.strip()[:40]!r} instead of milli-degrees") from None
    if not LOWEST_C <= temperature_c <= HIGHEST_C:
        raise InvalidData(
            f"{temperature_c} °C is outside what the probe can measure: replace the probe or check its cable"
        )
    if temperature_c == POWER_ON_RESET_C and (last_c is None or abs(temperature_c - last_c) > PLAUSIBLE_STEP_C):
        raise InvalidData("85 °C is the probe's value after power-on: its supply dropped out; check VDD and GND")
    return temperature_c


SPEC = Spec(
    name="ds18b20",
    title="Maxim DS18B20 temperature probe",
    bus="onewire",
    options=Options,
    open=Ds18b20,
    channels=lambda _options: (Channel("temperature", "Cel", LOWEST_C, HIGHEST_C, digits=4),),
    claims=lambda options: (f"id {options.id}",),
    sample="walkin_core: {driver: ds18b20, bus: probes, id: 28-00000a1b2c3d, every: 5 s}",
    datasheet="Maxim, DS18B20, 19-7487 revision 6",
    deadline_s=2.0,
    min_every_s=1.0,
    wiring="3.3 V (red), ground (black) and data (yellow) with one 4.7 kohm pull-up to 3.3 V for the bus; feed the "
    "probes, don't leave them to the data wire. Up to ten probes in a line, not a star, of 20 m together.",
    overlay="dtoverlay=w1-gpio,gpiopin=4",
    accuracy="0.5 °C from -10 to 85 °C, 2 °C beyond. Resolution 0.0625 °C.",
    conversion="0.75 s; all probes of the bus convert together where the kernel has therm_bulk_read, one after another "
    "where it has not.",
    faults="Unplugged: the kernel removes the probe's directory, BadNotConnected. Disturbed cable: the kernel gives no "
    "text, BadDataEncodingInvalid. Brown-out: 85 °C, refused unless the last value was within 5 °C of it.",
)
