"""A Microchip MCP2221A (datasheet DS20005565, chapter 3): a USB stick that is an I2C adapter, on simulated wires.

The kernel's hid-mcp2221 drives it, so what hangs on the simulator's adapter hangs on a real `/dev/i2c-N`.
"""

import errno
import struct
from collections.abc import Callable

from fake_hw.node import connect
from tests.vm.guest.uhid import UserHid

PRODUCT = (0x04D8, 0x00DD)
REPORT_SIZE = 64
CHUNK = 60
# Usage page of the vendor's own, one input and one output report of 64 bytes
DESCRIPTOR = bytes.fromhex("0600ff0901a10109011500 26ff00 7508 9540 8102 0902 1500 26ff00 7508 9540 9102 c0")
STATUS, GET_DATA = 0x10, 0x40
WRITE, READ, READ_AGAIN, WRITE_ON = 0x90, 0x91, 0x93, 0x94  # READ_AGAIN: repeated START; WRITE_ON: no STOP
CANCEL, SET_SPEED = 0x10, 0x20
IDLE, STOP_TIMEOUT, NOT_ACKNOWLEDGED, READ_PARTIAL, READ_COMPLETE = 0x00, 0x62, 0x25, 0x54, 0x55
NO_ACKNOWLEDGE_BIT = 0x40
I2C_READ = 0x0001

Messages = list[tuple[int, int, int, bytes]]  # address, flags, length, bytes of a write


class SimulatedWires:
    """The far end: the adapter of a simulated machine."""

    def __init__(self, path: str) -> None:
        self._connection = connect(path)

    def transfer(self, messages: Messages) -> tuple[int, bytes]:
        """(errno or 0, what was read)."""
        packed = b"".join(struct.pack("<HHH", *head) + data for *head, data in messages)
        self._connection.send(packed)
        answer = self._connection.recv(65536)
        return struct.unpack_from("<i", answer)[0], answer[4:]

    def close(self) -> None:
        """Cut the wires."""
        self._connection.close()


class Mcp2221:
    """The firmware: one command a report, one report in answer."""

    def __init__(self, transfer: Callable[[Messages], tuple[int, bytes]]) -> None:
        self._transfer = transfer
        self._pending = b""  # of a write that has not all come yet
        self._before: Messages = []  # written without a STOP
        self._read = b""
        self._state = IDLE

    def answer(self, report: bytes) -> bytes:
        """The report in answer to a command."""
        command = report[0]
        if command == STATUS:
            answer = self._status(report)
        elif command == GET_DATA:
            answer = self._data()
        elif command in (WRITE, WRITE_ON):
            answer = self._write(report)
        elif command in (READ, READ_AGAIN):
            answer = self._start_read(report)
        else:
            answer = bytes([command])  # settings: whatever is asked is done
        return answer.ljust(REPORT_SIZE, b"\0")

    def _status(self, report: bytes) -> bytes:
        answer = bytearray(REPORT_SIZE)
        answer[0] = STATUS
        if len(report) > 3 and report[3] == SET_SPEED:
            answer[3] = SET_SPEED
        if len(report) > 2 and report[2] == CANCEL:
            self._state, self._read, self._before, self._pending = IDLE, b"", [], b""
        answer[8] = self._state if self._state == STOP_TIMEOUT else IDLE
        answer[20] = NO_ACKNOWLEDGE_BIT if self._state == NOT_ACKNOWLEDGED else 0
        return bytes(answer)

    def _write(self, report: bytes) -> bytes:
        command, length, address = struct.unpack_from("<BHB", report)
        self._pending += report[4 : 4 + min(CHUNK, length - len(self._pending))]
        if len(self._pending) >= length:
            message = (address >> 1, 0, length, self._pending)
            self._pending = b""
            if command == WRITE_ON:
                self._before = [message]
            else:
                self._run([message])
        return bytes([command])

    def _start_read(self, report: bytes) -> bytes:
        command, length, address = struct.unpack_from("<BHB", report)
        before, self._before = self._before if command == READ_AGAIN else [], []
        self._run([*before, (address >> 1, I2C_READ, length, b"")])
        return bytes([command])

    def _data(self) -> bytes:
        if self._state != IDLE:
            return bytes([GET_DATA, 0, self._state])
        chunk, self._read = self._read[:CHUNK], self._read[CHUNK:]
        return bytes([GET_DATA, 0, READ_PARTIAL if self._read else READ_COMPLETE, len(chunk)]) + chunk

    def _run(self, messages: Messages) -> None:
        error, self._read = self._transfer(messages)
        self._state = {0: IDLE, errno.ETIMEDOUT: STOP_TIMEOUT}.get(error, NOT_ACKNOWLEDGED)


class UsbAdapter:
    """The stick, plugged in, with its wires on the simulated adapter at `path`."""

    def __init__(self, path: str) -> None:
        self._wires = SimulatedWires(path)
        self._hid = UserHid("MCP2221 USB-I2C/UART Combo", PRODUCT, DESCRIPTOR, Mcp2221(self._wires.transfer).answer)

    def unplug(self) -> None:
        """Pull it out; harmless when repeated."""
        self._hid.unplug()
        self._wires.close()
