"""PZEM-004T: its registers, and the meter on a real pseudo-terminal."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.pzem004t import BLOCKS, SPEC, Options, Pzem004t, decode
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected

Tell = Callable[[str], dict[str, Any]]
# 230.1 V, 70.0 A (more than 16 bits), 16107.0 W, 70000 Wh, 50.0 Hz, 0.98
WORDS = (2301, 0x1170, 0x0001, 0x752E, 0x0002, 0x1170, 0x0001, 500, 98)
REPLY = bytes([4, 18]) + b"".join(word.to_bytes(2, "big") for word in WORDS)


def test_decode() -> None:
    """Every register with its resolution; 32-bit values come low word first."""
    values = {sample.channel: sample.value for sample in decode([REPLY])}
    expected = {
        "voltage": 230.1,
        "current": 70.0,
        "power": 16107.0,
        "energy": 70000.0,
        "frequency": 50.0,
        "power_factor": 0.98,
    }
    assert values == pytest.approx(expected)
    assert list(values) == [channel.name for channel in SPEC.channels(Options())]


@given(st.binary(min_size=18, max_size=18))
def test_any_registers_are_numbers(data: bytes) -> None:
    """Whatever the registers hold, each channel gets the number that the manual's resolution makes of it."""
    samples = decode([bytes([4, 18]) + data])
    assert all(isinstance(sample.value, float) and 0 <= sample.value < 2**32 for sample in samples)


def test_one_request_asks_for_everything() -> None:
    """Nine input registers from 0, as the manual shows them."""
    sent: list[object] = []

    class Bus:
        def request(self, unit: int, pdu: bytes, timeout_s: float = 0.5) -> bytes:
            sent.append((unit, pdu, timeout_s))
            return REPLY

    Pzem004t(Bus(), Options(7)).read()
    assert sent == [(7, bytes.fromhex("04 0000 0009"), 0.3)]
    assert len(BLOCKS) == 1


def test_reads_the_simulated_meter(device: Callable[..., Any]) -> None:
    """Request and answer over a real terminal."""
    values = {sample.channel: sample.value for sample in device("pzem004t").read()}
    assert values["voltage"] == pytest.approx(220, abs=20)
    assert values["frequency"] in {50.0, 60.0}


def test_another_unit_is_silent(device: Callable[..., Any]) -> None:
    """A wrong address ends in a timeout, not in another meter's values."""
    with pytest.raises(DeviceTimeout, match=r"unit 9: .*got nothing"):
        device("pzem004t", unit=9).read()


@pytest.mark.parametrize("fault", ["crc", "garbage", "flip", "ones"])
def test_a_faulty_line_recovers(device: Callable[..., Any], tell: Tell, fault: str) -> None:
    """A damaged answer is refused, and the next request is clean again."""
    meter = device("pzem004t")
    tell(f"fault mains {fault}")
    with pytest.raises((InvalidData, DeviceTimeout)):
        meter.read()
    tell("fault mains none")
    assert len(meter.read()) == 6


def test_a_refusal_is_told_in_words(device: Callable[..., Any], tell: Tell) -> None:
    """The meter's exception reply is an error with its meaning, not bad data."""
    tell("fault mains exception")
    with pytest.raises(DeviceError, match="unit 1 refuses: slave error"):
        device("pzem004t").read()


def test_a_meter_without_mains_is_silent_and_comes_back(device: Callable[..., Any], tell: Tell) -> None:
    """It is powered from what it measures."""
    meter = device("pzem004t")
    tell("unplug mains")
    with pytest.raises(DeviceTimeout, match="METERS"):
        meter.read()
    tell("plug mains")
    assert len(meter.read()) == 6


def test_the_adapter_unplugged_and_back(device: Callable[..., Any], tell: Tell) -> None:
    """An unplugged adapter is NotConnected; the same driver reads again through the by-id name's new terminal."""
    meter = device("pzem004t")
    meter.read()
    tell("unplug meters")
    for _ in range(2):
        with pytest.raises(NotConnected, match="METERS"):
            meter.read()
    tell("plug meters")
    assert len(meter.read()) == 6
