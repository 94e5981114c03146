"""Hosts that the simulated machine plays: whoever connects to one by its address reaches the simulator's port."""

import errno
import os
import socket
from collections.abc import Callable
from typing import Any


def install(root: str) -> Callable[[], None]:
    """Replace `socket.create_connection`; a host and port without a node below the root is connected to as ever.

    The node `net/HOST:PORT` holds the local port, 0 while the host is off the network. Returns what undoes it.
    """
    real = socket.create_connection

    def create_connection(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        host, port = address
        try:
            with open(os.path.join(root, "net", f"{host}:{port}"), encoding="ascii") as file:
                played = int(file.read())
        except FileNotFoundError:
            return real(address, *arguments, **options)
        if not played:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        return real(("127.0.0.1", played), *arguments, **options)

    socket.create_connection = create_connection  # type: ignore[assignment]  # passes everything on

    def undo() -> None:
        socket.create_connection = real

    return undo
