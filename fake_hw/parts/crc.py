"""Checksums by table (the production code computes them bit by bit): a shared mistake cannot hide."""

from collections.abc import Iterable


def _table(polynomial: int, reflected: bool) -> tuple[int, ...]:
    """The 256 remainders of an 8-bit (most significant bit first) or 16-bit (reflected) CRC."""
    rows = []
    for index in range(256):
        remainder = index
        for _ in range(8):
            if reflected:
                remainder = (remainder >> 1) ^ (polynomial if remainder & 1 else 0)
            else:
                remainder = ((remainder << 1) & 0xFF) ^ (polynomial if remainder & 0x80 else 0)
        rows.append(remainder)
    return tuple(rows)


_SENSIRION = _table(0x31, reflected=False)
_MODBUS = _table(0xA001, reflected=True)
_DALLAS = _table(0x8C, reflected=True)
_SMBUS = _table(0x07, reflected=False)


def sensirion(data: Iterable[int]) -> int:
    """CRC-8 of Sensirion words: polynomial 0x31, start 0xFF (SHT4x datasheet, 4.4)."""
    remainder = 0xFF
    for byte in data:
        remainder = _SENSIRION[remainder ^ byte]
    return remainder


def sensirion_words(*values: int) -> bytes:
    """Words of 16 bits as Sensirion's parts send them: two bytes, then their checksum."""
    frame = bytearray()
    for value in values:
        pair = value.to_bytes(2, "big")
        frame += pair
        frame.append(sensirion(pair))
    return bytes(frame)


def spoiled_words(data: bytes) -> bytes:
    """The same words, each with a wrong checksum (the fault `crc`)."""
    return bytes(byte ^ 0x5A if index % 3 == 2 else byte for index, byte in enumerate(data))


def modbus(data: Iterable[int]) -> bytes:
    """CRC-16 of Modbus RTU as it stands on the line, low byte first."""
    remainder = 0xFFFF
    for byte in data:
        remainder = (remainder >> 8) ^ _MODBUS[(remainder ^ byte) & 0xFF]
    return remainder.to_bytes(2, "little")


def dallas(data: Iterable[int]) -> int:
    """CRC-8 of 1-Wire scratchpads: polynomial 0x31 reflected, start 0."""
    remainder = 0
    for byte in data:
        remainder = _DALLAS[remainder ^ byte]
    return remainder


def smbus(data: Iterable[int]) -> int:
    """The packet error code of SMBus: polynomial 0x07, start 0."""
    remainder = 0
    for byte in data:
        remainder = _SMBUS[remainder ^ byte]
    return remainder
