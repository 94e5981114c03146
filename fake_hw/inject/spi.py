"""The ioctls of spidev, read out of the caller's memory as the kernel does it."""

import ctypes
import errno
import os
import struct
from typing import Any, Protocol

from fake_hw.buses.spi import HEAD

_MESSAGE, _MODE, _LSB_FIRST, _BITS_PER_WORD, _MAX_SPEED_HZ, _MODE32 = range(6)
_WRITES = 1  # the direction bits of a request: the caller hands something in
# tx_buf, rx_buf, len, speed_hz, delay_usecs, bits_per_word, cs_change, tx_nbits, rx_nbits, word_delay, pad
_TRANSFER = struct.Struct("=QQIIHBBBBBB")
_LONGEST = 4096  # spidev's own buffer


class SpiNode(Protocol):
    """An opened chip select. The kernel keeps the settings per chip select, here each descriptor has its own."""

    spi_mode: int
    spi_bits: int
    spi_speed_hz: int

    def ask(self, packet: bytes) -> tuple[bytes, list[int]]:
        """One message."""
        ...


def ioctl(node: SpiNode, request: int, argument: Any) -> int | bytes:
    """Answer one request: a number that the call returns, or bytes for the caller's buffer. Raises OSError."""
    number, writes, size = request & 0xFF, bool(request >> 30 & _WRITES), request >> 16 & 0x3FFF
    if number == _MESSAGE and writes:
        return _message(node, argument, size)
    if number == _LSB_FIRST:
        return 0 if writes else bytes(size)
    setting = {_MODE: "spi_mode", _MODE32: "spi_mode", _BITS_PER_WORD: "spi_bits", _MAX_SPEED_HZ: "spi_speed_hz"}
    if number not in setting:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
    if not writes:
        return int(getattr(node, setting[number])).to_bytes(size, "little")
    setattr(node, setting[number], int.from_bytes(bytes(argument)[:size], "little"))
    return 0


def _message(node: SpiNode, argument: Any, size: int) -> int:
    """SPI_IOC_MESSAGE(N): gather what goes out, scatter what came in."""
    packet, receivers, total = bytearray(), [], 0
    for fields in _TRANSFER.iter_unpack(bytes(argument)[: size - size % _TRANSFER.size]):
        sent, received, length, speed_hz, _, bits, cs_change = fields[:7]
        packet += HEAD.pack(length, speed_hz or node.spi_speed_hz, node.spi_mode, bits or node.spi_bits, cs_change & 1)
        packet += ctypes.string_at(sent, length) if sent else bytes(length)
        receivers.append((received, total, length))
        total += length
    if total > _LONGEST:
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    answer = node.ask(bytes(packet))[0] if packet else b""
    for address, start, length in receivers:
        if address:
            ctypes.memmove(address, answer[start : start + length], length)
    return total
