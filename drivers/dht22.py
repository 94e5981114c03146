"""DHT22 (AM2302): temperature and humidity on a wire of its own, through adafruit-circuitpython-dht.

Datasheet: Aosong "AM2302 Product Manual", sections 2 and 7. verified: fake. For anything regulated use an SHT4x:
this part has a weak checksum and no more than one reading in two seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, DhtLine, DhtWires, Spec, option
from gateway.core.errors import InvalidData
from gateway.core.reading import Sample

LOWEST_C, HIGHEST_C = -40.0, 80.0
COLLECTING_PERIOD_S = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """Where the data wire is."""

    line: int = option("GPIO number of the data wire, e.g. GPIO4", low=0, high=53)


class Dht22:
    """One sensor. Nothing is remembered: a failed measurement is an error, never the value before it."""

    def __init__(self, wire: DhtLine) -> None:
        self._wire = wire

    def read(self) -> Sequence[Sample]:
        """Temperature and humidity, measured now. Blocks about 0.3 s. Raises DeviceError."""
        temperature_c, humidity_pct = check(*self._wire.measure())
        return (Sample("temperature", temperature_c), Sample("humidity", humidity_pct))


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


def _open(bus: DhtWires, options: Options) -> Dht22:
    return Dht22(bus.line(options.line))


SPEC = Spec(
    name="dht22",
    title="Aosong DHT22 (AM2302) temperature and humidity",
    bus="dht",
    options=Options,
    open=_open,
    channels=lambda _options: (
        Channel("temperature", "Cel", LOWEST_C, HIGHEST_C, digits=1),
        Channel("humidity", "%{RH}", 0, 100, digits=1),
    ),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="dry_store_air: {driver: dht22, bus: dry_store_wire, line: GPIO4, every: 5 s}",
    datasheet="Aosong, AM2302 Product Manual",
    process="field",
    deadline_s=3.0,
    min_every_s=COLLECTING_PERIOD_S,
    faults="Unplugged: BadNotConnected. A busy processor loses pulses: BadDataEncodingInvalid now and then is normal; "
    "the next poll tries again. It never repeats an old value.",
)
