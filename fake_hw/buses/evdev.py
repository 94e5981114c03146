"""A USB keyboard behind its evdev node: grabs, and key events to whoever has grabbed it.

A program that has not grabbed it hears nothing, because answers and events share one connection; the kernel would let
it listen.
"""

import contextlib
import errno
import struct
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fake_hw.buses.endpoint import Endpoint, Peer
from fake_hw.faults import Condition
from fake_hw.loop import Loop

if TYPE_CHECKING:
    from fake_hw.machine import Machine

_CODE = struct.Struct("<I")
_FLAG = struct.Struct("<i")
_EVENT = struct.Struct("<qqHHi")  # struct input_event on a 64-bit machine
_GRAB = 0x40044590
_SYN, _KEY = 0, 1


def create(machine: "Machine", device: str) -> "Keyboard":
    """The keyboard of this node, plugged in."""
    return Keyboard(machine.loop, machine.path(device))


class Keyboard:
    """One input device."""

    def __init__(self, loop: Loop, path: str) -> None:
        self.endpoint = Endpoint(loop, path, self._serve)
        self._condition: Condition | None = None
        self._grabber: Peer | None = None

    def attach(self, condition: Condition) -> None:
        """What is typed comes from this device; unplugging it takes the node away."""
        self._condition = condition

    def sync(self) -> None:
        """Follow the plug."""
        if self._condition is None or self._condition.plugged:
            self.endpoint.present()
        else:
            self.vanish()

    def vanish(self) -> None:
        """Pull it out."""
        self.endpoint.withdraw()

    def type(self, keys: Iterable[tuple[int, int]]) -> None:
        """Key events (code, value: 0 up, 1 down, 2 repeat), each with its SYN_REPORT."""
        now_s = time.clock_gettime(time.CLOCK_REALTIME)
        stamp = (int(now_s), int(now_s % 1 * 1e6))
        for code, value in keys:
            self._emit(_EVENT.pack(*stamp, _KEY, code, value) + _EVENT.pack(*stamp, _SYN, 0, 0))

    def drop(self) -> None:
        """The kernel's buffer ran over: SYN_DROPPED."""
        self._emit(_EVENT.pack(0, 0, _SYN, 3, 0))

    def _emit(self, events: bytes) -> None:
        if self._grabber is not None:
            with contextlib.suppress(OSError):  # a reader that does not read loses them
                self._grabber.connection.send(events)

    def _serve(self, peer: Peer, packet: bytes) -> None:
        if len(packet) != _CODE.size + _FLAG.size or _CODE.unpack_from(packet)[0] != _GRAB:
            peer.reply(errno.EINVAL)
            return
        wanted = bool(_FLAG.unpack_from(packet, _CODE.size)[0])
        if wanted and self._grabber is not None:
            peer.reply(errno.EBUSY)
        elif not wanted and self._grabber is not peer:
            peer.reply(errno.EINVAL)
        else:
            self._grabber = peer if wanted else None
            peer.on_close = lambda: self._closed(peer)
            peer.reply(0)

    def _closed(self, peer: Peer) -> None:
        if self._grabber is peer:
            self._grabber = None
