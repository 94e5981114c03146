"""USB serial on a real kernel: the machine's own USB device controller plugged into its own host controller."""

import os
import subprocess
import termios
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from drivers.buses.serial_port import SerialLine
from gateway.core.errors import DeviceTimeout, NotConnected
from tests.vm.guest.conftest import load, wait_until

BY_ID = Path("/dev/serial/by-id")


def names() -> list[str]:
    """What udev says is plugged in, once it has done all it was told."""
    subprocess.run(["udevadm", "settle"], check=True)
    return [str(link) for link in BY_ID.iterdir()] if BY_ID.exists() else []


class Gadget:
    """A USB serial adapter (CDC ACM) whose far end is `/dev/ttyGS0`."""

    def __init__(self) -> None:
        self.far = -1

    def plug(self) -> str:
        """Plug it in; returns its name below by-id when udev has made it."""
        load("g_serial")
        wait_until(names)
        wait_until(Path("/dev/ttyGS0").exists)
        self.far = os.open("/dev/ttyGS0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        tty.setraw(self.far)
        os.set_blocking(self.far, True)
        (name,) = names()
        return name

    def unplug(self) -> None:
        """Pull it out."""
        if self.far >= 0:
            os.close(self.far)
            self.far = -1
            subprocess.run(["modprobe", "-r", "g_serial"], check=True)
            wait_until(lambda: not names())

    def answer(self, expected: int, reply: bytes) -> threading.Thread:
        """Reply once, to the next `expected` bytes."""

        def run() -> None:
            heard = b""
            while len(heard) < expected:
                heard += os.read(self.far, expected - len(heard))
            os.write(self.far, reply)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def gadget() -> Iterator[Gadget]:
    """Not plugged in yet."""
    load("dummy_hcd", "cdc-acm")
    made = Gadget()
    yield made
    made.unplug()


def test_a_request_and_its_answer(gadget: Gadget) -> None:
    """Bytes of every value go both ways unchanged, and silence is a timeout that says what came."""
    line = SerialLine(gadget.plug())
    reply = bytes(range(256))
    gadget.answer(3, reply)
    assert line.request(b"\x00\x11\xff", 256, 5.0) == reply
    gadget.answer(1, b"ab")
    with pytest.raises(DeviceTimeout, match="got 61 62"):
        line.request(b"?", 3, 0.5)
    line.close()


def test_a_port_is_ours_alone(gadget: Gadget) -> None:
    """A second opening is refused, and the message says why; after a close the port can be had."""
    name = gadget.plug()
    first, second = SerialLine(name), SerialLine(name)
    first.discard_input()
    with pytest.raises(NotConnected, match="another program has it open"):
        second.discard_input()
    first.close()
    second.discard_input()
    second.close()


@pytest.mark.parametrize(
    ("parity", "flags"),
    [("none", 0), ("even", termios.PARENB), ("odd", termios.PARENB | termios.PARODD)],
)
@pytest.mark.parametrize("stop_bits", [1, 2])
def test_parity_and_stop_bits_reach_the_driver(gadget: Gadget, parity: str, flags: int, stop_bits: int) -> None:
    """What pseudo-terminals refuse a real port takes: the driver has the framing we asked for."""
    name = gadget.plug()
    line = SerialLine(name, parity=parity, stop_bits=stop_bits)  # type: ignore[arg-type]  # the three words there are
    line.discard_input()
    with open(name, "rb", buffering=0, opener=lambda path, mode: os.open(path, mode | os.O_NOCTTY)) as port:
        framing = termios.tcgetattr(port.fileno())[2]
    assert framing & (termios.PARENB | termios.PARODD) == flags
    assert bool(framing & termios.CSTOPB) is (stop_bits == 2)
    assert framing & termios.CSIZE == termios.CS8
    line.close()


def test_seven_bits_even_parity(gadget: Gadget) -> None:
    """7E1, as old scales speak it, is accepted and kept by a real port."""
    with serial.Serial(gadget.plug(), 9600, bytesize=7, parity="E") as port:
        framing = termios.tcgetattr(port.fileno())[2]
    assert framing & termios.CSIZE == termios.CS7
    assert framing & termios.PARENB


def test_an_adapter_that_was_pulled_out_comes_back(gadget: Gadget) -> None:
    """Pulled out, every use is NotConnected; plugged in again the same line goes on, by the same name."""
    name = gadget.plug()
    line = SerialLine(name)
    gadget.answer(1, b"ok")
    assert line.request(b"?", 2, 5.0) == b"ok"
    gadget.unplug()
    with pytest.raises(NotConnected, match="went away"):
        line.request(b"?", 2, 1.0)
    with pytest.raises(NotConnected, match="no such device; plug the adapter in"):
        line.request(b"?", 2, 1.0)
    assert gadget.plug() == name
    gadget.answer(1, b"ok")
    assert line.request(b"?", 2, 5.0) == b"ok"
    line.close()


def test_pulled_out_while_waiting(gadget: Gadget) -> None:
    """A read that waits ends at once when the adapter goes, and not at its timeout."""
    line = SerialLine(gadget.plug())
    line.discard_input()
    puller = threading.Timer(0.3, gadget.unplug)
    puller.start()
    with pytest.raises(NotConnected, match="went away"):
        line.read(1, 30.0)
    puller.join()
