"""Modbus lines with units on them: RTU on a pseudo-terminal in the line's own time, TCP on a port of this machine."""

import contextlib
import os
import random
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Union
from urllib.parse import urlsplit

from fake_hw.buses.pty_port import PtyPort
from fake_hw.faults import Condition
from fake_hw.loop import Loop, Timer
from fake_hw.parts.crc import modbus

if TYPE_CHECKING:
    from fake_hw.machine import Machine

MODBUS_FAULTS = frozenset({"nack", "hang", "slow", "crc", "flip", "ones", "garbage", "short", "echo", "exception"})
"""What a unit's answers can suffer. TCP repairs `crc` and `flip` and hears no `echo`: these change nothing there."""
SLOW_S = 0.4
_THINK_S = 0.005
_BITS_OF_BYTE = 10
_SILENCE_S = 0.05  # a terminal keeps no bit times: anything shorter could be one frame read in two pieces
_HEADER = 7
_SLAVE_FAILURE = 0x04


class Slave(Protocol):
    """A part: what it answers to a request's function code and data."""

    def answer(self, pdu: bytes) -> bytes:
        """The reply's function code and data; an exception reply for what it can't do."""
        ...


def create(machine: "Machine", device: str) -> Union["RtuLine", "TcpHost"]:
    """The line of this node, or the host of a url such as tcp://192.168.1.50:502; conditions have these as names."""
    condition = machine.condition(device)
    if "://" in device:
        return TcpHost(machine.loop, machine.path(f"net/{urlsplit(device).netloc}"), condition, machine.chance)
    return RtuLine(machine.loop, machine.path(device), condition, machine.chance)


class _Units:
    """The parts by their unit number, and what the fault of the hour makes of their answers."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._units: dict[int, list[tuple[Slave, Condition]]] = {}

    def attach(self, unit: int, slave: Slave, condition: Condition) -> None:
        """One more of the unit's device entries: what it reads and what it drives may be two of them."""
        self._units.setdefault(unit, []).append((slave, condition))

    def fault(self, unit: int) -> str | None:
        """What is wrong with the unit, "" for nothing; None where nobody has power under this number."""
        conditions = [condition for _, condition in self._units.get(unit, ()) if condition.plugged]
        return next((each.fault for each in conditions if each.fault), "") if conditions else None

    def any_has(self, fault: str) -> bool:
        return any(self.fault(unit) == fault for unit in self._units)

    def answer(self, unit: int, fault: str, pdu: bytes) -> bytes:
        """What the unit's entries answer: the first that has what is asked for, or the last one's refusal."""
        if fault == "exception":
            return bytes([pdu[0] | 0x80, _SLAVE_FAILURE])
        answer = b""
        for slave, _ in self._units[unit]:
            answer = slave.answer(pdu)
            if not answer[0] & 0x80:
                break
        return answer

    def damaged(self, frame: bytes, fault: str) -> bytes:
        """What becomes of a frame between the part and us."""
        if fault == "short":
            return frame[: self._chance.randrange(1, len(frame))]
        if fault == "ones":
            return b"\xff" * len(frame)
        if fault == "garbage":
            return self._chance.randbytes(len(frame))
        return frame

    def flipped(self, frame: bytes) -> bytes:
        bit = self._chance.randrange(8 * len(frame))
        return (int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(len(frame), "big")


class RtuLine:
    """An RS-485 adapter and its line: finds frames, answers as late as the baud rate makes it."""

    def __init__(self, loop: Loop, link: str, condition: Condition, chance: random.Random) -> None:
        self._loop = loop
        self._condition = condition
        self._units = _Units(chance)
        self._byte_s = _BITS_OF_BYTE / 9600
        self._pending = b""
        self._silence: Timer | None = None
        self._port = PtyPort(loop, link, self._received)

    def attach(self, unit: int, slave: Slave, condition: Condition, baud: int = 9600) -> None:
        """Wire a part; all parts of a line have one baud rate, the last one's counts."""
        self._units.attach(unit, slave, condition)
        self._byte_s = _BITS_OF_BYTE / baud

    def send(self, data: bytes) -> None:
        """Bytes that no part sent: noise."""
        self._port.send(data)

    def sync(self) -> None:
        """Follow the adapter's plug."""
        self._port.set_plugged(self._condition.plugged)

    def vanish(self) -> None:
        """Pull the adapter out."""
        self._port.set_plugged(False)

    def _received(self, data: bytes) -> None:
        if self._units.any_has("echo"):
            self._port.send(data)
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._loop.after(_SILENCE_S, self._frame_ended)
        self._pending += data
        length = _request_length(self._pending)
        if length is not None and len(self._pending) >= length:
            frame, self._pending = self._pending[:length], self._pending[length:]
            self._serve(frame)

    def _frame_ended(self) -> None:
        """Silence ends a frame of a function whose length is not known, and makes half a frame forgotten."""
        frame, self._pending = self._pending, b""
        self._serve(frame)

    def _serve(self, frame: bytes) -> None:
        if len(frame) < 4 or modbus(frame[:-2]) != frame[-2:]:
            return
        fault = self._units.fault(frame[0])
        if fault is None or fault in {"nack", "hang"}:
            return
        message = frame[:1] + self._units.answer(frame[0], fault, frame[1:-2])
        answer = self._damaged(message + modbus(message), fault)
        delay_s = _THINK_S + (len(frame) + len(answer)) * self._byte_s + (SLOW_S if fault == "slow" else 0.0)
        self._loop.after(delay_s, lambda: self._port.send(answer))

    def _damaged(self, answer: bytes, fault: str) -> bytes:
        if fault == "crc":
            return answer[:-1] + bytes([answer[-1] ^ 0x5A])
        return self._units.flipped(answer) if fault == "flip" else self._units.damaged(answer, fault)


class TcpHost:
    """A device on the network, or a gateway to several. `url`: where this machine plays it.

    Programs under `fake_hw.inject` reach it by the address of the site file: the node below the root says the port.
    """

    def __init__(self, loop: Loop, node: str, condition: Condition, chance: random.Random) -> None:
        self._loop = loop
        self._node = node
        self._condition = condition
        self._units = _Units(chance)
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self.url = ""

    def attach(self, unit: int, slave: Slave, condition: Condition, baud: int = 9600) -> None:
        """Put a part behind this host; baud means nothing here."""
        del baud
        self._units.attach(unit, slave, condition)

    def sync(self) -> None:
        """Be on the network, or not, as the plug says."""
        if self._condition.plugged and self._listener is None:
            self._appear()
        elif not self._condition.plugged and self._listener is not None:
            self.vanish()

    def vanish(self) -> None:
        """Hang up everywhere; the address is then one where nobody is."""
        for connection in tuple(self._connections):
            self._close(connection)
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            self._write_node(0)

    def _appear(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._loop.watch(self._listener.fileno(), self._accept)
        port = self._listener.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{port}"
        self._write_node(port)

    def _write_node(self, port: int) -> None:
        os.makedirs(os.path.dirname(self._node), exist_ok=True)
        with open(f"{self._node}.new", "w", encoding="ascii") as file:
            file.write(str(port))
        os.replace(f"{self._node}.new", self._node)

    def _accept(self) -> None:
        if self._listener is None:
            return
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._connections.add(connection)
            self._loop.watch(connection.fileno(), self._reader(connection))

    def _reader(self, connection: socket.socket) -> Callable[[], None]:
        pending = bytearray()

        def readable() -> None:
            try:
                data = connection.recv(4096)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            pending.extend(data)
            if not data:
                self._close(connection)
            while len(pending) > _HEADER and len(pending) >= 6 + int.from_bytes(pending[4:6], "big"):
                length = 6 + int.from_bytes(pending[4:6], "big")
                message = bytes(pending[:length])
                del pending[:length]
                self._serve(connection, message)

        return readable

    def _serve(self, connection: socket.socket, message: bytes) -> None:
        fault = self._units.fault(message[6])
        if fault is None or fault == "hang":
            return
        if fault == "nack":
            self._close(connection)
            return
        pdu = self._units.answer(message[6], fault, message[_HEADER:])
        answer = message[:4] + (len(pdu) + 1).to_bytes(2, "big") + message[6:7] + pdu
        damaged = self._units.damaged(answer, fault)
        self._loop.after(_THINK_S + (SLOW_S if fault == "slow" else 0.0), lambda: self._send(connection, damaged))

    def _send(self, connection: socket.socket, message: bytes) -> None:
        if connection in self._connections:
            with contextlib.suppress(OSError):
                connection.send(message)

    def _close(self, connection: socket.socket) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._loop.forget(connection.fileno())
            connection.close()


def _request_length(pending: bytes) -> int | None:
    """Bytes of the request that begins here; None while that can't be known."""
    if len(pending) < 7:
        return None
    if 1 <= pending[1] <= 6:
        return 8
    return 9 + pending[6] if pending[1] in {15, 16} else None
