"""Modbus RTU on a serial line: one request at a time, silence between frames, echo and late replies recognised."""

import contextlib
import time

from drivers.buses import modbus_frames as frames
from drivers.buses.serial_port import CHARACTER_BITS, SerialLine
from drivers.buses.turns import Turns
from drivers.decoding import modbus_pdu
from gateway.core.driver import Bus
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected

LATE_S = 1.0
"""How long after an unanswered request its reply may still come: RTU replies don't say which request they answer."""
ADAPTER_S = 0.1  # USB adapters and the kernel hand bytes over in pieces
TURN_S = 10.0
"""How long a call waits for those before it, each of which ends within its own timeouts."""
QUIET_S, NOISE_S = 0.02, 0.3  # a pause that ends a babble, and how long one is listened to


def open_bus(bus: Bus, root: str) -> "RtuLine":
    """The line of this node; opened at the first request."""
    port = SerialLine(bus.device, root, baud=bus.baud, parity=bus.parity, stop_bits=bus.stop_bits)
    return RtuLine(port, bus)


class RtuLine:
    """Several units on one line (`ModbusBus`). Calls of several threads take turns.

    A call blocks for its turn, up to LATE_S when its unit failed to answer just before, its timeout, and the time that
    the frames take on the line.
    """

    def __init__(self, port: SerialLine, bus: Bus) -> None:
        self._port = port
        self._character_s = CHARACTER_BITS / bus.baud
        self._turns = Turns(bus.device, TURN_S)
        self._echoes: bool | None = None  # whether the adapter hears itself; None until a read has shown it
        self._late: dict[int, float] = {}  # unit → until when (monotonic) the reply to an older request may come

    def request(self, unit: int, pdu: bytes, timeout_s: float = 0.5) -> bytes:
        """The reply's PDU. Raises DeviceTimeout, InvalidData, NotConnected, and DeviceError for an exception reply."""
        if pdu[0] in modbus_pdu.READS or self._echoes is None:
            self._let_late_reply_pass(unit)
        with self._turns:
            if pdu[0] in modbus_pdu.WRITES and self._echoes is None:
                self._learn_echo(unit, pdu, timeout_s)
            return modbus_pdu.checked(self._answer(unit, pdu, timeout_s), pdu, unit)

    def close(self) -> None:
        """Close the port when the request under way has ended; a later request opens it again."""
        with contextlib.suppress(DeviceTimeout), self._turns:
            self._port.close()
            self._echoes = None

    def _let_late_reply_pass(self, unit: int) -> None:
        time.sleep(max(0.0, self._late.pop(unit, 0.0) - time.monotonic()))

    def _learn_echo(self, unit: int, pdu: bytes, timeout_s: float) -> None:
        """A write's good reply is its own echo byte for byte, so ask something whose answer differs first."""
        kind: modbus_pdu.Kind = "coil" if pdu[0] in {modbus_pdu.WRITE_COIL, modbus_pdu.WRITE_COILS} else "holding"
        # A refusal shows the echo as well as an answer does.
        self._answer(unit, modbus_pdu.read(kind, modbus_pdu.parse_request(pdu).at, 1), timeout_s)

    def _answer(self, unit: int, pdu: bytes, timeout_s: float) -> bytes:
        """The PDU that this unit sent, whatever it says."""
        seen = self._received(frames.rtu(unit, pdu), timeout_s, unit)
        try:
            answer = frames.unwrapped(seen.reply, unit)
        except InvalidData:
            self._let_noise_end()
            raise
        if pdu[0] in modbus_pdu.READS:
            self._echoes = seen.echoed
        return answer

    def _received(self, request: bytes, timeout_s: float, unit: int) -> frames.Reception:
        """The frame that came back, without our echo, unchecked."""
        is_read = request[1] in modbus_pdu.READS
        began = time.monotonic()
        try:
            received = self._port.request(request, frames.SHORTEST, timeout_s + self._on_line_s(len(request)))
            while (seen := frames.reception(received, request, None if is_read else self._echoes)).missing:
                # After the echo the unit still has its whole time to think.
                wait_s = timeout_s if len(received) == len(request) and seen.echoed else ADAPTER_S
                received += self._port.read(seen.missing, wait_s + self._on_line_s(seen.missing))
        except DeviceTimeout as error:
            self._late[unit] = began + max(timeout_s, LATE_S)
            raise DeviceTimeout(f"unit {unit}: {error}") from error
        except NotConnected:
            self._echoes = None  # another adapter may come
            raise
        return seen

    def _on_line_s(self, length: int) -> float:
        return length * self._character_s

    def _let_noise_end(self) -> None:
        """Start the next request on a silent line: what still comes is read away, but not for ever."""
        patience = time.monotonic() + NOISE_S
        try:
            while time.monotonic() < patience:
                self._port.read(1, QUIET_S)
        except DeviceTimeout:
            return
