"""VEML7700: ranges, the part on the simulated wire, and Adafruit's driver beside ours."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.veml7700 import FEW_COUNTS, FIRST, MANY_COUNTS, RANGES, Options, Range, Veml7700, choose, decode
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected
from tests.drivers.wire import NODE, Wire, values

FROM_DARK_TO_SUN = [0.0, 0.5, 3.0, 40.0, 53.0, 60.0, 150.0, 450.0, 1500.0, 5000.0, 20_000.0, 60_000.0, 119_000.0]


def test_resolutions_are_the_data_sheets() -> None:
    """The table of the application note: 0.0336 lx per count at gain 2 and 100 ms, 2.1504 at gain 1/8 and 25 ms."""
    expected = [0.0336, 0.0672, 0.2688, 0.5376, 2.1504]
    assert [each.lx_per_count for each in RANGES] == pytest.approx(expected)
    assert [each.word for each in RANGES] == [0x0800, 0x0000, 0x1800, 0x1000, 0x1300]


def test_decode() -> None:
    """Linear in dim light; the application note's polynomial above: 1000 lx uncorrected are 1074.99 lx."""
    assert decode(1000, RANGES[0]) == pytest.approx(33.6)
    assert decode(14881, RANGES[1]) == pytest.approx(1075.0, abs=0.5)
    assert decode(105, RANGES[3]) == pytest.approx(56.837, abs=0.002)  # the correction begins at 53.76 lx
    assert decode(100, RANGES[3]) == 53.76
    assert decode(101, RANGES[3]) == pytest.approx(54.661, abs=0.001)
    assert decode(99, RANGES[3]) == pytest.approx(53.222, abs=0.002)
    with pytest.raises(InvalidData, match="more light"):
        decode(0xFFFF, RANGES[4])


@given(st.integers(0, 0xFFFF), st.sampled_from(RANGES))
def test_any_counts_are_a_possible_light_or_refused(counts: int, measured_in: Range) -> None:
    """More counts are more light, never less than by the straight line; all ones are refused."""
    try:
        lx = decode(counts, measured_in)
    except InvalidData:
        assert counts == 0xFFFF
        return
    assert counts * measured_in.lx_per_count <= lx
    assert counts == 0 or decode(counts - 1, measured_in) < lx


@given(st.integers(0, 0xFFFE), st.sampled_from(RANGES))
def test_the_chosen_range_fits_the_light(counts: int, now: Range) -> None:
    """The range is kept while its counts are good; otherwise the next one has neither too many nor needlessly few."""
    better = choose(counts, now)
    if FEW_COUNTS <= counts <= MANY_COUNTS:
        assert better is now
        return
    expected = counts * now.lx_per_count / better.lx_per_count
    assert expected <= MANY_COUNTS or better is RANGES[-1]
    assert expected >= FEW_COUNTS or better is RANGES[0]


def test_the_ends_of_good_counts() -> None:
    """100 and 10,000 counts keep their range; others take the finest within 10,000, and all ones the coarsest."""
    assert choose(100, RANGES[2]) is choose(10_000, RANGES[2]) is RANGES[2]
    assert choose(20_000, RANGES[0]) is RANGES[1]
    assert choose(20_001, RANGES[0]) is RANGES[2]
    assert choose(10_001, RANGES[2]) is RANGES[3]
    assert choose(99, RANGES[2]) is RANGES[0]
    assert choose(0xFFFF, RANGES[0]) is RANGES[4]
    assert choose(0xFFFE, RANGES[4]) is RANGES[4]


def test_a_range_is_written_and_settles() -> None:
    """ALS_CONF_0 low byte first, and 2.2 integrations of the range until its first counts are read."""
    steps: list[object] = []
    words = iter((0x0001, 50, 50, 1000, 1000, RANGES[0].word))

    class Bus:
        def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
            steps.append((address, write, read))
            return next(words).to_bytes(2, "little") if read else b""

    (sample,) = Veml7700(Bus(), Options(), steps.append).read()
    assert sample.value == pytest.approx(33.6)
    look, counts = (0x10, b"\x00", 2), (0x10, b"\x04", 2)
    first, finer = (0x10, b"\x00\x00\x10", 0), (0x10, b"\x00\x00\x08", 0)
    assert steps == [look, first, pytest.approx(0.22), counts, counts, finer, pytest.approx(0.22), counts, counts, look]


@pytest.mark.parametrize("light", FROM_DARK_TO_SUN)
def test_an_independent_driver_agrees(wire: Wire, monkeypatch: pytest.MonkeyPatch, light: float) -> None:
    """Adafruit's VEML7700 with its own range search and ours read the truth, from dark to sunlight."""
    from adafruit_veml7700 import VEML7700

    wire.place("veml7700")
    wire.set(light=light)
    seen = values(wire.open().read())["light"]
    assert seen == pytest.approx(light, rel=0.01, abs=0.6)
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    monkeypatch.setattr(VEML7700, "milliseconds", staticmethod(lambda: wire.timer() * 1000))
    oracle = VEML7700(wire.busio())
    oracle.light_integration_time = oracle.ALS_100MS
    assert oracle.autolux == pytest.approx(seen, rel=0.015, abs=0.8)


def test_it_follows_the_light(wire: Wire) -> None:
    """From night to sun and back, each read is right at once, though the range must change."""
    wire.place("veml7700")
    sensor = wire.open()
    for light in (2.0, 80_000.0, 2.0, 300.0, 9000.0, 0.2):
        wire.set(light=light)
        before_s = wire.timer()
        assert values(sensor.read())["light"] == pytest.approx(light, rel=0.02, abs=0.6)
        assert wire.timer() - before_s < 0.45


def test_a_steady_light_costs_no_wait(wire: Wire) -> None:
    """Once the range is right a read does not block its bus."""
    wire.place("veml7700")
    sensor = wire.open()
    sensor.read()
    before_s = wire.timer()
    sensor.read()
    assert wire.timer() == before_s


def test_no_result_of_another_range_is_used(wire: Wire) -> None:
    """After a change of the range the register shows the old counts for one integration: they are waited out."""
    wire.place("veml7700")
    wire.set(light=5.0)
    hasty = wire.open(sleep=lambda seconds: wire.timer.sleep(seconds / 2.1))
    assert values(hasty.read())["light"] == pytest.approx(5.0, abs=0.6)
    assert FIRST is RANGES[3]


def test_a_reset_during_the_read_is_refused(wire: Wire) -> None:
    """A part that lost power after its settings were checked shows other settings at the end."""
    wire.place("veml7700")
    sensor = wire.open()
    sensor.read()
    real, part, asked = sensor._bus, wire.machine.bus("i2c", NODE).part(0x10), 0

    class Browning:
        def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
            nonlocal asked
            asked += 1
            if asked == 3:
                part.power_up()
            return bytes(real.transfer(address, write, read))

    sensor._bus = Browning()
    with pytest.raises(InvalidData):
        sensor.read()


@pytest.mark.parametrize(
    ("second", "good"), [(999, True), (1040, True), (1336, True), (1337, False), (1500, False), (500, False)]
)
def test_two_reads_that_disagree_are_refused(second: int, good: bool) -> None:
    """A flicker of a quarter and 3 counts passes; a high bit that flipped does not."""
    words = iter((RANGES[3].word, 999, second, RANGES[3].word))

    class Bus:
        def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
            return next(words).to_bytes(2, "little")

    sensor = Veml7700(Bus(), Options())
    if good:
        assert len(sensor.read()) == 1
        return
    with pytest.raises(InvalidData, match="two reads in a row"):
        sensor.read()


@pytest.mark.parametrize(
    ("fault", "error"),
    [("ones", InvalidData), ("garbage", InvalidData), ("nack", NotConnected), ("stuck", DeviceTimeout)],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault of the wire ends in its own error, and in values again when it is over."""
    wire.place("veml7700")
    sensor = wire.open()
    sensor.read()
    wire.fault(fault)
    for _ in range(5):
        with pytest.raises(error):
            sensor.read()
    wire.fault("none")
    assert values(sensor.read())["light"] == pytest.approx(450, abs=2)


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error that says where; plugged in again it is shut down, and is powered on."""
    wire.place("veml7700")
    sensor = wire.open()
    sensor.read()
    wire.plug(False)
    with pytest.raises(NotConnected, match=r"nothing answers at 0x10 on /dev/i2c-1"):
        sensor.read()
    wire.plug(True)
    wire.set(light=700.0)
    assert values(sensor.read())["light"] == pytest.approx(700, abs=3)
