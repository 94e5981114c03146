"""The ioctls of i2c-dev, read out of the caller's memory as the kernel does it."""

import ctypes
import errno
import os
import struct
from typing import Any, Protocol

_SLAVE, _TENBIT, _FUNCS, _SLAVE_FORCE, _RDWR, _PEC = 0x0703, 0x0704, 0x0705, 0x0706, 0x0707, 0x0708
_RETRIES, _TIMEOUT, _SMBUS = 0x0701, 0x0702, 0x0720
_READ = 0x0001
_MESSAGES_MAX = 42
# I2C, and SMBus by emulation without block reads whose length the part tells, like bcm2835's adapter
_FUNCTIONS = 0x00000001 | 0x0EFF0008 & ~0x01000000
_TRANSFER = struct.Struct("PI")
_MESSAGE = struct.Struct("HHHxxP" if struct.calcsize("P") == 8 else "HHHxxI")
_SMBUS_DATA = struct.Struct("BBIP")
_HEAD = struct.Struct("<HHH")
_QUICK, _BYTE, _BYTE_DATA, _WORD_DATA, _PROC_CALL, _BLOCK_BROKEN, _I2C_BLOCK = 0, 1, 2, 3, 4, 6, 8


class Asker(Protocol):
    """An opened adapter."""

    address: int

    def ask(self, packet: bytes) -> tuple[bytes, list[int]]:
        """One transaction."""
        ...


def ioctl(node: Asker, request: int, argument: Any) -> int:
    """Answer one request. Raises OSError with the adapter's errno."""
    if request == _RDWR:
        return _combined(node, argument)
    if request == _SMBUS:
        return _smbus(node, argument)
    if request in {_SLAVE, _SLAVE_FORCE}:
        node.address = int(argument)
        return 0
    if request == _FUNCS:
        ctypes.memmove(ctypes.addressof(argument), struct.pack("L", _FUNCTIONS), struct.calcsize("L"))
        return 0
    if request in {_TENBIT, _PEC, _RETRIES, _TIMEOUT}:
        return 0
    raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


def _combined(node: Asker, argument: Any) -> int:
    """I2C_RDWR: gather what is written, scatter what was read into the messages' buffers."""
    messages, count = _TRANSFER.unpack_from(bytes(argument))
    if not 0 < count <= _MESSAGES_MAX:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    packet = bytearray()
    reads = []
    for address, flags, length, buffer in _MESSAGE.iter_unpack(ctypes.string_at(messages, _MESSAGE.size * count)):
        packet += _HEAD.pack(address, flags, length)
        if flags & _READ:
            reads.append((buffer, length))
        else:
            packet += ctypes.string_at(buffer, length)
    answer = node.ask(bytes(packet))[0]
    position = 0
    for buffer, length in reads:
        ctypes.memmove(buffer, answer[position : position + length], length)
        position += length
    return int(count)


def _smbus(node: Asker, argument: Any) -> int:
    """I2C_SMBUS as the kernel's emulation makes it out of plain messages."""
    is_read, command, size, pointer = _SMBUS_DATA.unpack_from(bytes(argument))
    before = ctypes.string_at(pointer, 34) if pointer else b""
    written, length = _smbus_messages(is_read, command, size, before)
    packet = b""
    if written is not None:
        packet += _HEAD.pack(node.address, 0, len(written)) + written
    if length is not None:
        packet += _HEAD.pack(node.address, _READ, length)
    answer = node.ask(packet)[0]
    if length:
        ctypes.memmove(pointer + (1 if size in {_I2C_BLOCK, _BLOCK_BROKEN} else 0), answer, length)
    return 0


def _smbus_messages(is_read: int, command: int, size: int, data: bytes) -> tuple[bytes | None, int | None]:
    """(bytes to write or None, bytes to read or None) of an SMBus transfer; words are little-endian."""
    head = bytes([command])
    if size == _QUICK:
        return (None, 0) if is_read else (b"", None)
    if size == _BYTE:
        return (None, 1) if is_read else (head, None)
    if size == _PROC_CALL:
        return head + data[:2], 2
    lengths = {_BYTE_DATA: 1, _WORD_DATA: 2, _I2C_BLOCK: data[0] if data else 0, _BLOCK_BROKEN: data[0] if data else 0}
    if size not in lengths:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    length = lengths[size]
    if is_read:
        return head, length
    start = 1 if size in {_I2C_BLOCK, _BLOCK_BROKEN} else 0
    return head + data[start : start + length], None
