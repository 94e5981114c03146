"""Modbus frames around PDUs: RTU on a serial line, MBAP over TCP. Pure: bytes in, bytes out.

"MODBUS over Serial Line Specification and Implementation Guide" V1.02, chapter 2.5;
"MODBUS Messaging on TCP/IP Implementation Guide" V1.0b, chapter 3.1.3.
"""

import struct
from dataclasses import dataclass

from drivers.decoding import modbus_pdu
from gateway.core.errors import InvalidData

SHORTEST = 5  # an exception reply: unit, function, code, checksum
OVERHEAD = 3  # unit and checksum around a PDU
_MBAP = struct.Struct(">HHHB")  # transaction, protocol (0), bytes that follow, unit
HEADER_LENGTH = _MBAP.size
LONGEST_PDU = 253


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS; the guide's example is crc16(02 07) = 0x1241."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def rtu(unit: int, pdu: bytes) -> bytes:
    """The frame on the line: unit, PDU, checksum with its low byte first."""
    message = bytes([unit]) + pdu
    return message + crc16(message).to_bytes(2, "little")


def unwrapped(frame: bytes, unit: int) -> bytes:
    """The PDU of a reply's frame. Raises InvalidData for a wrong checksum or a foreign unit."""
    if len(frame) < SHORTEST or crc16(frame) != 0:  # over data and checksum together
        raise InvalidData(
            f"the reply {frame[:16].hex(' ')} fails its CRC: check termination, polarity and baud rate of the line"
        )
    if frame[0] != unit:
        raise InvalidData(f"unit {frame[0]} answered instead of {unit}: two parts with one address?")
    return frame[1:-2]


@dataclass(frozen=True, slots=True)
class Reception:
    """What has come since a request: `missing` more bytes at least, or the reply's frame.

    echoed: our own request stood before it, from an adapter that hears itself.
    """

    missing: int
    reply: bytes = b""
    echoed: bool = False


def reception(received: bytes, request: bytes, echoes: bool | None) -> Reception:
    """Tell the reply from an echo. Raises ValueError for a request that modbus_pdu can't have made.

    echoes: whether the adapter hears itself; None where the bytes must show it, which those of a write can't: its good
    reply looks like its echo.
    """
    good = modbus_pdu.parse_request(request[1:-2]).reply_length + OVERHEAD
    if len(received) < SHORTEST:
        return Reception(SHORTEST - len(received))
    if echoes is False or not request.startswith(received[: len(request)]):
        return _reply(received, good, echoed=False)
    if echoes is None and len(received) < good < len(
        request
    ):  # a short reply may begin like its request, and differ later
        return Reception(good - len(received))
    if len(received) < len(request):
        return Reception(len(request) - len(received))
    return _reply(received[len(request) :], good, echoed=True)


def _reply(received: bytes, good: int, *, echoed: bool) -> Reception:
    refused = len(received) >= SHORTEST and received[1] & modbus_pdu.EXCEPTION
    length = good if len(received) >= SHORTEST and not refused else SHORTEST
    return Reception(max(0, length - len(received)), received[:length], echoed)


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before a PDU on TCP. length: bytes of the PDU."""

    transaction: int
    unit: int
    length: int


def mbap(transaction: int, unit: int, pdu: bytes) -> bytes:
    """The message on a TCP connection."""
    return _MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def parse_mbap(data: bytes) -> Header:
    """The header of a message. Raises InvalidData when these bytes can't be one: the stream's rhythm is lost."""
    transaction, protocol, length, unit = _MBAP.unpack(data)
    if protocol != 0 or not 2 <= length - 1 <= LONGEST_PDU:
        raise InvalidData(f"{data.hex(' ')} is no Modbus TCP header: is another service on this port?")
    return Header(transaction, unit, length - 1)
