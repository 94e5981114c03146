"""The SPI bus on a simulated chip select, and an independent user of spidev on the same node."""

import os
from collections.abc import Iterator

import pytest
from Adafruit_PureIO import spi as pureio

from drivers.buses import open_bus
from drivers.buses.spi import ChipSelect
from fake_hw.inject import install
from fake_hw.machine import Machine
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected

NODE = "/dev/spidev0.1"


class Echo:
    """Sends back each byte plus one, and remembers the frames."""

    modes = frozenset({1, 3})

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def exchange(self, data: bytes) -> bytes:
        self.frames.append(data)
        return bytes((byte + 1) % 256 for byte in data)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def machine(root: str, echo: Echo) -> Iterator[Machine]:
    """A started machine with the echo behind chip select 1."""
    made = Machine(root)
    kinds = frozenset({"hang", "slow", "ones", "zeros", "flip", "garbage"})
    made.bus("spi", NODE).attach(echo, made.condition("echo", kinds))
    made.start()
    undo = install(root)
    yield made
    undo()
    made.stop()


@pytest.fixture
def bus(machine: Machine) -> Iterator[ChipSelect]:
    opened = open_bus(Bus("b", "spi", NODE), machine.root)
    assert isinstance(opened, ChipSelect)
    yield opened
    opened.close()


def test_a_transfer_is_one_frame(bus: ChipSelect, echo: Echo) -> None:
    """As many bytes come back as went out, in one selection of the part."""
    assert bus.transfer(b"\x01\x02\xff", mode=1, speed_hz=1_000_000) == b"\x02\x03\x00"
    assert bus.transfer(b"\x10", mode=3, speed_hz=1_000_000) == b"\x11"
    assert echo.frames == [b"\x01\x02\xff", b"\x10"]


def test_the_mode_reaches_the_controller(bus: ChipSelect) -> None:
    """A part that is spoken to in the wrong mode is not understood."""
    assert bus.transfer(b"\x01\x02", mode=0, speed_hz=1_000_000) != b"\x02\x03"
    assert bus.transfer(b"\x01\x02", mode=1, speed_hz=1_000_000) == b"\x02\x03"


def test_a_controller_that_is_not_enabled_is_named_with_the_cure(machine: Machine, bus: ChipSelect) -> None:
    """No node: dtparam=spi=on. It comes back without a new bus object, also when it went while open."""
    bus.transfer(b"\x01", mode=1, speed_hz=1_000_000)
    machine.plug(NODE, False)
    with pytest.raises(NotConnected, match="is gone"):
        bus.transfer(b"\x01", mode=1, speed_hz=1_000_000)
    with pytest.raises(NotConnected, match=r"dtparam=spi=on"):
        bus.transfer(b"\x01", mode=1, speed_hz=1_000_000)
    machine.plug(NODE, True)
    assert bus.transfer(b"\x01", mode=1, speed_hz=1_000_000) == b"\x02"


def test_faults_on_the_wire(machine: Machine, bus: ChipSelect) -> None:
    """A hung controller is a timeout; an absent part reads as zeros, as MISO's pull-down makes it."""
    machine.fault("echo", "hang")
    with pytest.raises(DeviceTimeout):
        bus.transfer(b"\x01", mode=1, speed_hz=1_000_000)
    machine.fault("echo", "ones")
    assert bus.transfer(b"\x01\x02", mode=1, speed_hz=1_000_000) == b"\xff\xff"
    machine.fault("echo", "none")
    machine.plug("echo", False)
    assert bus.transfer(b"\x01\x02", mode=1, speed_hz=1_000_000) == b"\x00\x00"


def test_what_the_controller_refuses_is_an_error(bus: ChipSelect) -> None:
    """spidev takes at most 4096 bytes at once."""
    with pytest.raises(DeviceError, match="failed"):
        bus.transfer(bytes(5000), mode=1, speed_hz=1_000_000)


def test_another_user_of_spidev_hears_the_same(machine: Machine, echo: Echo) -> None:
    """Adafruit's PureIO, with its own ioctls, structures and settings, speaks to the same node."""
    device = pureio.SPI(machine.path(NODE), max_speed_hz=500_000, polarity=0, phase=1)
    assert bytes(device.transfer([0x20, 0x30])) == b"\x21\x31"
    device.writebytes([0x55])
    assert bytes(device.readbytes(2)) == b"\x01\x01"
    assert (device.mode, device.bits_per_word, device.max_speed_hz) == (1, 8, 500_000)
    os.close(device.handle)
    assert echo.frames == [b"\x20\x30", b"\x55", b"\x00\x00"]
