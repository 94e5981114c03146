"""A USB serial adapter: a real pseudo-terminal behind a stable by-id link; unplugging hangs the line up."""

import contextlib
import fcntl
import os
import struct
import termios
import tty
from collections.abc import Callable
from typing import TYPE_CHECKING

from fake_hw.faults import Condition
from fake_hw.loop import Loop

if TYPE_CHECKING:
    from fake_hw.machine import Machine

_QUEUE_MAX = 512  # unread bytes after which a port that nobody reads is emptied, as one that nobody has opened is


def create(machine: "Machine", device: str) -> "PtyPort":
    """The port of this node, with nothing on its wire yet."""
    return PtyPort(machine.loop, machine.path(device), lambda _: None)


class PtyPort:
    """The part's end of the wire. `received(data)` is called with what the program sent."""

    def __init__(self, loop: Loop, link: str, received: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._link = link
        self._received = received
        self._master = self._slave = -1
        self._condition: Condition | None = None

    def attach(self, condition: Condition, received: Callable[[bytes], None] = lambda _: None) -> None:
        """Wire a part; unplugging it pulls the adapter."""
        self._condition, self._received = condition, received

    def sync(self) -> None:
        """Follow the plug."""
        self.set_plugged(self._condition is None or self._condition.plugged)

    def vanish(self) -> None:
        """Pull the adapter out."""
        self.set_plugged(False)

    def set_plugged(self, plugged: bool) -> None:
        """Put the adapter in (a new terminal behind the same link) or pull it out."""
        if plugged and self._master < 0:
            self._plug()
        elif not plugged and self._master >= 0:
            self._unplug()

    def send(self, data: bytes) -> None:
        """Bytes from the part; lost when the adapter is out or nobody reads."""
        if self._master < 0:
            return
        unread = struct.unpack("i", fcntl.ioctl(self._slave, termios.FIONREAD, b"\0\0\0\0"))[0]
        if unread > _QUEUE_MAX:
            termios.tcflush(self._slave, termios.TCIFLUSH)
        with contextlib.suppress(OSError):
            os.write(self._master, data)

    def _plug(self) -> None:
        # Our own slave descriptor keeps the line up while no program has the port open.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        os.makedirs(os.path.dirname(self._link), exist_ok=True)
        new = self._link + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        os.symlink(os.ttyname(self._slave), new)
        os.replace(new, self._link)
        self._loop.watch(self._master, self._readable)

    def _unplug(self) -> None:
        self._loop.forget(self._master)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._link)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._received(data)
