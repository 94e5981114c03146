"""Keyboard-like input devices through the kernel's evdev. Standard library only.

`os.open`, `fcntl.ioctl` and the like are looked up at the call: simulated devices answer there.
"""

import contextlib
import errno
import fcntl
import os
import select
import struct

from gateway.core.driver import Bus
from gateway.core.errors import NotConnected

# linux/input.h of a 64-bit kernel: struct timeval (two longs), type, code, value
INPUT_EVENT = struct.Struct("=qqHHi")
EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int)
EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3
RELEASED, PRESSED = 0, 1  # 2 is the kernel's auto-repeat
UNKNOWN_KEY = 0  # KEY_RESERVED
EVENTS_AT_ONCE = 64


def open_bus(bus: Bus, root: str) -> "KeyDevice":
    """The device of this node; opened at the first use."""
    return KeyDevice(bus.device, root)


class KeyDevice:
    """One input device (`KeyEvents`), for its one worker thread. It is ours alone: no key reaches a console."""

    def __init__(self, device: str, root: str = "/") -> None:
        self._device = device
        self._path = os.path.join(root, device.lstrip("/"))
        self._descriptor = -1

    def keys(self, timeout_s: float) -> list[tuple[int, bool]]:
        """(key code, pressed) in order; waits up to `timeout_s` for the first. Raises NotConnected.

        Where the kernel had no room for events, key 0 stands in their place.
        """
        descriptor = self._opened()
        try:
            ready, _, _ = select.select([descriptor], [], [], timeout_s)
            data = os.read(descriptor, EVENTS_AT_ONCE * INPUT_EVENT.size) if ready else None
        except OSError as error:
            raise self._lost(error) from error
        if data == b"":
            raise self._lost(OSError(errno.ENODEV, os.strerror(errno.ENODEV)))
        return list(_keys(data or b""))

    def close(self) -> None:
        """Give the device back; a later call opens it again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _opened(self) -> int:
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                fcntl.ioctl(self._descriptor, EVIOCGRAB, 1)
            except OSError as error:
                self.close()
                raise NotConnected(f"can't open {self._device} ({error.strerror}): {_cure(error)}") from error
        return self._descriptor

    def _lost(self, error: OSError) -> NotConnected:
        self.close()
        return NotConnected(f"{self._device} went away ({error.strerror}): plug it in again")


def _keys(data: bytes) -> list[tuple[int, bool]]:
    keys = []
    whole = data[: len(data) // INPUT_EVENT.size * INPUT_EVENT.size]
    for _, _, kind, code, value in INPUT_EVENT.iter_unpack(whole):
        if kind == EV_KEY and value in (RELEASED, PRESSED):
            keys.append((code, value == PRESSED))
        elif kind == EV_SYN and code == SYN_DROPPED:
            keys.append((UNKNOWN_KEY, True))
    return keys


def _cure(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "plug it in, or find its name with `ls /dev/input/by-id`"
    if error.errno == errno.EACCES:
        return "add the gateway's user to the group input"
    if error.errno == errno.EBUSY:
        return "another program has grabbed it; stop that program"
    return "check the device and its cable"
