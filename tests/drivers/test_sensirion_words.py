"""Sensirion's parts and the BH1750: what is written, when, and which word of an answer is said to be damaged."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from drivers.bh1750 import Bh1750
from drivers.bh1750 import Options as Bh1750Options
from drivers.scd41 import Options as Scd41Options
from drivers.scd41 import Scd41
from drivers.scd41 import decode as scd41
from drivers.sen66 import NAMES, Sen66
from drivers.sen66 import Options as Sen66Options
from drivers.sen66 import decode as sen66
from drivers.sgp41 import Options as Sgp41Options
from drivers.sgp41 import Sgp41
from drivers.sgp41 import decode as sgp41
from drivers.sht3x import Options as Sht3xOptions
from drivers.sht3x import Sht3x
from drivers.sht3x import decode as sht3x
from drivers.sht4x import decode as sht4x
from drivers.sps30 import Options as Sps30Options
from drivers.sps30 import Sps30
from drivers.sps30 import decode as sps30
from fake_hw.parts.crc import sensirion_words
from gateway.core.errors import DeviceError, InvalidData
from gateway.core.quality import Reason
from gateway.core.reading import Sample

HEALTHY = sensirion_words(0, 0)
TEN_FLOATS = tuple(f"value {number}" for number in range(1, 11) for _ in range(2))
Step = tuple[int, bytes, int] | float


class Script:
    """A bus that answers what it was given; it and the sleeps in between are written down."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.steps: list[Step] = []

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        self.steps.append((address, write, read))
        return self._answers.pop(0) if read else b""


def asked(address: int, command: bytes, seconds: float, read: int) -> list[Step]:
    """A command, the wait that the datasheet demands, and the fetch."""
    return [(address, command, 0), seconds, (address, b"", read)]


@pytest.mark.parametrize(
    ("decode", "names"),
    [
        (sht3x, ("temperature", "humidity")),
        (sht4x, ("temperature", "humidity")),
        (scd41, ("CO2", "temperature", "humidity")),
        (sgp41, ("VOC", "NOx")),
        (lambda data: sen66(data, HEALTHY), NAMES),
        (lambda data: sps30(data, HEALTHY), TEN_FLOATS),
        (lambda data: sen66(sensirion_words(*[1] * 9), data), ("status", "status")),
        (lambda data: sps30(sensirion_words(*[1] * 20), data), ("status", "status")),
    ],
)
def test_a_damaged_word_is_named(decode: Callable[[bytes], Any], names: Sequence[str]) -> None:
    """Whoever looks for the cause is told which quantity's word was hit, and that one only."""
    for place, name in enumerate(names):
        frame = bytearray(sensirion_words(*[1] * len(names)))
        frame[3 * place + 2] ^= 1
        with pytest.raises(InvalidData, match=f"^the {name} word [0-9a-f ]+ fails its CRC: check cable length"):
            decode(bytes(frame))


@pytest.mark.parametrize("sensor", [Scd41, Sen66, Sps30])
def test_a_damaged_ready_flag_is_named(sensor: Any) -> None:
    """The first answer of a read is no quantity, and the error says so."""
    options = {Scd41: Scd41Options(), Sen66: Sen66Options(), Sps30: Sps30Options()}[sensor]
    bus = Script(b"\x00\x01\x00")
    with pytest.raises(InvalidData, match=r"^the data ready word"):
        sensor(bus, options, bus.steps.append).read()


def test_sht3x_orders_waits_and_fetches() -> None:
    """A single shot without clock stretching, 17 ms, and a fetch that writes nothing."""
    bus = Script(sensirion_words(1, 2))
    Sht3x(bus, Sht3xOptions(0x45), bus.steps.append).read()
    assert bus.steps == asked(0x45, b"\x24\x00", 0.017, 6)


def test_bh1750_orders_waits_and_fetches_twice() -> None:
    """One measurement, 180 ms, and its result two times with nothing written."""
    bus = Script(b"\x01\x02", b"\x01\x02")
    Bh1750(bus, Bh1750Options(0x5C), bus.steps.append).read()
    assert bus.steps == [*asked(0x5C, b"\x20", 0.180, 2), (0x5C, b"", 2)]


def test_scd41_is_told_the_pressure_once() -> None:
    """Before the first value the site's pressure is written, and not again while the part keeps it."""
    ready, value = sensirion_words(0x8006), sensirion_words(500, 2, 3)
    bus = Script(ready, value, ready, value)
    sensor = Scd41(bus, Scd41Options(870.4), bus.steps.append)
    sensor.read()
    told: list[Step] = [(0x62, b"\xe0\x00" + sensirion_words(870), 0), 0.002]
    first = [*asked(0x62, b"\xe4\xb8", 0.002, 3), *told, *asked(0x62, b"\xec\x05", 0.002, 9)]
    assert bus.steps == first
    bus.steps.clear()
    sensor.read()
    assert bus.steps == [*asked(0x62, b"\xe4\xb8", 0.002, 3), *asked(0x62, b"\xec\x05", 0.002, 9)]


@pytest.mark.parametrize(("flags", "ready"), [(0x0001, True), (0x0400, True), (0x8000, False), (0x0800, False)])
def test_scd41_is_ready_by_its_eleven_low_bits(flags: int, ready: bool) -> None:
    """The datasheet: none of the 11 least significant bits set means no new value."""
    bus = Script(sensirion_words(flags), sensirion_words(500, 2, 3))
    sensor = Scd41(bus, Scd41Options(), bus.steps.append)
    if ready:
        assert len(sensor.read()) == 3
        return
    with pytest.raises(DeviceError, match="no new measurement"):
        sensor.read()
    assert bus.steps[3:5] == [(0x62, b"\x21\xb1", 0), 0.002]


@pytest.mark.parametrize(
    ("sensor", "address", "wait_s", "values_length"), [(Sen66, 0x6B, 0.021, 27), (Sps30, 0x69, 0.002, 60)]
)
def test_particle_sensors_ask_flag_values_and_status(
    sensor: Any, address: int, wait_s: float, values_length: int
) -> None:
    """Each question with its wait, each fetch with nothing written; one that is not ready is started."""
    options = Sen66Options() if sensor is Sen66 else Sps30Options()
    bus = Script(sensirion_words(1), sensirion_words(*[1] * (values_length // 3)), HEALTHY)
    sensor(bus, options, bus.steps.append).read()
    flag = asked(address, b"\x02\x02", wait_s, 3)
    assert bus.steps == [
        *flag,
        *asked(address, b"\x03\x00", wait_s, values_length),
        *asked(address, b"\xd2\x06", wait_s, 6),  # read, and not cleared
    ]
    bus = Script(sensirion_words(0))
    with pytest.raises(DeviceError, match="no new values"):
        sensor(bus, options, bus.steps.append).read()
    started: list[Step] = [(address, b"\x00\x21", 0), 0.050]
    if sensor is Sps30:
        started = [(address, b"\x00\x10" + sensirion_words(0x0300), 0), 0.020]
    assert bus.steps == [*flag, *started]


@pytest.mark.parametrize(
    ("polls_s", "conditioned"), [((0.0, 4.7, 9.4), (False, True, True)), ((0.0, 4.8, 9.6), (False, True, False))]
)
def test_sgp41_conditions_while_the_next_poll_still_comes_in_time(
    polls_s: Sequence[float], conditioned: Sequence[bool]
) -> None:
    """The first poll only learns the pace; conditioning ends before 9.6 s: a poll whose next is later measures."""
    bus = Script(*(sensirion_words(*[30000] * (1 if each else 2)) for each in conditioned))
    clock = iter(polls_s)
    options = Sgp41Options(humidity_pct=80.0, temperature_c=130.0)
    sensor = Sgp41(bus, options, bus.steps.append, lambda: next(clock))
    nothing_yet = [Sample(name, 0.0, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE) for name in ("voc_index", "nox_index")]
    expected: list[Step] = []
    for each in conditioned:
        assert list(sensor.read()) == nothing_yet
        command = b"\x26\x12" if each else b"\x26\x19"
        expected += asked(0x59, command + sensirion_words(52428, 65535), 0.051, 3 if each else 6)
    assert bus.steps == expected


def test_sgp41_feeds_a_late_measurement_for_ten_seconds_at_most() -> None:
    """One measurement may stand for the seconds since the last, and for no more than ten of them."""
    bus = Script(*[sensirion_words(30000, 15000)] * 3)
    clock = iter((0.0, 20.0, 27.0))
    sensor = Sgp41(bus, Sgp41Options(), bus.steps.append, lambda: next(clock))
    fed = [(sensor.read(), sensor._voc.fed, sensor._nox.fed)[1:] for _ in range(3)]
    assert fed == [(0, 0), (10, 10), (17, 17)]


def test_sgp41_names_the_damaged_word_while_it_is_conditioned() -> None:
    """The one word of conditioning is the VOC pixel's."""
    bus = Script(b"\x00\x01\x00")
    with pytest.raises(InvalidData, match=r"^the VOC word"):
        Sgp41(bus, Sgp41Options(), bus.steps.append, lambda: 0.0).read()


def test_sgp41_names_the_pixel_at_its_end() -> None:
    """The failure says which of the two it is."""
    for name, ticks in (("VOC", (0, 1)), ("NOx", (1, 65000))):
        with pytest.raises(DeviceError, match=f"^the {name} pixel gives (0|65000) ticks"):
            sgp41(sensirion_words(*ticks))
