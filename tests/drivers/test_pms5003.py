"""PMS5003: frames, its stream on the simulated port, and Adafruit's driver beside ours."""

import struct
import sys
import types
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from drivers.pms5003 import Options, Pms5003, decode
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.quality import Reason
from tests.drivers.wire import Wire, values

PORT = "/dev/serial/by-id/usb-DUST"
# A frame of a real part: 0x97 is its version, the last two bytes the sum.
REAL = bytes.fromhex("424d001c0012001a001c0012001a001c0d7103de00b6000e00040002970003d7")


@pytest.fixture(autouse=True)
def _quick_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream at the pace that a test can wait for."""
    monkeypatch.setattr("fake_hw.parts.pms5003.PERIOD_S", 0.05)


def with_sum(head: bytes) -> bytes:
    return head + struct.pack(">H", sum(head) & 0xFFFF)


FRAME = with_sum(REAL[:-2])


def test_decode() -> None:
    """The second triple is that of the room's air, in whole µg/m³."""
    different = FRAME[:4] + struct.pack(">3H", 99, 98, 97) + FRAME[10:-2]
    assert [(s.channel, s.value, s.reason) for s in decode(with_sum(different))] == [
        ("pm1", 18.0, Reason.GOOD),
        ("pm2_5", 26.0, Reason.GOOD),
        ("pm10", 28.0, Reason.GOOD),
    ]


@given(st.integers(0, 8 * 32 - 1))
def test_no_single_bit_error_passes(bit: int) -> None:
    """The sum, the length or the start characters refuse any flipped bit."""
    with pytest.raises(InvalidData):
        decode((int.from_bytes(FRAME, "big") ^ 1 << bit).to_bytes(32, "big"))


@given(st.lists(st.integers(0, 65535), min_size=12, max_size=12), st.binary(min_size=2, max_size=2))
def test_any_counts_are_masses_or_a_failure(words: list[int], end: bytes) -> None:
    """A frame whose sum is right: the room's three words as they are, or SensorFailure when no particle is seen."""
    frame = with_sum(FRAME[:4] + struct.pack(">12H", *words) + end)
    try:
        samples = decode(frame)
    except SensorFailure:
        assert not any(words[6:])
        return
    assert [sample.value for sample in samples] == words[3:6]
    assert all((sample.reason is Reason.GOOD) is (end[1] == 0) for sample in samples)


@given(st.binary(max_size=40))
def test_other_bytes_are_refused(data: bytes) -> None:
    """What is no frame is InvalidData, whatever it is."""
    with pytest.raises(InvalidData):
        decode(data)


def test_a_standing_fan_is_a_failure() -> None:
    """Not one particle in 0.1 l of air: the part sees nothing."""
    with pytest.raises(SensorFailure, match="not one particle"):
        decode(with_sum(FRAME[:4] + bytes(24) + FRAME[28:30]))
    assert len(decode(with_sum(FRAME[:4] + bytes(12) + b"\x00\x01" + bytes(10) + FRAME[28:30]))) == 3


def test_the_parts_own_error_makes_values_uncertain() -> None:
    """An error code beside plausible values is passed on as doubt."""
    samples = decode(with_sum(FRAME[:29] + b"\x02"))
    assert {sample.reason for sample in samples} == {Reason.UNCERTAIN_SENSOR_NOT_ACCURATE}


def adafruit(port: serial.Serial, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adafruit's driver; its reset pin, which needs a board, stays open."""
    pins = types.ModuleType("digitalio")
    pins.DigitalInOut = pins.Direction = object  # type: ignore[attr-defined]  # only named in its annotations
    monkeypatch.setitem(sys.modules, "digitalio", pins)
    from adafruit_pm25.uart import PM25_UART

    return PM25_UART(port)


@pytest.mark.parametrize(("pm1", "pm2_5", "pm10"), [(0, 1, 2), (18, 260, 901), (500, 999, 1000)])
def test_an_independent_driver_agrees(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, pm1: float, pm2_5: float, pm10: float
) -> None:
    """Adafruit's PM25_UART and ours read the truth from the same stream."""
    wire.place("pms5003", "serial", PORT)
    wire.set(pm1=pm1, pm2_5=pm2_5, pm10=pm10)
    sensor = wire.open()
    seen = values(sensor.read())
    sensor._port.close()
    with serial.Serial(wire.machine.path(PORT), 9600, timeout=2.0) as port:
        other = adafruit(port, monkeypatch).read()
    assert (seen["pm1"], seen["pm2_5"], seen["pm10"]) == pytest.approx((pm1, pm2_5, pm10), abs=1.2)
    for channel, name in (("pm1", "pm10 env"), ("pm2_5", "pm25 env"), ("pm10", "pm100 env")):
        assert other[name] == pytest.approx(seen[channel], abs=2.4)


class Stream:
    """A port on which these bytes come; nobody waits longer for them than a frame's period and a bit."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream

    def discard_input(self) -> None: ...

    def read_until(self, terminator: bytes, limit: int, timeout_s: float) -> bytes:
        assert limit == 64  # a whole frame and what may come before it
        return self.read(self._stream.index(terminator) + len(terminator), timeout_s)

    def read(self, length: int, timeout_s: float) -> bytes:
        assert timeout_s == pytest.approx(2.6)
        assert length <= len(self._stream), "it waits for more than a frame"
        taken, self._stream = self._stream[:length], self._stream[length:]
        return taken


def pm2_5(stream: bytes) -> float:
    port: Any = Stream(stream)
    return values(Pms5003(port, Options()).read())["pm2_5"]


@pytest.mark.parametrize("joined_at", range(0, 32, 3))
def test_start_characters_among_the_values_do_not_confuse(joined_at: int) -> None:
    """A count of 0x424D looks like a frame's beginning: the driver finds the next true one."""
    trap = with_sum(FRAME[:16] + b"\x42\x4d" + FRAME[18:-2])
    assert pm2_5(trap[joined_at:] + trap + trap) == 26.0


def test_the_first_start_after_a_false_one_is_tried() -> None:
    """Three counts of 0x424D in every frame, joined at the last of them: the next frame is found and taken."""
    trap = with_sum(FRAME[:10] + b"\x42\x4d" + FRAME[12:16] + b"\x42\x4d" + FRAME[18:22] + b"\x42\x4d" + FRAME[24:-2])
    assert pm2_5(trap[20:] + trap) == 26.0


def test_a_stream_of_false_starts_is_given_up() -> None:
    """Two of them are followed; after the third what came is refused instead of waited over for ever."""
    trap = with_sum(FRAME[:10] + b"\x42\x4d" + FRAME[12:16] + b"\x42\x4d" + FRAME[18:22] + b"\x42\x4d" + FRAME[24:-2])
    with pytest.raises(InvalidData, match="fails its sum"):
        pm2_5(trap[5:] + trap + trap)


def test_start_characters_just_before_a_frame_cost_no_frame() -> None:
    """What follows a false start at once is looked at before more is waited for."""
    assert pm2_5(b"\x42\x4d" + FRAME) == 26.0


@pytest.mark.parametrize(
    ("fault", "error"), [("crc", InvalidData), ("flip", DeviceError), ("ones", InvalidData), ("garbage", DeviceError)]
)
def test_damaged_frames_are_refused(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault of the line ends in an error, and in values again when it is over."""
    wire.place("pms5003", "serial", PORT)
    sensor = wire.open()
    wire.fault(fault)
    with pytest.raises(error):
        sensor.read()
    wire.fault("none")
    assert len(sensor.read()) == 3


def test_silence_is_a_timeout(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part without power sends nothing."""
    monkeypatch.setattr("drivers.pms5003.TIMEOUT_S", 0.4)
    wire.place("pms5003", "serial", PORT)
    sensor = wire.open()
    wire.fault("nack")
    with pytest.raises(DeviceTimeout, match="no complete answer"):
        sensor.read()


def test_a_blind_part_on_the_wire(wire: Wire) -> None:
    """A fan that stands still shows as zeros with a good sum, and is refused."""
    wire.place("pms5003", "serial", PORT)
    sensor = wire.open()
    wire.fault("blind")
    with pytest.raises(SensorFailure):
        sensor.read()


def test_unplug_and_replug(wire: Wire) -> None:
    """The adapter unplugged: an error that names the port; plugged in again: values."""
    wire.place("pms5003", "serial", PORT)
    sensor = wire.open()
    sensor.read()
    wire.plug(False)
    with pytest.raises(NotConnected, match="usb-DUST"):
        sensor.read()
    wire.plug(True)
    assert len(sensor.read()) == 3
