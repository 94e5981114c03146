"""BH1750: decoding, the part on the simulated wire, and Adafruit's driver beside ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bh1750 import Options, decode
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected
from tests.drivers.wire import Wire, values


def test_the_data_sheets_example() -> None:
    """0x8390 is 28067 lx (page 7)."""
    assert decode(b"\x83\x90", b"\x83\x90") == pytest.approx(28067, abs=0.5)


@given(st.binary(min_size=2, max_size=2), st.integers(0, 15))
def test_a_bit_that_flips_once_is_refused(data: bytes, bit: int) -> None:
    """The two reads of one result must be equal; what they show is within the limits."""
    other = (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(2, "big")
    with pytest.raises(InvalidData):
        decode(data, other)
    if data != b"\xff\xff":
        assert 0 <= decode(data, data) <= 54_612


def test_there_are_two_addresses() -> None:
    """An address between them is a mistake of the configuration."""
    with pytest.raises(ValueError, match="0x23 or 0x5c, not 0x24"):
        Options(0x24)


@pytest.mark.parametrize("light", [0.0, 1.0, 150.0, 1200.0, 27000.0])
def test_an_independent_driver_agrees(wire: Wire, monkeypatch: pytest.MonkeyPatch, light: float) -> None:
    """Adafruit's BH1750, which measures continuously in half-lux steps, and ours read the truth."""
    import adafruit_bh1750

    wire.place("bh1750", address=0x5C)
    wire.set(light=light)
    seen = values(wire.open().read())["light"]
    monkeypatch.setattr(adafruit_bh1750, "sleep", wire.timer.sleep)
    oracle = adafruit_bh1750.BH1750(wire.busio(), 0x5C)
    assert seen == pytest.approx(light, abs=2.5)
    assert oracle.lux == pytest.approx(seen, abs=4)


def test_the_wait_is_as_long_as_the_conversion(wire: Wire) -> None:
    """The register shows the old result until the new one is there; the driver waits for it."""
    wire.place("bh1750")
    sensor = wire.open()
    wire.set(light=100.0)
    sensor.read()
    wire.set(light=9000.0)
    assert values(sensor.read())["light"] == pytest.approx(9000, abs=3)


def test_too_bright_is_no_value(wire: Wire) -> None:
    """Sunlight beyond the scale must not read as the scale's end."""
    wire.place("bh1750")
    wire.set(light=80_000.0)
    with pytest.raises(InvalidData, match="more than 54,600 lx"):
        wire.open().read()


@pytest.mark.parametrize(
    ("fault", "error"),
    [("ones", InvalidData), ("garbage", InvalidData), ("nack", NotConnected), ("stuck", DeviceTimeout)],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault of the wire ends in its own error, and in values again when it is over."""
    wire.place("bh1750")
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    assert values(sensor.read())["light"] == pytest.approx(450, abs=3)


def test_unplug_and_replug(wire: Wire) -> None:
    """Unplugged: an error that says where; plugged in again: values, without opening anything anew."""
    wire.place("bh1750")
    sensor = wire.open()
    wire.plug(False)
    with pytest.raises(NotConnected, match=r"nothing answers at 0x23 on /dev/i2c-1"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 1
