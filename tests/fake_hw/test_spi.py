"""A simulated chip select, spoken to with spidev's ioctls as a C program would."""

import array
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from fake_hw.inject import install
from fake_hw.machine import Machine

NODE = "/dev/spidev1.2"
WR_MODE, RD_MODE, WR_BITS, RD_BITS, WR_SPEED, RD_SPEED = (
    0x40016B01,
    0x80016B01,
    0x40016B03,
    0x80016B03,
    0x40046B04,
    0x80046B04,
)


class Counter:
    """Answers each frame with its number in every byte."""

    modes = frozenset({0})

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def exchange(self, data: bytes) -> bytes:
        self.frames.append(data)
        return bytes([len(self.frames)]) * len(data)


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def node(root: str, counter: Counter) -> Iterator[int]:
    """The opened chip select of a machine."""
    machine = Machine(root)
    machine.bus("spi", NODE).attach(counter, machine.condition("part"))
    machine.start()
    undo = install(root)
    descriptor = os.open(machine.path(NODE), os.O_RDWR)
    yield descriptor
    os.close(descriptor)
    undo()
    machine.stop()


def ioctl(node: int, request: int, argument: bytes | bytearray) -> Any:
    """fcntl.ioctl as it is at the time of the call: the injection replaces it."""
    return fcntl.ioctl(node, request, argument)


def message(node: int, *transfers: tuple[bytes, int, int]) -> list[bytes]:
    """SPI_IOC_MESSAGE(N) of (bytes out, bits per word, cs_change): the bytes in."""
    out = [array.array("B", data) for data, _, _ in transfers]
    into = [array.array("B", bytes(len(data))) for data, _, _ in transfers]
    packed = b"".join(
        struct.pack("=QQIIHBB4x", a.buffer_info()[0], b.buffer_info()[0], len(a), 500_000, 0, bits, change)
        for a, b, (_, bits, change) in zip(out, into, transfers, strict=True)
    )
    assert ioctl(node, 0x40006B00 | len(packed) << 16, packed) == sum(len(each) for each in out)
    return [each.tobytes() for each in into]


def test_chip_select_stays_low_from_transfer_to_transfer(node: int, counter: Counter) -> None:
    """A message is one frame, but where a transfer asks for an edge of chip select."""
    assert message(node, (b"\x01", 8, 0), (b"\x02\x03", 0, 0)) == [b"\x01", b"\x01\x01"]
    assert message(node, (b"\x04", 8, 1), (b"\x05", 8, 0)) == [b"\x02", b"\x03"]
    assert counter.frames == [b"\x01\x02\x03", b"\x04", b"\x05"]


def test_settings_are_kept_and_read_back(node: int) -> None:
    """Mode, word length and speed, each in its size."""
    for write, read, value in ((WR_MODE, RD_MODE, b"\x03"), (WR_BITS, RD_BITS, b"\x10"), (WR_SPEED, RD_SPEED, b"abcd")):
        assert ioctl(node, write, value) == 0
        assert ioctl(node, read, bytes(len(value))) == value
        buffer = bytearray(len(value))
        assert ioctl(node, read, buffer) == 0
        assert bytes(buffer) == value


def test_what_the_controller_can_not_do(node: int) -> None:
    """Words of 16 bits, more than spidev's buffer, and an unknown request have the kernel's errno."""
    with pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"):
        message(node, (b"\x01\x02", 16, 0))
    with pytest.raises(OSError, match=f"Errno {errno.EMSGSIZE}]"):
        message(node, (bytes(4097), 8, 0))
    with pytest.raises(OSError, match=f"Errno {errno.ENOTTY}]"):
        ioctl(node, 0x40016B09, b"\x00")


def test_one_chip_select_has_one_part(root: str) -> None:
    """Two parts on it would answer at once."""
    machine = Machine(root)
    bus = machine.bus("spi", NODE)
    bus.attach(Counter(), machine.condition("a"))
    with pytest.raises(ValueError, match="already has a part"):
        bus.attach(Counter(), machine.condition("b"))
    machine.start()
    machine.stop()
