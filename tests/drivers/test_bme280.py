"""BME280: compensation, the part on the simulated wire, and two independent drivers beside ours."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bme280 import Bme280, Calibration, Options, decode, decode_calibration
from fake_hw.parts.bme280 import Trimming
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected
from tests.drivers.wire import Wire, values

# The worked example of Bosch's BMP280 data sheet (BST-BMP280-DS001, 3.12), whose temperature and pressure formulas are
# the same; the humidity words are of an ordinary part.
EXAMPLE = Calibration(
    (27504, 26435, -1000), (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000), (75, 354, 0, 337, 50, 30)
)


def burst(pressure: int = 415148, temperature: int = 519888, humidity: int = 30000, control: int = 0x24) -> bytes:
    """Registers 0xF2 to 0xFE."""
    data = (pressure << 4).to_bytes(3, "big") + (temperature << 4).to_bytes(3, "big") + humidity.to_bytes(2, "big")
    return bytes((1, 0, control, 0, 0)) + data


def test_the_data_sheets_example() -> None:
    """UT = 519888 and UP = 415148 are 25.08 °C and 1006.53 hPa."""
    temperature_c, _, pressure_hpa = decode(burst(), EXAMPLE)
    assert temperature_c == pytest.approx(25.08, abs=0.005)
    assert pressure_hpa == pytest.approx(1006.5327, abs=0.005)


def test_the_ends_are_cropped() -> None:
    """Wet and dry beyond the scale are 100 and 0 %RH, as the data sheet asks."""
    assert decode(burst(humidity=60_000), EXAMPLE)[1] == 100.0
    assert decode(burst(humidity=10_000), EXAMPLE)[1] == 0.0


@pytest.mark.parametrize(("t2", "h3"), [(26_735, 200), (-26_735, 7)])
def test_calibration_words_come_out_of_their_nibbles(t2: int, h3: int) -> None:
    """Signed and unsigned words, and the two that share a byte, with their highest bits set and not."""
    trim = Trimming(t=(40_000, t2, -t2), h=(75, -354, h3, -2001, -333, -30))
    registers = trim.registers()
    low, high = (bytes(registers[each] for each in places) for places in (range(0x88, 0xA2), range(0xE1, 0xE8)))
    assert decode_calibration(low, high) == Calibration(trim.t, trim.p, trim.h)


@pytest.mark.parametrize(
    ("trim", "blank"),
    [
        (Trimming(t=(0, 26_735, 50)), True),
        (Trimming(t=(0xFFFF, 26_735, 50)), True),
        (Trimming(p=(0, -10635, 3024, 6980, -4, -7, 9900, -10230, 4285)), True),
        (Trimming(p=(0xFFFF, -10635, 3024, 6980, -4, -7, 9900, -10230, 4285)), True),
        (Trimming(t=(1, 0, 0), p=(1, 0, 0, 0, 0, 0, 0, 0, 0)), False),
    ],
)
def test_blank_calibration_words_are_refused(trim: Trimming, blank: bool) -> None:
    """dig_T1 and dig_P1 are never 0 or all ones in a part that left the factory; the others may be 0."""
    registers = trim.registers()
    low, high = (bytes(registers[each] for each in places) for places in (range(0x88, 0xA2), range(0xE1, 0xE8)))
    if not blank:
        assert decode_calibration(low, high).t == trim.t
        return
    with pytest.raises(InvalidData, match="calibration words are blank"):
        decode_calibration(low, high)


@pytest.mark.parametrize(
    "wrong",
    [
        burst(pressure=0x80000),
        burst(temperature=0x80000),
        burst(humidity=0x8000),
        burst(humidity=0xFFFF),
        burst(humidity=0),
        burst(temperature=735_000, pressure=300_000),
        burst(temperature=0xFFFFF),
        burst(pressure=0),
        burst(control=0x25),
        burst(control=0),
        b"\x00" + burst()[1:],
        b"\xff" * 13,
        bytes(13),
    ],
)
def test_what_is_no_measurement_is_refused(wrong: bytes) -> None:
    """Skipped values, all ones, all zeros, and settings that are not ours."""
    with pytest.raises(InvalidData):
        decode(wrong, EXAMPLE)


@given(st.integers(0, 0xFFFFF), st.integers(0, 0xFFFFF), st.integers(0, 0xFFFF))
def test_any_data_is_a_possible_value_or_refused(pressure: int, temperature: int, humidity: int) -> None:
    """Nothing outside what the part can measure comes out."""
    try:
        temperature_c, humidity_pct, pressure_hpa = decode(burst(pressure, temperature, humidity), EXAMPLE)
    except InvalidData:
        return
    assert -40 <= temperature_c <= 85
    assert 0 <= humidity_pct <= 100
    assert 300 <= pressure_hpa <= 1100


@given(st.binary(min_size=26, max_size=26), st.binary(min_size=7, max_size=7), st.binary(min_size=8, max_size=8))
def test_any_calibration_is_survived(low: bytes, high: bytes, data: bytes) -> None:
    """Whatever is burnt in, the result is a possible value or InvalidData, never another error."""
    try:
        temperature_c, _, pressure_hpa = decode(burst()[:5] + data, decode_calibration(low, high))
    except InvalidData:
        return
    assert -40 <= temperature_c <= 85
    assert 300 <= pressure_hpa <= 1100


@pytest.mark.parametrize(
    ("temperature", "humidity", "pressure"),
    [(-39.0, 5.0, 1013.25), (-18.37, 63.2, 998.7), (25.0, 50.0, 1000.0), (60.0, 95.0, 310.0), (84.5, 1.0, 1090.0)],
)
def test_independent_drivers_agree(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, temperature: float, humidity: float, pressure: float
) -> None:
    """RPi.bme280, Adafruit's driver and ours compute the same from the same part, and it is the truth."""
    import adafruit_bme280.basic
    import bme280

    wire.place("bme280", address=0x77)
    wire.set(temperature=temperature, humidity=humidity, pressure=pressure)
    seen = values(wire.open().read())
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    monkeypatch.setattr(adafruit_bme280.basic, "sleep", wire.timer.sleep)
    adafruit = adafruit_bme280.basic.Adafruit_BME280_I2C(wire.busio(), 0x77)
    bus = wire.smbus()
    richard = bme280.sample(bus, 0x77, bme280.load_calibration_params(bus, 0x77))
    near = {name: quantity.tolerance for name, quantity in wire.quantities.items()}
    assert seen["temperature"] == pytest.approx(temperature, abs=near["temperature"])
    assert seen["humidity"] == pytest.approx(humidity, abs=near["humidity"])
    assert seen["pressure"] == pytest.approx(pressure, abs=near["pressure"])
    for other in (adafruit, richard):
        assert other.temperature == pytest.approx(seen["temperature"], abs=near["temperature"])
        assert other.humidity == pytest.approx(seen["humidity"], abs=near["humidity"])
        assert other.pressure == pytest.approx(seen["pressure"], abs=near["pressure"])


def test_an_independent_driver_computes_the_same_from_the_same_bytes(wire: Wire) -> None:
    """With one calibration and one set of raw values RPi.bme280's floats and ours differ by rounding only."""
    import bme280

    wire.place("bme280")
    params = bme280.load_calibration_params(wire.smbus(), 0x76)
    low, high = (wire.smbus().read_i2c_block_data(0x76, *place) for place in ((0x88, 26), (0xE1, 7)))
    calibration = decode_calibration(bytes(low), bytes(high))
    for raw_t in range(345_000, 600_000, 36_000):
        raw = burst(330_000, raw_t, 27_000)
        other = bme280.compensated_readings(bme280.uncompensated_readings(raw[5:]), params)
        assert decode(raw, calibration) == pytest.approx((other.temperature, other.humidity, other.pressure), abs=1e-6)


@given(
    st.integers(250_000, 450_000),
    st.integers(420_000, 640_000).filter(lambda raw: raw != 0x80000),  # what the part sends before it has measured
    st.integers(20_000, 40_000).filter(lambda raw: raw != 0x8000),
)
def test_every_term_of_the_formulas_counts(pressure: int, temperature: int, humidity: int) -> None:
    """RPi.bme280's floats and ours agree to rounding, with a calibration in which no word is 0."""
    import bme280

    words = Calibration(EXAMPLE.t, EXAMPLE.p, (75, 354, 120, 337, 50, 30))
    params = bme280.params(zip([f"dig_T{n}" for n in range(1, 4)], words.t, strict=True))
    params.update(zip([f"dig_P{n}" for n in range(1, 10)], words.p, strict=True))
    params.update(zip([f"dig_H{n}" for n in range(1, 7)], words.h, strict=True))
    raw = burst(pressure, temperature, humidity)
    other = bme280.compensated_readings(bme280.uncompensated_readings(raw[5:]), params)
    try:
        seen = decode(raw, words)
    except InvalidData:
        assert not (-40 < other.temperature < 85 and 300 < other.pressure < 1100)
        return
    assert seen == pytest.approx((other.temperature, other.humidity, other.pressure), rel=1e-12)


def test_a_calibration_that_divides_by_nothing_is_refused() -> None:
    """A slope of zero gives no pressure: the refusal says 0. The smallest slope is still one."""
    with pytest.raises(InvalidData, match=r"^a pressure of 0 is outside"):
        decode(burst(), Calibration(EXAMPLE.t, (0, 0, 0, *EXAMPLE.p[3:]), EXAMPLE.h))
    flattest = Calibration(EXAMPLE.t, (1, *[0] * 8), EXAMPLE.h)
    assert decode(burst(pressure=1_048_570), flattest)[2] == pytest.approx(375.0)


LINEAR = Calibration((21 * 1024, 10_240, 0), (50_000, *[0] * 8), EXAMPLE.h)
"""2 °C per 1024 counts from -40 °C at 16384, 0.00125 hPa less per count from 1310.72 hPa at 0."""


@pytest.mark.parametrize(
    ("pressure", "temperature", "expected"),
    [(808_576, 16_384, (-40.0, 300.0)), (168_576, 1_040_384, (85.0, 1100.0))],
)
def test_the_ends_of_the_range_are_values(pressure: int, temperature: int, expected: tuple[float, float]) -> None:
    """-40 and 85 °C, 300 and 1100 hPa are measured; one count beyond any of them is refused."""
    temperature_c, _, pressure_hpa = decode(burst(pressure, temperature), LINEAR)
    assert (temperature_c, pressure_hpa) == expected
    outwards = 1 if expected[0] < 0 else -1
    for damaged in (burst(pressure + outwards, temperature), burst(pressure, temperature - outwards)):
        with pytest.raises(InvalidData, match="outside the part's"):
            decode(damaged, LINEAR)


def test_a_measurement_that_is_not_over_is_waited_for(wire: Wire) -> None:
    """The measuring bit keeps old values out: the driver waits, and gives up after three conversions' time."""
    wire.place("bme280")
    slow = wire.open(sleep=lambda seconds: wire.timer.sleep(seconds / 2))
    wire.set(temperature=31.0)
    assert values(slow.read())["temperature"] == pytest.approx(31.0, abs=0.05)
    with pytest.raises(DeviceTimeout, match="still measures"):
        wire.open(sleep=lambda _: None).read()


@pytest.mark.parametrize(
    ("chip", "cure"),
    [
        (0x56, "it is a BMP280, which has no humidity"),
        (0x57, "it is a BMP280, which has no humidity"),
        (0x58, "it is a BMP280, which has no humidity"),
        (0x61, "another part sits there"),
    ],
)
def test_another_chip_is_named(wire: Wire, chip: int, cure: str) -> None:
    """A BMP280 has the same address and no humidity; a BME680 (0x61) too sits there."""
    wire.place("bme280")
    wire.machine.do(lambda: wire.machine.bus("i2c", "/dev/i2c-1").part(0x76)._registers.update({0xD0: chip}))
    with pytest.raises(InvalidData, match=f"says 0x{chip:x} instead of 0x60: {cure}$"):
        wire.open().read()


class Registers:
    """A bus on which every register reads as it says; what is written and slept is kept."""

    def __init__(self) -> None:
        self.steps: list[object] = []
        self.held = {0xD0: 0x60} | Trimming().registers() | dict(enumerate(burst(), 0xF2))

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        self.steps.append((address, write, read))
        return bytes(self.held[write[0] + place] for place in range(read))


def test_what_goes_over_the_wire() -> None:
    """Identity and calibration once, each read twice; then an order, a wait and two bursts for every read."""
    bus = Registers()
    sensor = Bme280(bus, Options(0x77), bus.steps.append)
    sensor.read()
    once = [(0x77, bytes((register,)), length) for register, length in ((0xD0, 1), (0x88, 26), (0xE1, 7))]
    each = [(0x77, b"\xf2\x01\xf4\x25", 0), 0.0095, (0x77, b"\xf2", 13), (0x77, b"\xf2", 13)]
    assert bus.steps == [step for step in once for _ in range(2)] + each
    bus.steps.clear()
    sensor.read()
    assert bus.steps == each


@pytest.mark.parametrize("status", [0x08, 0x01])
def test_each_busy_bit_is_waited_for(status: int) -> None:
    """Measuring and copying the calibration both mean: not yet."""
    bus, naps = Registers(), 0

    def nap(_seconds: float) -> None:
        nonlocal naps
        naps += 1
        bus.held[0xF3] = status if naps < 3 else 0

    assert len(Bme280(bus, Options(), nap).read()) == 3
    assert naps == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [("ones", InvalidData), ("garbage", InvalidData), ("nack", NotConnected), ("stuck", DeviceTimeout)],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault of the wire ends in its own error, before and after the calibration is known."""
    wire.place("bme280")
    known, fresh = wire.open(), wire.open()
    known.read()
    wire.fault(fault)
    for sensor in (known, fresh):
        with pytest.raises(error):
            sensor.read()
    wire.fault("none")
    assert len(known.read()) == 3
    assert len(fresh.read()) == 3


def test_flipped_bits_are_nearly_always_refused(wire: Wire) -> None:
    """Reading twice finds a flipped bit unless the same one flips twice; what passes stays within the limits."""
    wire.place("bme280")
    sensor = wire.open()
    sensor.read()
    wire.fault("flip")
    refused = 0
    for _ in range(60):
        try:
            seen = values(sensor.read())
        except InvalidData:
            refused += 1
            continue
        assert -40 <= seen["temperature"] <= 85
    assert refused >= 55


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error that says where; plugged in again, from power-on, its values are of now."""
    wire.place("bme280")
    sensor = wire.open()
    sensor.read()
    wire.plug(False)
    with pytest.raises(NotConnected, match=r"nothing answers at 0x76 on /dev/i2c-1"):
        sensor.read()
    wire.plug(True)
    wire.set(temperature=11.0)
    assert values(sensor.read())["temperature"] == pytest.approx(11.0, abs=0.05)
