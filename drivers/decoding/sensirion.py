"""Sensirion's I2C words: two bytes, most significant first, and the CRC-8 that guards them.

Datasheets SHT4x version 6 (4.4), SCD4x, SGP41, SEN6x and SPS30 describe the same one.
"""

from gateway.core.errors import InvalidData

CRC_POLYNOMIAL = 0x31  # x^8 + x^5 + x^4 + 1
CRC_INITIAL = 0xFF
WORD = 3  # bytes on the wire


def crc8(data: bytes) -> int:
    """The checksum of one word; the datasheets' example is crc8(0xBEEF) = 0x92."""
    crc = CRC_INITIAL
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ CRC_POLYNOMIAL if crc & 0x80 else crc << 1
        crc &= 0xFF
    return crc


def words(data: bytes, *names: str) -> tuple[int, ...]:
    """One word (0 to 65535) per name. Raises InvalidData, naming the word, when a checksum or the length refuses it."""
    found = tuple(_word(data[WORD * index : WORD * index + WORD], name) for index, name in enumerate(names))
    if len(data) != WORD * len(names):
        raise InvalidData(f"{len(data)} bytes came where {len(names)} words and their CRCs take {WORD * len(names)}")
    return found


def command(code: int, *arguments: int) -> bytes:
    """A 16-bit command as it is written, each argument followed by its checksum."""
    message = code.to_bytes(2, "big")
    for argument in arguments:
        pair = argument.to_bytes(2, "big")
        message += pair + bytes((crc8(pair),))
    return message


def _word(data: bytes, name: str) -> int:
    if len(data) != WORD or crc8(data[:2]) != data[2]:
        raise InvalidData(f"the {name} word {data.hex(' ')} fails its CRC: check cable length, shield and pull-ups")
    return int.from_bytes(data[:2], "big")
