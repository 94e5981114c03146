"""Modbus TCP: one connection, numbered requests, late replies dropped, reconnecting with growing pauses.

For the field process only: resolving a host's name may take as long as the network likes.
"""

import contextlib
import select
import socket
import time
from urllib.parse import urlsplit

from drivers.buses import modbus_frames as frames
from drivers.buses.turns import Turns
from drivers.decoding import modbus_pdu
from gateway.core.driver import Bus
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected

DEFAULT_PORT = 502
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0)
"""How long no new connection is tried after the first, second … failure in a row."""
SILENCES = 2
"""So many requests in a row without one byte back: the connection is dead though TCP has not noticed yet."""

TURN_S = 10.0
"""How long a call waits for those before it."""


def open_bus(bus: Bus, _root: str) -> "TcpConnection":
    """The connection to this url; made at the first request."""
    return TcpConnection(bus.url)


class TcpConnection:
    """The units behind one host (`ModbusBus`), connected at the first request. Calls of several threads take turns.

    A call blocks for its turn and twice its timeout: to connect, and for the reply.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or DEFAULT_PORT
        self._where = f"{self._host}:{self._port}"
        self._turns = Turns(self._where, TURN_S)
        self._socket: socket.socket | None = None
        self._received = b""
        self._transaction = 0
        self._silences = 0
        self._failures = 0
        self._not_before = 0.0
        self._refusal = ""

    def request(self, unit: int, pdu: bytes, timeout_s: float = 0.5) -> bytes:
        """The reply's PDU. Raises DeviceTimeout, InvalidData, NotConnected, and DeviceError for an exception reply."""
        with self._turns:
            connection = self._connected(timeout_s)
            self._transaction = self._transaction % 0xFFFF + 1
            self._send(connection, frames.mbap(self._transaction, unit, pdu), timeout_s)
            header, reply = self._reply(connection, unit, time.monotonic() + timeout_s)
        if header.unit != unit:
            raise InvalidData(f"unit {header.unit} at {self._where} answered instead of {unit}: check its address")
        return modbus_pdu.checked(reply, pdu, unit)

    def close(self) -> None:
        """Hang up when the request under way has ended; a later request connects again, at once."""
        with contextlib.suppress(DeviceTimeout), self._turns:
            self._hang_up()
            self._failures, self._not_before = 0, 0.0

    def _connected(self, timeout_s: float) -> socket.socket:
        if self._socket is not None and _hung_up(self._socket):
            self._hang_up()  # many devices end an idle connection
        if self._socket is None:
            if time.monotonic() < self._not_before:
                raise NotConnected(self._refusal)
            self._socket = self._connect(timeout_s)
        return self._socket

    def _connect(self, timeout_s: float) -> socket.socket:
        try:
            connection = socket.create_connection((self._host, self._port), timeout_s)
        except OSError as error:
            pause_s = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
            self._failures += 1
            self._not_before = time.monotonic() + pause_s
            self._refusal = f"no connection to {self._where} ({error.strerror or error}): check its power and network"
            raise NotConnected(self._refusal) from error
        self._failures = self._silences = 0
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _send(self, connection: socket.socket, message: bytes, timeout_s: float) -> None:
        try:
            connection.settimeout(timeout_s)
            connection.sendall(message)
        except OSError as error:
            raise self._lost(error) from error

    def _reply(self, connection: socket.socket, unit: int, deadline: float) -> tuple[frames.Header, bytes]:
        """The answer to the last request; those to older ones are thrown away."""
        while True:
            self._receive(connection, frames.HEADER_LENGTH, unit, deadline)
            try:
                header = frames.parse_mbap(self._received[: frames.HEADER_LENGTH])
            except InvalidData:
                self._hang_up()
                raise
            whole = frames.HEADER_LENGTH + header.length
            self._receive(connection, whole, unit, deadline)
            reply, self._received = self._received[frames.HEADER_LENGTH : whole], self._received[whole:]
            if header.transaction == self._transaction:
                return header, reply

    def _receive(self, connection: socket.socket, length: int, unit: int, deadline: float) -> None:
        """Have at least so many bytes. A host that never stops talking is heard no longer than a silent one."""
        while len(self._received) < length:
            left_s = deadline - time.monotonic()
            try:
                ready = left_s > 0 and select.select([connection], [], [], left_s)[0]
                data = connection.recv(4096) if ready else None
            except OSError as error:
                raise self._lost(error) from error
            if data is None:
                raise self._silence(unit)
            if not data:
                raise self._lost(ConnectionError("the other end hung up"))
            self._received += data
            self._silences = 0

    def _silence(self, unit: int) -> DeviceTimeout:
        self._silences += 1
        if self._received or self._silences >= SILENCES:  # after half a message nobody knows where the next begins
            self._hang_up()
        return DeviceTimeout(f"unit {unit} at {self._where} does not answer: check its power and its unit number")

    def _lost(self, error: OSError) -> NotConnected:
        self._hang_up()
        return NotConnected(f"lost the connection to {self._where} ({error.strerror or error}): check its network")

    def _hang_up(self) -> None:
        connection, self._socket, self._received = self._socket, None, b""
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


def _hung_up(connection: socket.socket) -> bool:
    """Whether the other end closed while nobody asked it anything."""
    try:
        ready, _, _ = select.select([connection], [], [], 0)
        return bool(ready) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True
