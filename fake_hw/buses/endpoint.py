"""A device node's kernel side: each descriptor a program opens is a connection of its own."""

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Sequence

from fake_hw.loop import Loop
from fake_hw.node import listen

_PACKET = 65536
_UCRED = struct.Struct("3i")


class Peer:
    """One opened descriptor. A packet in is an ioctl; the packet out is its errno and what it wrote back."""

    def __init__(self, connection: socket.socket, endpoint: "Endpoint") -> None:
        connection.setblocking(False)
        self.connection = connection
        self.pid: int = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]
        self.serve = endpoint.serve
        self.on_close: Callable[[], None] | None = None
        self._endpoint = endpoint

    def reply(self, error: int, payload: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        """Answer the ioctl: 0 or an errno, the bytes it wrote back, descriptors to hand over."""
        packet = struct.pack("<i", error) + payload
        with contextlib.suppress(OSError):  # the program died meanwhile; its hang-up is on the way
            if descriptors:
                socket.send_fds(self.connection, [packet], descriptors)
            else:
                self.connection.send(packet)

    def receive(self) -> None:
        """Take one packet and hand it to the bus; a hang-up closes."""
        try:
            packet = self.connection.recv(_PACKET)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if packet:
            self.serve(self, packet)
        else:
            self.close()

    def close(self) -> None:
        """The descriptor is gone: tell the bus once, forget the connection."""
        if self.connection.fileno() < 0:
            return
        self._endpoint.drop(self)
        self.connection.close()
        if self.on_close is not None:
            self.on_close()


class Endpoint:
    """A node under the root; `serve(peer, packet)` answers. `withdraw` is the adapter pulled out of the machine."""

    def __init__(self, loop: Loop, path: str, serve: Callable[[Peer, bytes], None]) -> None:
        self._loop = loop
        self._path = path
        self.serve = serve
        self._listener: socket.socket | None = None
        self._peers: set[Peer] = set()

    def present(self) -> None:
        """Make the node appear."""
        if self._listener is None:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            self._listener = listen(self._path)
            self._loop.watch(self._listener.fileno(), self._accept)

    def withdraw(self) -> None:
        """Make the node vanish; open descriptors fail with ENODEV from now on."""
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
        for peer in tuple(self._peers):
            peer.close()

    def drop(self, peer: Peer) -> None:
        """Forget a peer that is closing."""
        self._peers.discard(peer)
        self._loop.forget(peer.connection.fileno())

    def _accept(self) -> None:
        if self._listener is None:
            return
        with contextlib.suppress(BlockingIOError, ConnectionError):
            peer = Peer(self._listener.accept()[0], self)
            self._peers.add(peer)
            self._loop.watch(peer.connection.fileno(), peer.receive)
