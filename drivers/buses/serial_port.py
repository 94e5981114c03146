"""A serial line through pyserial: opened exclusively, by a stable name, opened again after an unplug."""

import contextlib
import os
import select
import termios
import time
from typing import Literal

import serial

from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected

# in_waiting and friends raise a bare OSError, tcsetattr a termios.error: pyserial wraps only some of them.
_GONE = (serial.SerialException, OSError, termios.error)
_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
WRITE_TIMEOUT_S = 0.3
SILENT_CHARACTERS = 3.5  # Modbus over Serial Line V1.02, 2.5.1.1: the pause that separates two frames
CHARACTER_BITS = 11
SHORTEST_SILENCE_S = 0.00175  # the same, above 19,200 baud


def open_bus(bus: Bus, root: str) -> "SerialLine":
    """The port of this node; opened at the first use."""
    return SerialLine(bus.device, root, baud=bus.baud, parity=bus.parity, stop_bits=bus.stop_bits)


class SerialLine:
    """One port (`SerialPort`), for its one worker thread. A call blocks for its timeout and WRITE_TIMEOUT_S at most."""

    def __init__(
        self,
        device: str,
        root: str = "/",
        *,
        baud: int = 9600,
        parity: Literal["none", "even", "odd"] = "none",
        stop_bits: int = 1,
    ) -> None:
        self._device = device
        self._path = os.path.join(root, device.lstrip("/"))
        self._baud, self._parity, self._stop_bits = baud, _PARITY[parity], stop_bits
        self._silence_s = max(SILENT_CHARACTERS * CHARACTER_BITS / baud, SHORTEST_SILENCE_S)
        self._port: serial.Serial | None = None
        self._pending = b""  # received, not yet handed out
        self._quiet_from = 0.0  # monotonic time of the last byte either way

    def request(self, message: bytes, reply_length: int, timeout_s: float) -> bytes:
        """Discard old input, keep the line's silence, send, read exactly `reply_length` bytes."""
        time.sleep(max(0.0, self._quiet_from + self._silence_s - time.monotonic()))
        self.discard_input()
        try:
            self._opened().write(message)
        except serial.SerialTimeoutException as error:
            raise DeviceTimeout(f"{self._device} takes no bytes: the adapter or its flow control is stuck") from error
        except _GONE as error:
            raise self._lost(error) from error
        return self.read(reply_length, timeout_s)

    def read(self, length: int, timeout_s: float) -> bytes:
        """Exactly `length` more bytes. Raises DeviceTimeout with what came."""
        deadline = time.monotonic() + timeout_s
        while len(self._pending) < length:
            self._receive(deadline)
        return self._take(length)

    def read_until(self, terminator: bytes, limit: int, timeout_s: float) -> bytes:
        """Bytes up to and with the terminator. Raises DeviceTimeout, or InvalidData after `limit` bytes without one."""
        deadline = time.monotonic() + timeout_s
        while (found := self._pending.find(terminator, 0, limit)) < 0:
            if len(self._pending) >= limit:
                raise InvalidData(
                    f"{limit} bytes on {self._device} without an end of line, the first {self._take(limit)[:16]!r}: "
                    "check baud rate and format"
                )
            self._receive(deadline)
        return self._take(found + len(terminator))

    def discard_input(self) -> None:
        """Forget what has come so far."""
        self._pending = b""
        port = self._opened()
        try:
            port.reset_input_buffer()
        except _GONE as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Close the port; a later call opens it again."""
        port, self._port = self._port, None
        self._pending = b""
        if port is not None:
            with contextlib.suppress(*_GONE):
                port.close()

    def _receive(self, deadline: float) -> None:
        port = self._opened()
        try:
            ready, _, _ = select.select([port.fileno()], [], [], max(0.0, deadline - time.monotonic()))
            received = port.read(4096) if ready else b""
        except _GONE as error:
            raise self._lost(error) from error
        if not received:
            came = self._take(len(self._pending))
            raise DeviceTimeout(
                f"no complete answer on {self._device}, got {came.hex(' ') or 'nothing'}: check power and wires"
            )
        self._pending += received
        self._quiet_from = time.monotonic()

    def _take(self, length: int) -> bytes:
        taken, self._pending = self._pending[:length], self._pending[length:]
        return taken

    def _opened(self) -> serial.Serial:
        if self._port is None:
            try:
                self._port = serial.Serial(
                    self._path,
                    self._baud,
                    parity=self._parity,
                    stopbits=self._stop_bits,
                    timeout=0,
                    write_timeout=WRITE_TIMEOUT_S,
                    exclusive=True,
                )
            except _GONE as error:
                raise NotConnected(f"can't open {self._device}: {self._cure(error)}") from error
        return self._port

    def _lost(self, error: Exception) -> DeviceError:
        self.close()
        return NotConnected(f"{self._device} went away ({error}): plug the adapter in again")

    def _cure(self, error: Exception) -> str:
        if not os.path.exists(self._path):
            return "no such device; plug the adapter in, or find its name with `ls /dev/serial/by-id`"
        if isinstance(error, OSError) and error.errno == 11:
            return "another program has it open; stop that program"
        return f"{error}; check the adapter, and that the gateway's user is in the group dialout"
