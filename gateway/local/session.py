"""One connected peer of a server: what it may do, what it said and what waits to be sent to it."""

import socket
from collections import deque
from itertools import islice

from gateway.core.role import Role
from gateway.local.frames import Frame, FrameParser, Header, encode
from gateway.local.peers import Credentials

OUTPUT_LIMIT = 4 * 1024 * 1024
"""Bytes that may wait for a peer; one more and it is dropped."""
ROOM_LIMIT = 1024 * 1024
"""Above this many waiting bytes `room` is false and the peer's own requests wait too."""
QUESTIONS_PER_S = 500.0
"""Queries and commands a peer gets answered per second: a busy viewer must not take the interpreter from control."""
_QUESTIONS_AT_ONCE = 200.0
_READ_SIZE = 64 * 1024
_SEND_SIZE = 256 * 1024
_SEND_PIECES = 64


class Peer:
    """A connection. Only the server's thread touches it; `role`, `who`, `name` and `uid` hold after its hello."""

    def __init__(self, connection: socket.socket, credentials: Credentials, now_s: float) -> None:
        self.socket = connection
        self.credentials = credentials
        self.uid = credentials.uid
        self.role = Role.VIEWER
        self.who = ""
        self.name = ""
        self.greeted = False
        self.since_s = now_s
        self.closing = ""  # why the connection ends after the last byte is sent
        self.dead = False  # nothing can be sent any more
        self.interest = 0
        self.starved = False  # pump had more than there was room for
        self._parser = FrameParser()
        self._next: Frame | None = None
        self._output: deque[bytes | memoryview] = deque()
        self._waiting = 0
        self._questions = _QUESTIONS_AT_ONCE
        self._asked_s = now_s

    @property
    def room(self) -> bool:
        """Whether more may be sent now; `pump` is called when it becomes true again."""
        return not self.dead and not self.closing and self._waiting < ROOM_LIMIT

    @property
    def waiting(self) -> int:
        """Bytes that wait to be sent."""
        return self._waiting

    def send(self, header: Header, body: bytes | None = None) -> None:
        """Queue one frame; drops the peer when it has stopped reading. Raises ProtocolError for a frame too big."""
        self.send_bytes(encode(header, body))

    def send_bytes(self, data: bytes) -> None:
        """Queue bytes that are whole frames."""
        if self.dead or self.closing:
            return
        self._output.append(data)
        self._waiting += len(data)
        if self._waiting > OUTPUT_LIMIT:
            self.dead = True
            self.closing = f"does not read: {self._waiting} bytes wait for it"

    def end(self, message: str) -> None:
        """Tell the peer why, then close once it has read that (or can't)."""
        self.send({"kind": "error", "message": message})
        self.closing = self.closing or message

    def receive(self) -> None:
        """Take what the socket holds, at most 64 KiB."""
        try:
            data = self.socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.dead = True
        self._parser.feed(data)

    def peek(self) -> Frame | None:
        """The next frame to handle, None when there is none. Raises ProtocolError."""
        if self._next is None and not self.closing:
            self._next = self._parser.take()
        return self._next

    def pop(self) -> None:
        """The frame that `peek` showed is handled."""
        self._next = None

    def flush(self) -> None:
        """Send what the socket takes, at most 256 KiB."""
        budget = _SEND_SIZE
        while self._output and budget > 0 and not self.dead:
            try:
                sent = self.socket.sendmsg(list(islice(self._output, _SEND_PIECES)))
            except BlockingIOError:
                return
            except OSError:
                self.dead = True
                return
            budget -= sent
            self._forget(sent)

    def may_ask(self, now_s: float) -> bool:
        """Whether the next query or command is within its share; counts it if so."""
        earned = (now_s - self._asked_s) * QUESTIONS_PER_S
        self._questions = min(_QUESTIONS_AT_ONCE, self._questions + earned)
        self._asked_s = now_s
        if self._questions < 1:
            return False
        self._questions -= 1
        return True

    def _forget(self, sent: int) -> None:
        self._waiting -= sent
        while sent:
            piece = self._output[0]
            if sent < len(piece):
                self._output[0] = memoryview(piece)[sent:]
                return
            sent -= len(piece)
            self._output.popleft()
