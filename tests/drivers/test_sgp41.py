"""SGP41: its conditioning, what it learns, and independent drivers and algorithms beside ours."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sgp41 import decode
from fake_hw.parts.crc import sensirion_words
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample
from tests.drivers.wire import NODE, Wire, values


class Polled:
    """The driver, polled at a steady pace of the wire's clock."""

    def __init__(self, wire: Wire, every_s: float = 1.0) -> None:
        self._timer, self._every_s = wire.timer, every_s
        self._due_s = wire.timer()
        self._driver = wire.open(sleep=wire.timer.sleep, monotonic=wire.timer)

    def read(self) -> tuple[Sample, ...]:
        self._timer.now_s = max(self._due_s, self._timer.now_s)
        self._due_s += self._every_s
        return tuple(self._driver.read())

    def close(self) -> None:
        self._driver.close()


@given(st.integers(1, 64999), st.integers(1, 64999), st.integers(0, 47))
def test_no_single_bit_error_passes(voc: int, nox: int, bit: int) -> None:
    """Each word has its CRC."""
    frame = sensirion_words(voc, nox)
    assert decode(frame) == (voc, nox)
    with pytest.raises(InvalidData):
        decode((int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(6, "big"))


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_any_words_are_ticks_or_a_failure(voc: int, nox: int) -> None:
    """Only what lies strictly within the scale is a measurement."""
    try:
        assert decode(sensirion_words(voc, nox)) == (voc, nox)
    except SensorFailure:
        assert not (0 < voc < 65000 and 0 < nox < 65000)
        return
    assert 0 < voc < 65000
    assert 0 < nox < 65000


@pytest.mark.parametrize("ticks", [(0, 15000), (30000, 65535), (65000, 15000)])
def test_the_end_of_the_scale_is_a_failure(ticks: tuple[int, int]) -> None:
    """A pixel that gives the end of its scale has burnt out; the index must not call that clean air."""
    with pytest.raises(SensorFailure, match="end of its scale"):
        decode(sensirion_words(*ticks))


def test_independent_drivers_and_algorithms_agree(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adafruit's SGP41 reads the same ticks, and Sensirion's algorithm makes our index of them, through an event."""
    from adafruit_sgp41.sgp41 import SGP41
    from sensirion_gas_index_algorithm.nox_algorithm import NoxAlgorithm
    from sensirion_gas_index_algorithm.voc_algorithm import VocAlgorithm

    wire.place("sgp41")
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    adafruit, sensor = SGP41(wire.busio()), Polled(wire)
    voc, nox = VocAlgorithm(), NoxAlgorithm()
    for _ in range(10):
        sensor.read()
    seen = {}
    for second in range(240):
        event = 150 < second < 200
        wire.set(voc_ticks=25000 if event else 30000, nox_ticks=19000 if event else 15500)
        seen = values(sensor.read())
        ticks = adafruit.measure_raw()
        expected = voc.process(ticks[0]), nox.process(ticks[1])
        assert ticks == pytest.approx((25000, 19000) if event else (30000, 15500), abs=31)
        assert (seen["voc_index"], seen["nox_index"]) == pytest.approx(expected, abs=6)
        if second == 199:
            assert seen["voc_index"] > 150
    assert seen["voc_index"] > 50


def test_the_nox_pixel_is_conditioned_and_not_too_long(wire: Wire) -> None:
    """Nearly 10 s from the second poll on, never more, at any pace; not at all where the next poll is too late."""
    wire.place("sgp41")
    part = wire.machine.bus("i2c", NODE).part(0x59)
    for every_s in (1.0, 1.5, 3.0, 7.0):
        part.conditioned_s = 0.0
        sensor = Polled(wire, every_s)
        for _ in range(12):
            sensor.read()
        assert 0 < part.conditioned_s <= 10.0
        assert part.conditioned_s >= 6.9
    part.conditioned_s = 0.0
    for every_s in (10.0, 60.0):
        sensor = Polled(wire, every_s)
        for _ in range(4):
            sensor.read()
        assert part.conditioned_s == 0.0


def test_conditioning_ends_when_the_driver_is_closed(wire: Wire) -> None:
    """The gateway stops, or starts over: the part is not left conditioning, which would damage it."""
    wire.place("sgp41")
    part = wire.machine.bus("i2c", NODE).part(0x59)
    sensor = Polled(wire)
    for _ in range(5):
        sensor.read()
    sensor.close()
    assert 3.0 <= part.conditioned_s <= 4.1
    steady = Polled(wire)
    for _ in range(20):
        steady.read()
    before = len(part.arguments), part.conditioned_s
    steady.close()
    assert (len(part.arguments), part.conditioned_s) == before


def test_it_is_told_the_rooms_air(wire: Wire) -> None:
    """Humidity and temperature of the options reach the part as ticks, in conditioning and in measurement."""
    wire.place("sgp41", humidity_pct=80.0, temperature_c=35.0)
    part = wire.machine.bus("i2c", NODE).part(0x59)
    sensor = Polled(wire)
    for _ in range(12):
        assert set(values(sensor.read()).values()) == {0.0}
        assert tuple(part.arguments) == (52428, 29959)


def test_learning_is_uncertain_until_the_datasheets_time(wire: Wire) -> None:
    """0 at first, Uncertain for an hour (VOC) and six (NOx), then Good; slow polls count as the seconds they took."""
    wire.place("sgp41")
    sensor = Polled(wire, 10.0)
    good_at: dict[str, float] = {}
    first: dict[str, float] = {}
    began_s = wire.timer()
    for _ in range(2200):
        for sample in sensor.read():
            if sample.reason is Reason.GOOD:
                good_at.setdefault(sample.channel, wire.timer() - began_s)
            else:
                assert sample.reason is Reason.UNCERTAIN_SENSOR_NOT_ACCURATE
            if sample.value:
                first.setdefault(sample.channel, wire.timer() - began_s)
    assert good_at["voc_index"] == pytest.approx(3600, abs=25)
    assert good_at["nox_index"] == pytest.approx(21600, abs=25)
    assert first["voc_index"] == pytest.approx(56, abs=12)


def test_one_disturbed_answer_does_not_cost_what_was_learnt(wire: Wire) -> None:
    """A damaged answer is asked for again at once; only a second one in a row is an error."""
    wire.place("sgp41")
    real = wire.open()._bus
    damaged = 0

    class Noisy:
        def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
            nonlocal damaged
            data = bytearray(real.transfer(address, write, read))
            if read == 6 and damaged:
                damaged -= 1
                data[1] ^= 4
            return bytes(data)

    sensor = Polled(wire)
    sensor._driver._bus = Noisy()
    for _ in range(70):
        sensor.read()
    damaged = 1
    assert values(sensor.read())["voc_index"] > 0
    damaged = 2
    with pytest.raises(InvalidData, match="VOC word"):
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
    """Each fault of the wire ends in its own error while conditioning and measuring, and in values when it is over."""
    wire.place("sgp41")
    sensor = Polled(wire)
    for _ in range(2):
        wire.fault(fault)
        with pytest.raises(error):
            sensor.read()
        wire.fault("none")
        for _ in range(15):
            assert len(sensor.read()) == 2


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error that says where; plugged in again it goes on."""
    wire.place("sgp41")
    sensor = Polled(wire)
    sensor.read()
    wire.plug(False)
    with pytest.raises(NotConnected, match=r"nothing answers at 0x59 on /dev/i2c-1"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 2
