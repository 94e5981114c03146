"""PZEM-004T: the frame, and the meter on a real pseudo-terminal."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.pzem004t import Options, Pzem004t, crc16, decode, frame
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected
from gateway.core.quality import Reason

Tell = Callable[[str], dict[str, Any]]
# 230.1 V, 70.0 A (more than 16 bits), 16107.0 W, 70000 Wh, 50.0 Hz, 0.98, no alarm
WORDS = (2301, 0x1170, 0x0001, 0x752E, 0x0002, 0x1170, 0x0001, 500, 98, 0)
REPLY = frame(bytes([1, 4, 20]) + b"".join(word.to_bytes(2, "big") for word in WORDS))


def test_the_guides_checksum_example() -> None:
    """CRC-16 as in the Modbus guide: 02 07 has 0x1241, sent as 41 12."""
    assert crc16(b"\x02\x07") == 0x1241
    assert frame(b"\x02\x07") == b"\x02\x07\x41\x12"


def test_decode() -> None:
    """Every register with its resolution; 32-bit values come low word first."""
    values = {sample.channel: sample.value for sample in decode(REPLY, 1)}
    expected = {
        "voltage": 230.1,
        "current": 70.0,
        "power": 16107.0,
        "energy": 70000.0,
        "frequency": 50.0,
        "power_factor": 0.98,
    }
    assert values == pytest.approx(expected)


@given(st.integers(0, 8 * len(REPLY) - 1))
def test_no_single_bit_error_passes(bit: int) -> None:
    """Any flipped bit is refused."""
    damaged = (int.from_bytes(REPLY, "big") ^ 1 << bit).to_bytes(len(REPLY), "big")
    with pytest.raises(DeviceError):
        decode(damaged, 1)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (frame(bytes([2]) + REPLY[1:-2]), "unit 2 answered instead of 1"),
        (frame(bytes([1, 3]) + REPLY[2:-2]), "another frame"),
        (frame(REPLY[:-4]), "another frame"),
        (frame(bytes([1, 4, 18]) + REPLY[3:-2]), "another frame"),
        (REPLY[:-1] + b"\x00", "CRC"),
        (b"\xff" * 25, "CRC"),
    ],
)
def test_a_frame_that_is_not_ours_is_refused(reply: bytes, words: str) -> None:
    """Unit, function, length and checksum must all be those of the answer asked for."""
    with pytest.raises(InvalidData, match=words):
        decode(reply, 1)


def test_an_exception_reply_is_explained() -> None:
    """The meter's refusal is an error with its meaning, not bad data."""
    with pytest.raises(DeviceError, match="unit 1 refuses: illegal address") as caught:
        decode(frame(bytes([1, 0x84, 2])), 1)
    assert caught.value.reason is Reason.BAD_COMMUNICATION_ERROR


def test_an_exception_reply_is_read_at_once() -> None:
    """It is shorter than an answer: nothing more is waited for, and the timeout is not spent."""
    sent: list[bytes] = []

    class Port:
        def request(self, message: bytes, reply_length: int, timeout_s: float) -> bytes:
            sent.append(message)
            return frame(bytes([1, 0x84, 4]))[:reply_length]

    with pytest.raises(DeviceError, match="slave error"):
        Pzem004t(Port(), Options(1)).read()  # type: ignore[arg-type]  # all a meter may call here
    assert sent == [bytes.fromhex("01 04 00 00 00 0a 70 0d")]


def test_reads_the_simulated_meter(device: Callable[..., Any]) -> None:
    """Request and answer over a real terminal."""
    values = {sample.channel: sample.value for sample in device("pzem004t").read()}
    assert values["voltage"] == pytest.approx(220, abs=20)
    assert values["frequency"] in {50.0, 60.0}


def test_another_unit_is_silent(device: Callable[..., Any]) -> None:
    """A wrong address ends in a timeout, not in another meter's values."""
    with pytest.raises(DeviceTimeout, match="got nothing"):
        device("pzem004t", unit=9).read()


@pytest.mark.parametrize(("fault", "error"), [("crc", InvalidData), ("garbage", InvalidData), ("hang", DeviceTimeout)])
def test_a_faulty_line_recovers(device: Callable[..., Any], tell: Tell, fault: str, error: type[DeviceError]) -> None:
    """Each fault ends within the timeout, and the next request is clean again."""
    meter = device("pzem004t")
    tell(f"fault mains {fault}")
    with pytest.raises(error):
        meter.read()
    tell("fault mains none")
    assert len(meter.read()) == 6


def test_the_adapter_unplugged_and_back(device: Callable[..., Any], tell: Tell) -> None:
    """An unplugged adapter is NotConnected; the same driver reads again through the by-id name's new terminal."""
    meter = device("pzem004t")
    meter.read()
    tell("unplug mains")
    for _ in range(2):
        with pytest.raises(NotConnected, match="METERS"):
            meter.read()
    tell("plug mains")
    assert len(meter.read()) == 6
