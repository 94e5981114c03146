"""DHT22 (AM2302): temperature and humidity on a wire of its own.

Through the kernel's `dht11` driver (bus type `iio`), whose interrupts stamp the pulses, or where that can't be had
through adafruit-circuitpython-dht (bus type `dht`).
Datasheet: Aosong "AM2302 Product Manual", sections 2 and 7. verified: fake. For anything regulated use an SHT4x:
this part has a weak checksum and no more than one reading in two seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, DhtLine, DhtWires, IndustrialIo, Spec, option
from gateway.core.errors import InvalidData
from gateway.core.reading import Sample

LOWEST_C, HIGHEST_C = -40.0, 80.0
COLLECTING_PERIOD_S = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """Where the data wire is."""

    line: int = option(
        "GPIO number of the data wire, e.g. GPIO4; on `iio` the same as the overlay's gpiopin", low=0, high=53
    )
    iio: str = option("on `iio`: name of the kernel's device, or its label where there are several", default="dht11")


class KernelWire:
    """A sensor behind the kernel's driver (`DhtLine`). The kernel repeats a value for two seconds, never an old one."""

    def __init__(self, bus: IndustrialIo, device: str) -> None:
        self._bus = bus
        self._device = device

    def measure(self) -> tuple[float, float]:
        """(°C, %RH) of one frame. Blocks up to 1.1 s. Raises DeviceError."""
        return (
            decode(self._bus.read(self._device, "in_temp_input")),
            decode(self._bus.read(self._device, "in_humidityrelative_input")),
        )


class Dht22:
    """One sensor. Nothing is remembered: a failed measurement is an error, never the value before it."""

    def __init__(self, wire: DhtLine) -> None:
        self._wire = wire

    def read(self) -> Sequence[Sample]:
        """Temperature and humidity, measured now. Blocks about 0.3 s, at worst 1.1 s. Raises DeviceError."""
        temperature_c, humidity_pct = check(*self._wire.measure())
        return (Sample("temperature", temperature_c), Sample("humidity", humidity_pct))


def decode(text: str) -> float:
    """The kernel's thousandths of a degree or of a percent. Raises InvalidData for another text."""
    try:
        return int(text) / 1000
    except ValueError:
        raise InvalidData(f"the kernel wrote {text.strip()[:40]!r} instead of thousandths: check its driver") from None


def check(temperature_c: float, humidity_pct: float) -> tuple[float, float]:
    """The two values, if the part can measure them. An additive checksum lets some disturbed frames through."""
    if not LOWEST_C <= temperature_c <= HIGHEST_C:
        raise InvalidData(
            f"{temperature_c} °C is outside what a DHT22 can measure: the frame was disturbed; check the cable"
        )
    if not 0.0 <= humidity_pct <= 100.0:
        raise InvalidData(f"{humidity_pct} %RH is not possible: the frame was disturbed; check the cable")
    if temperature_c == humidity_pct == 0.0:
        raise InvalidData("0 °C and 0 %RH is an empty frame (its checksum fits): check the cable and the supply")
    return temperature_c, humidity_pct


def _open(bus: IndustrialIo | DhtWires, options: Options) -> Dht22:
    return Dht22(bus.line(options.line) if hasattr(bus, "line") else KernelWire(bus, options.iio))


SPEC = Spec(
    name="dht22",
    title="Aosong DHT22 (AM2302) temperature and humidity",
    bus="iio",
    also_on=("dht",),
    options=Options,
    open=_open,
    channels=lambda _options: (
        Channel("temperature", "Cel", LOWEST_C, HIGHEST_C, digits=1),
        Channel("humidity", "%{RH}", 0, 100, digits=1),
    ),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="dry_store_air: {driver: dht22, bus: dry_store_wire, line: GPIO4, every: 5 s}",
    datasheet="Aosong, AM2302 Product Manual",
    deadline_s=3.0,
    min_every_s=COLLECTING_PERIOD_S,
    wiring="3.3 V on pin 1, data on pin 2 with 4.7 to 10 kohm to 3.3 V, ground on pin 4; at most 20 m of cable.",
    overlay="dtoverlay=dht11,gpiopin=4",
    accuracy="0.5 °C, 2 %RH (5 %RH at the ends), drifting 0.5 %RH a year. Resolution 0.1.",
    conversion="0.3 s, and no more than one in 2 s.",
    faults="Unplugged: BadTimeout on `iio`, BadNotConnected on `dht`. A disturbed frame: BadCommunicationError on "
    "`iio`, BadDataEncodingInvalid on `dht`, where a busy processor also loses pulses; now and then is "
    "normal, the next poll tries again. It never repeats an old value.",
)
