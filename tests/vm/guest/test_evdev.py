"""A USB keyboard on a real kernel, made with uinput: what a barcode scanner types."""

import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.barcode import Options, open_scanner
from drivers.buses.evdev import UNKNOWN_KEY, KeyDevice
from gateway.core.errors import NotConnected
from gateway.core.reading import Occurrence
from tests.vm.guest.conftest import load, wait_until

# linux/uinput.h
UI_DEV_CREATE, UI_DEV_DESTROY, UI_DEV_SETUP = 0x5501, 0x5502, 0x405C5503
UI_SET_EVBIT, UI_SET_KEYBIT = 0x40045564, 0x40045565
EV_SYN, EV_KEY = 0, 1
NAME = "Scanner"
KEY_ENTER, KEY_A = 28, 30
DIGITS = dict(zip("1234567890", range(2, 12), strict=True))


class Keyboard:
    """A keyboard that types what it is told."""

    def __init__(self) -> None:
        self._file = os.open("/dev/uinput", os.O_WRONLY | os.O_CLOEXEC)
        fcntl.ioctl(self._file, UI_SET_EVBIT, EV_KEY)
        for code in range(1, 120):
            fcntl.ioctl(self._file, UI_SET_KEYBIT, code)
        fcntl.ioctl(self._file, UI_DEV_SETUP, struct.pack("=HHHH80sI", 3, 0x1234, 0x5678, 1, NAME.encode(), 0))
        fcntl.ioctl(self._file, UI_DEV_CREATE)
        wait_until(lambda: [node for node in self._nodes() if os.path.exists(node)])
        (self.node,) = self._nodes()

    def press(self, *codes: int) -> None:
        """Press and release keys, one after another."""
        for code in codes:
            for value in (1, 0):
                os.write(self._file, struct.pack("=qqHHi", 0, 0, EV_KEY, code, value))
                os.write(self._file, struct.pack("=qqHHi", 0, 0, EV_SYN, 0, 0))

    def unplug(self) -> None:
        """Pull it out; harmless when repeated."""
        if self._file >= 0:
            fcntl.ioctl(self._file, UI_DEV_DESTROY)
            os.close(self._file)
            self._file = -1

    def _nodes(self) -> list[str]:
        names = Path("/sys/class/input").glob("event*/device/name")
        return [f"/dev/input/{path.parts[-3]}" for path in names if path.read_text().strip() == NAME]


@pytest.fixture
def keyboard() -> Iterator[Keyboard]:
    """Plugged in."""
    load("uinput", "evdev")
    made = Keyboard()
    yield made
    made.unplug()


def test_keys_arrive_in_order_and_nowhere_else(keyboard: Keyboard) -> None:
    """Every press and release comes to us; whoever had the device open before hears nothing any more."""
    other = os.open(keyboard.node, os.O_RDONLY | os.O_NONBLOCK)
    device = KeyDevice(keyboard.node)
    assert device.keys(0.0) == []
    keyboard.press(KEY_A, KEY_ENTER)
    assert device.keys(5.0) == [(KEY_A, True), (KEY_A, False), (KEY_ENTER, True), (KEY_ENTER, False)]
    with pytest.raises(BlockingIOError):
        os.read(other, 24)
    os.close(other)
    device.close()


def test_a_grabbed_keyboard_is_refused(keyboard: Keyboard) -> None:
    """Two of us can't have one scanner."""
    first, second = KeyDevice(keyboard.node), KeyDevice(keyboard.node)
    assert first.keys(0.0) == []
    with pytest.raises(NotConnected, match="another program has grabbed it"):
        second.keys(0.0)
    first.close()
    assert second.keys(0.0) == []
    second.close()


def test_lost_keys_show(keyboard: Keyboard) -> None:
    """When nobody reads for long the kernel drops events, and says so where they are missing."""
    device = KeyDevice(keyboard.node)
    assert device.keys(0.0) == []
    keyboard.press(*[KEY_A] * 500)
    keys = []
    while got := device.keys(0.1):
        keys += got
    assert (UNKNOWN_KEY, True) in keys
    assert len(keys) < 1000
    device.close()


def test_a_scanner_that_was_pulled_out(keyboard: Keyboard) -> None:
    """An unplugged keyboard is NotConnected, at once and at every later use."""
    device = KeyDevice(keyboard.node)
    assert device.keys(0.0) == []
    keyboard.unplug()
    with pytest.raises(NotConnected, match="went away"):
        device.keys(5.0)
    with pytest.raises(NotConnected, match="plug it in"):
        device.keys(0.0)


def test_a_scan_through_the_kernel(keyboard: Keyboard) -> None:
    """The barcode driver reads an EAN-13 that a scanner types."""
    scanner = open_scanner(KeyDevice(keyboard.node), Options())
    scanner.read()
    keyboard.press(*[DIGITS[digit] for digit in "4006381333931"], KEY_ENTER)
    (scan,) = [each for each in scanner.read() if isinstance(each, Occurrence)]
    assert (scan.what, scan.data["gtin"]) == ("scanned", "04006381333931")
