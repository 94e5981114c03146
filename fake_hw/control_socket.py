"""`sim.sock`: one JSON line each way."""

import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from fake_hw.loop import Loop
from fake_hw.node import listen

_LINE_MAX = 64 * 1024


class ControlSocket:
    """Takes commands from any number of peers; one that sends no JSON lines, or does not read, is hung up on."""

    def __init__(self, loop: Loop, path: str, execute: Callable[[str], dict[str, Any]]) -> None:
        self._loop = loop
        self._path = path
        self._execute = execute
        self._listener: socket.socket | None = None
        self._peers: dict[socket.socket, bytes] = {}

    def sync(self) -> None:
        """Open the socket."""
        if self._listener is not None:
            return
        self._listener = listen(self._path, socket.SOCK_STREAM)
        self._loop.watch(self._listener.fileno(), self._accept)

    def vanish(self) -> None:
        """Close it and every peer."""
        if self._listener is None:
            return
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        self._listener = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        for peer in tuple(self._peers):
            self._drop(peer)

    def _accept(self) -> None:
        if self._listener is None:
            return
        with contextlib.suppress(BlockingIOError, ConnectionError):
            peer = self._listener.accept()[0]
            peer.setblocking(False)
            self._peers[peer] = b""
            self._loop.watch(peer.fileno(), lambda: self._readable(peer))

    def _readable(self, peer: socket.socket) -> None:
        try:
            data = peer.recv(_LINE_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, rest = (self._peers[peer] + data).split(b"\n")
        self._peers[peer] = rest
        if not data or len(rest) > _LINE_MAX or not all(self._answer(peer, line) for line in lines):
            self._drop(peer)

    def _answer(self, peer: socket.socket, line: bytes) -> bool:
        """Execute one line and answer it whole; False to hang up."""
        try:
            text = json.loads(line)["command"]
            answer = self._execute(str(text))
        except (ValueError, TypeError, KeyError, RecursionError):
            answer = {"ok": False, "message": 'not understood: send one line {"command": "…"}'}
        frame = json.dumps(answer, ensure_ascii=False).encode() + b"\n"
        try:
            return peer.send(frame) == len(frame)
        except OSError:
            return False

    def _drop(self, peer: socket.socket) -> None:
        del self._peers[peer]
        self._loop.forget(peer.fileno())
        peer.close()
