"""SEN66: decoding, what it does not know, and two independent drivers beside ours."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sen66 import BROKEN, NAMES, SPEC, Options, decode
from fake_hw.parts.crc import sensirion_words
from fake_hw.parts.sen66 import STATUS_BITS
from gateway.core.driver import Channel
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Sample
from tests.drivers.wire import NODE, Wire, values
from tests.oracle_i2c import SensirionTransceiver

HEALTHY = sensirion_words(0, 0)
TRUTH = {
    "pm1": 12.0,
    "pm2_5": 130.5,
    "pm4": 420.0,
    "pm10": 995.0,
    "humidity": 71.5,
    "temperature": 31.25,
    "voc_index": 321.0,
    "nox_index": 44.0,
    "co2": 1650.0,
}


def by_name(samples: tuple[Sample, ...]) -> dict[str, Sample]:
    return {sample.channel: sample for sample in samples}


def test_decode() -> None:
    """Scales and signs of table 4.8.4: tenths, hundredths of %RH, 1/200 °C, ppm; below zero too."""
    raw = sensirion_words(105, 223, 250, 10000, 4567, (-5 * 200) & 0xFFFF, 1234, 10, 567)
    expected = (10.5, 22.3, 25.0, 1000.0, 45.67, -5.0, 123.4, 1.0, 567)
    samples = decode(raw, HEALTHY)
    assert [sample.value for sample in samples] == pytest.approx(expected)
    assert {sample.reason for sample in samples} == {Reason.GOOD}
    assert tuple(sample.channel for sample in samples) == NAMES


def test_the_channels_are_the_data_sheets_ranges() -> None:
    """Tables 1 to 5: dust to 1000 µg/m³, indices 1 to 500, CO2 400 to 5000 ppm, with the digits that are sent."""
    dust = tuple(Channel(name, "ug/m3", 0, 1000, digits=1) for name in ("pm1", "pm2_5", "pm4", "pm10"))
    air = Channel("humidity", "%{RH}", 0, 100, digits=2), Channel("temperature", "Cel", -10, 60, digits=2)
    indices = tuple(Channel(name, "{index}", 1, 500, digits=1) for name in ("voc_index", "nox_index"))
    assert SPEC.channels(Options()) == (*dust, *air, *indices, Channel("co2", "[ppm]", 400, 5000, digits=0))


def test_what_the_module_does_not_know_has_no_value() -> None:
    """0xFFFF and 0x7FFF are no numbers; a neighbour that is known keeps its value."""
    raw = sensirion_words(0xFFFF, 223, 250, 260, 0x7FFF, 5000, 0x7FFF, 0x7FFF, 0xFFFF)
    seen = by_name(decode(raw, HEALTHY))
    for name in ("pm1", "humidity", "voc_index", "nox_index", "co2"):
        assert math.isnan(seen[name].value)
        assert seen[name].reason is Reason.BAD_WAITING_FOR_INITIAL_DATA
        assert seen[name].detail == "not known yet: wait a minute"
    assert (seen["pm2_5"].value, seen["temperature"].value) == (22.3, 25.0)
    assert seen["temperature"].reason is Reason.GOOD


@pytest.mark.parametrize(
    ("broken", "dead"),
    [
        ("rht", {"humidity", "temperature"}),
        ("gas", {"voc_index", "nox_index"}),
        ("co2", {"co2"}),
        ("pm", {"pm1", "pm2_5", "pm4", "pm10"}),
    ],
)
def test_a_broken_element_takes_its_channels_and_doubts_the_others(wire: Wire, broken: str, dead: set[str]) -> None:
    """The status register's bit makes its own channels bad and no other one Good; when it is mended, all are Good."""
    wire.place("sen66")
    part = wire.machine.bus("i2c", NODE).part(0x6B)
    sensor = wire.open()
    wire.machine.do(lambda: part.broken.add(broken))
    seen = by_name(sensor.read())
    for name, sample in seen.items():
        assert sample.reason.quality is (Quality.BAD if name in dead else Quality.UNCERTAIN)
        assert math.isnan(sample.value) == (name in dead)
    wire.machine.do(part.broken.clear)
    wire.plug(False)
    wire.timer.sleep(1.0)
    wire.plug(True)
    with pytest.raises(DeviceError, match="no new values"):
        sensor.read()
    wire.timer.sleep(12.0)
    assert all(sample.reason is Reason.GOOD for sample in sensor.read())


def test_the_flag_alone_is_enough() -> None:
    """Values beside an error flag might be wrong: they are not believed."""
    raw = sensirion_words(*(100,) * 9)
    flagged = by_name(decode(raw, sensirion_words(0, 1 << STATUS_BITS["co2"])))["co2"]
    assert flagged.reason is Reason.BAD_SENSOR_FAILURE
    assert flagged.detail == BROKEN
    seen = by_name(decode(raw, sensirion_words(1 << 5, 0)))  # bit 21: the fan's speed
    assert {name for name, sample in seen.items() if sample.reason is not Reason.GOOD} == {
        "pm1",
        "pm2_5",
        "pm4",
        "pm10",
    }


def test_a_fan_that_does_not_turn_ends_all(wire: Wire) -> None:
    """Without a stream of air no value is of the room."""
    wire.place("sen66")
    wire.machine.do(lambda: wire.machine.bus("i2c", NODE).part(0x6B).broken.add("fan"))
    with pytest.raises(SensorFailure, match="fan does not turn"):
        wire.open().read()


def test_a_fan_that_stands_still_is_never_good_in_between(wire: Wire) -> None:
    """Each poll says so, not only the first: the module needs two seconds to find out once its flag is cleared."""
    wire.place("sen66")
    wire.machine.do(lambda: wire.machine.bus("i2c", NODE).part(0x6B).broken.add("fan"))
    sensor = wire.open()
    for _ in range(5):
        with pytest.raises(SensorFailure, match="fan does not turn"):
            sensor.read()
        wire.timer.sleep(1.1)


@given(st.lists(st.integers(0, 65535), min_size=9, max_size=9), st.integers(0, 9 * 24 - 1), st.integers(0, 47))
def test_no_single_bit_error_passes(raw: list[int], bit: int, status_bit: int) -> None:
    """Each word has its CRC, those of the status too."""
    frame = sensirion_words(*raw)
    assert len(decode(frame, HEALTHY)) == 9
    with pytest.raises(InvalidData):
        decode((int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(27, "big"), HEALTHY)
    with pytest.raises(InvalidData):
        decode(frame, (int.from_bytes(HEALTHY, "big") ^ 1 << status_bit).to_bytes(6, "big"))


@given(st.lists(st.integers(0, 65535), min_size=9, max_size=9), st.integers(0, 0xFFFFFFFF))
def test_any_words_are_numbers_or_bad(raw: list[int], flags: int) -> None:
    """Whatever words and flags come: no number (NaN) exactly when it is Bad, else the word by its scale and sign."""
    try:
        samples = decode(sensirion_words(*raw), sensirion_words(flags >> 16, flags & 0xFFFF))
    except SensorFailure:
        assert flags & 1 << STATUS_BITS["fan"]
        return
    scales = (10, 10, 10, 10, 100, 200, 10, 10, 1)
    for place, (word, scale, sample) in enumerate(zip(raw, scales, samples, strict=True)):
        signed = word - 0x10000 if 4 <= place <= 7 and word >= 0x8000 else word
        assert math.isnan(sample.value) is (sample.reason.quality is Quality.BAD)
        assert math.isnan(sample.value) or sample.value == signed / scale


@pytest.mark.parametrize("temperature", [-9.5, 0.0, 31.25, 59.0])
def test_independent_drivers_agree(wire: Wire, monkeypatch: pytest.MonkeyPatch, temperature: float) -> None:
    """Sensirion's own driver, Adafruit's (which knows no negative numbers) and ours read the truth."""
    from adafruit_sen6x import SEN66
    from sensirion_driver_adapters.i2c_adapter.i2c_channel import I2cChannel
    from sensirion_i2c_driver import CrcCalculator, I2cConnection
    from sensirion_i2c_sen66.device import Sen66Device

    wire.place("sen66")
    truth = TRUTH | {"temperature": temperature}
    wire.set(**truth)
    seen = values(wire.open().read())
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    channel = I2cChannel(I2cConnection(SensirionTransceiver(wire.smbus())), 0x6B, CrcCalculator(8, 0x31, 0xFF, 0x00))
    makers = Sen66Device(channel).read_measured_values()
    adafruit = SEN66(wire.busio())
    adafruit._measurement_started = True
    other = adafruit.all_measurements()
    other_names = {"pm1": "pm1_0", "pm2_5": "pm2_5", "pm4": "pm4_0", "pm10": "pm10"}
    for name, value in zip(NAMES, makers, strict=True):
        near = wire.quantities[name].tolerance
        assert seen[name] == pytest.approx(truth[name], abs=near)
        assert float(getattr(value, "value", value)) == pytest.approx(seen[name], abs=2 * near)
        if truth[name] > 0:
            assert other[other_names.get(name, name)] == pytest.approx(seen[name], abs=2 * near)


def test_after_power_on_values_come_one_by_one(wire: Wire) -> None:
    """A module that lost power is started by the first poll; CO2 and NOx follow after 6 and 11 seconds."""
    wire.place("sen66")
    sensor = wire.open()
    wire.plug(False)
    with pytest.raises(NotConnected, match="nothing answers at 0x6b"):
        sensor.read()
    wire.plug(True)
    with pytest.raises(DeviceError, match="no new values") as caught:
        sensor.read()
    assert caught.value.reason is Reason.BAD_WAITING_FOR_INITIAL_DATA
    unknown = []
    for _ in range(4):
        wire.timer.sleep(3.5)
        unknown.append({name for name, sample in by_name(sensor.read()).items() if math.isnan(sample.value)})
    assert unknown == [{"nox_index", "co2"}, {"nox_index"}, set(), set()]


def test_no_set_comes_twice(wire: Wire) -> None:
    """A set that was read already is not given again as new."""
    wire.place("sen66")
    sensor = wire.open()
    sensor.read()
    with pytest.raises(DeviceError, match="no new values"):
        sensor.read()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("crc", InvalidData),
        ("flip", InvalidData),
        ("ones", InvalidData),
        ("garbage", InvalidData),
        ("nack", NotConnected),
        ("stuck", DeviceTimeout),
    ],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault of the wire ends in its own error, and in values again when it is over."""
    wire.place("sen66")
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    wire.timer.sleep(2.0)
    assert len(sensor.read()) == 9
