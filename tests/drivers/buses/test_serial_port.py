"""The serial line on a real pseudo-terminal: exactness, timeouts, unplugging."""

import os
import threading
import time
import tty
from collections.abc import Iterator

import pytest

from drivers.buses.serial_port import SerialLine
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected


class Wire:
    """The other end: `link` is the stable name, as udev's by-id."""

    def __init__(self, root: str) -> None:
        self.link = os.path.join(root, "port")
        self.far = self.near = -1

    def plug(self) -> None:
        self.far, self.near = os.openpty()
        tty.setraw(self.near)
        os.symlink(os.ttyname(self.near), self.link)

    def unplug(self) -> None:
        os.unlink(self.link)
        os.close(self.near)
        os.close(self.far)
        self.far = -1


@pytest.fixture
def wire(root: str) -> Iterator[Wire]:
    made = Wire(root)
    made.plug()
    yield made
    if made.far >= 0:
        made.unplug()


@pytest.fixture
def line(wire: Wire, root: str) -> Iterator[SerialLine]:
    opened = SerialLine("/port", root)
    yield opened
    opened.close()


def answer(wire: Wire, *replies: bytes) -> threading.Thread:
    """Answers each message that arrives."""

    def play() -> None:
        for reply in replies:
            os.read(wire.far, 256)
            os.write(wire.far, reply)

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    return thread


def test_request_returns_exactly_what_was_asked(line: SerialLine, wire: Wire) -> None:
    """Bytes beyond the reply's length stay for a further read."""
    player = answer(wire, b"HEADtail")
    assert line.request(b"?", 4, 1.0) == b"HEAD"
    assert line.read(4, 1.0) == b"tail"
    player.join(1.0)


def test_a_request_forgets_what_came_before(line: SerialLine, wire: Wire) -> None:
    """A late answer to the last question is not the answer to this one."""
    line.discard_input()
    os.write(wire.far, b"stale")
    player = answer(wire, b"fresh")
    assert line.request(b"?", 5, 1.0) == b"fresh"
    player.join(1.0)


def test_silence_is_a_timeout_with_what_came(line: SerialLine, wire: Wire) -> None:
    """A short answer is an error that shows it, after the timeout and not later."""
    player = answer(wire, b"\x01\x02")
    began = time.monotonic()
    with pytest.raises(DeviceTimeout, match="got 01 02"):
        line.request(b"?", 5, 0.1)
    assert 0.09 < time.monotonic() - began < 1.0
    player.join(1.0)


def test_lines_come_one_by_one(line: SerialLine, wire: Wire) -> None:
    """Two lines in one burst are two answers; a half one waits for its end."""
    line.discard_input()
    os.write(wire.far, b"one\r\ntwo\r\nthr")
    assert line.read_until(b"\r\n", 16, 1.0) == b"one\r\n"
    assert line.read_until(b"\r\n", 16, 1.0) == b"two\r\n"
    os.write(wire.far, b"ee\r\n")
    assert line.read_until(b"\r\n", 16, 1.0) == b"three\r\n"


def test_a_line_without_an_end_is_invalid(line: SerialLine, wire: Wire) -> None:
    """Garbage at a wrong baud rate never fills the memory: the limit ends it."""
    line.discard_input()
    os.write(wire.far, b"x" * 40)
    with pytest.raises(InvalidData, match="baud rate"):
        line.read_until(b"\r\n", 32, 1.0)


def test_a_second_program_is_refused_in_words(line: SerialLine, root: str) -> None:
    """The port is opened exclusively."""
    line.discard_input()
    second = SerialLine("/port", root)
    with pytest.raises(NotConnected, match="another program has it open"):
        second.discard_input()


def test_unplugged_while_waiting(line: SerialLine, wire: Wire) -> None:
    """An unplug ends a waiting read at once, and the re-plugged adapter is found under the same name."""
    line.discard_input()
    threading.Timer(0.05, wire.unplug).start()
    began = time.monotonic()
    with pytest.raises(NotConnected, match="plug the adapter in again"):
        line.read(1, 5.0)
    assert time.monotonic() - began < 2.0
    with pytest.raises(NotConnected, match="no such device; plug the adapter in"):
        line.read(1, 5.0)
    wire.plug()
    line.discard_input()
    os.write(wire.far, b"!")
    assert line.read(1, 1.0) == b"!"


def test_a_port_that_takes_nothing_is_a_timeout(line: SerialLine) -> None:
    """Flow control that is stuck does not hold the worker."""

    def fill() -> None:
        for _ in range(64):  # nobody reads the other end: its queue fills up
            line.request(b"x" * 4096, 0, 0.0)

    with pytest.raises(DeviceTimeout, match="takes no bytes"):
        fill()


def test_frames_are_kept_apart(root: str, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modbus: 3.5 characters of silence between the last byte and the next request (4 ms at 9600 baud)."""
    naps: list[float] = []
    line = SerialLine("/port", root)
    player = answer(wire, b"a", b"b")
    line.request(b"?", 1, 1.0)
    monkeypatch.setattr("drivers.buses.serial_port.time.sleep", naps.append)
    line.request(b"?", 1, 1.0)
    player.join(1.0)
    line.close()
    assert len(naps) == 1
    assert 0.002 < naps[0] <= 3.5 * 11 / 9600
