"""Device nodes of the simulated machine: Unix sockets, also where the path is longer than the kernel's 107 bytes."""

import contextlib
import os
import socket
from collections.abc import Iterator

_LONGEST = 107


@contextlib.contextmanager
def _address(path: str) -> Iterator[str]:
    """An address for `path` that fits into sockaddr_un: itself, or through a descriptor of its directory."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield path
        return
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)


def connect(path: str, kind: socket.SocketKind = socket.SOCK_SEQPACKET) -> socket.socket:
    """A blocking connection to the node. Raises OSError (ENOENT: no such node, ECONNREFUSED: nobody behind it)."""
    connection = socket.socket(socket.AF_UNIX, kind)
    try:
        with _address(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def listen(path: str, kind: socket.SocketKind = socket.SOCK_SEQPACKET) -> socket.socket:
    """A non-blocking listener at `path`; what a dead simulator left there is replaced. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, kind)
    with _address(path) as address:
        listener.bind(address)
    listener.listen(64)
    listener.setblocking(False)
    return listener
