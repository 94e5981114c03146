"""The asking end of the local protocol."""

import json
import select
import socket
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any

from gateway.core.errors import Refused
from gateway.core.role import Role
from gateway.local.frames import Frame, FrameParser, Header, ProtocolError, encode
from gateway.local.requests import PROTOCOL

_READ_SIZE = 256 * 1024


class Connection:
    """One greeted connection, used by one thread. `hello` is the server's introduction.

    Raises ConnectionError when nothing answers within `timeout_s`, Refused when the server does not grant the role.
    """

    def __init__(self, path: Path, name: str, role: Role | str = Role.VIEWER, timeout_s: float = 5.0) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self._parser = FrameParser()
        self._frames: deque[Frame] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._connect()
            self.hello: Header = self._greet(name, Role(role))
        except BaseException:
            self.close()
            raise

    def send(self, header: Header, body: bytes | None = None) -> None:
        """Send one frame. Blocks up to the connection's timeout, then raises ConnectionError and is closed."""
        try:
            self._socket.sendall(encode(header, body))
        except OSError as error:
            why = self._last_words() or f"takes nothing any more: {error or type(error).__name__}"
            self.close()
            raise ConnectionError(f"{self.path} {why}") from error

    def receive(self, timeout_s: float) -> Frame | None:
        """The next frame, None when `timeout_s` passed without one. Raises ConnectionError when the peer is gone."""
        deadline = time.monotonic() + timeout_s
        while not self._frames:
            left_s = max(0.0, deadline - time.monotonic())
            if not self._readable(left_s):
                return None
            self._read()
        return self._frames.popleft()

    def fileno(self) -> int:
        """For a selector. Frames may wait already: `receive(0)` until None before sleeping."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up; a second call does nothing."""
        self._socket.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self) -> None:
        try:
            self._socket.connect(str(self.path))
        except OSError as error:
            raise ConnectionError(f"nothing answers at {self.path}: {error.strerror or error}") from error

    def _greet(self, name: str, role: Role) -> Header:
        self.send({"kind": "hello", "protocol": PROTOCOL, "name": name, "role": role.value})
        answer = self.receive(self.timeout_s)
        if answer is None:
            raise ConnectionError(f"{self.path} did not say hello within {self.timeout_s:g} s")
        header, _ = answer
        if header["kind"] == "error":
            raise Refused(str(header.get("message", "refused without a reason")))
        if header["kind"] != "hello":
            raise ConnectionError(f"{self.path} answered hello with {header['kind']!r:.40}")
        return header

    def _readable(self, timeout_s: float) -> bool:
        if self._socket.fileno() < 0:
            raise ConnectionError(f"the connection to {self.path} is closed")
        waiter = select.poll()
        waiter.register(self._socket, select.POLLIN)
        return bool(waiter.poll(timeout_s * 1000))

    def _last_words(self) -> str:
        """What the server said before it hung up, "" when it said nothing."""
        try:
            while (frame := self.receive(0)) is not None:
                if frame[0]["kind"] == "error":
                    return f"hung up: {frame[0].get('message', '')}"
        except ConnectionError:
            pass
        return ""

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except OSError as error:
            data, reason = b"", str(error)
        else:
            reason = "it hung up"
        if not data:
            self.close()
            raise ConnectionError(f"{self.path} is gone: {reason}")
        try:
            self._parser.feed(data)
            while (frame := self._parser.take()) is not None:
                self._frames.append(frame)
        except ProtocolError as error:
            self.close()
            raise ConnectionError(f"{self.path} broke the protocol: {error}") from error


class Client:
    """Questions and commands over a connection of its own, one at a time. Raises as Connection does."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._number = 0

    @property
    def hello(self) -> Header:
        """The server's introduction: process, version, run, sim, configuration."""
        return self.connection.hello

    def command(self, verb: str, target: str = "", **fields: Any) -> dict[str, Any]:
        """The response to a command: `{"ok": …, "message": …}`. Waits up to the timeout."""
        header, _ = self._ask({"kind": "command", "verb": verb, "target": target, **fields})
        return {"ok": header.get("ok") is True, "message": str(header.get("message", ""))}

    def query(self, what: str, **arguments: Any) -> Any:
        """The result of a query. Raises Refused with the server's words when it can't answer."""
        header, body = self._ask({"kind": "query", "what": what, **arguments})
        if header.get("ok") is not True:
            raise Refused(str(header.get("message", "refused without a reason")))
        return json.loads(body) if body is not None else header.get("result")

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, header: Header) -> Frame:
        self._number += 1
        self.connection.send({**header, "id": self._number})
        deadline = time.monotonic() + self.connection.timeout_s
        while (frame := self.connection.receive(max(0.0, deadline - time.monotonic()))) is not None:
            if frame[0]["kind"] == "error":
                self.close()
                raise ConnectionError(f"{self.connection.path} hung up: {frame[0].get('message', '')}")
            if frame[0]["kind"] == "response" and frame[0].get("id") == self._number:
                return frame
        self.close()
        raise ConnectionError(f"{self.connection.path} did not answer within {self.connection.timeout_s:g} s")
