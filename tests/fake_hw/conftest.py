"""A simulator for each test, in-process, and the raw system calls a program would make."""

import fcntl
import os
import select
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fake_hw import client
from fake_hw.inject import install
from fake_hw.simulator import Simulator

GET_CHIPINFO, GET_LINEINFO, GET_LINE = 0x8044B401, 0xC100B405, 0xC250B407
SET_CONFIG, GET_VALUES, SET_VALUES = 0xC110B40D, 0xC010B40E, 0xC010B40F


@pytest.fixture
def root() -> Iterator[str]:
    """A short directory that plays the machine's /."""
    directory = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make(root: str) -> Iterator[Callable[..., Simulator]]:
    """Starts a simulator with options and lets this process find it."""
    undo: list[Callable[[], None]] = []

    def start(**options: Any) -> Simulator:
        simulator = Simulator(root, **options)
        simulator.start()
        undo.append(simulator.stop)
        undo.append(install(root))
        return simulator

    yield start
    for step in reversed(undo):
        step()


@pytest.fixture
def kitchen(make: Callable[..., Simulator]) -> Simulator:
    """The kitchen as it is by default: lines persist, nobody opens doors."""
    return make()


@pytest.fixture
def tell(kitchen: Simulator) -> Callable[[str], dict[str, Any]]:
    """Sends a command that must succeed."""

    def send(text: str) -> dict[str, Any]:
        answer = client.command(kitchen.root, text)
        assert answer["ok"], answer
        return answer

    return send


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition with a deadline."""

    def wait(condition: Callable[[], object], timeout_s: float = 5.0, *, every_s: float = 0.01) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            select.select([], [], [], every_s)

    return wait


class RawChip:
    """The GPIO uAPI as a C program would use it."""

    def __init__(self, root: str) -> None:
        self.fd = os.open(f"{root}/dev/gpiochip0", os.O_RDWR | os.O_CLOEXEC)

    def request(self, lines: list[int], flags: int, *attributes: tuple[int, int, int]) -> int:
        """GPIO_V2_GET_LINE; attributes: (id, value, mask)."""
        buffer = bytearray(592)
        struct.pack_into(f"={len(lines)}I", buffer, 0, *lines)
        buffer[256:260] = b"test"
        buffer[288:560] = config(flags, *attributes)
        struct.pack_into("=I", buffer, 560, len(lines))
        fcntl.ioctl(self.fd, GET_LINE, buffer)
        return int(struct.unpack_from("=i", buffer, 588)[0])

    def info(self, line: int) -> tuple[str, str, int]:
        """(name, consumer, flags)."""
        buffer = bytearray(256)
        struct.pack_into("=I", buffer, 64, line)
        fcntl.ioctl(self.fd, GET_LINEINFO, buffer)
        name, consumer, _, _, flags = struct.unpack_from("=32s32sIIQ", buffer)
        return name.rstrip(b"\0").decode(), consumer.rstrip(b"\0").decode(), flags


def config(flags: int, *attributes: tuple[int, int, int]) -> bytes:
    """struct gpio_v2_line_config."""
    packed = b"".join(
        struct.pack("=II8sQ", kind, 0, value.to_bytes(8, "little"), mask) for kind, value, mask in attributes
    )
    return struct.pack("=QI20x240s", flags, len(attributes), packed)


@pytest.fixture
def chip(kitchen: Simulator) -> Iterator[RawChip]:
    """The opened chip."""
    raw = RawChip(kitchen.root)
    yield raw
    os.close(raw.fd)
