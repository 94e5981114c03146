"""Checksums against the examples that their authors published."""

from fake_hw.parts.crc import dallas, modbus, sensirion


def test_published_examples() -> None:
    """Sensirion's 0xBEEF → 0x92, the catalogue values of CRC-16/MODBUS and CRC-8/MAXIM over `123456789`."""
    assert sensirion(b"\xbe\xef") == 0x92
    assert modbus(b"123456789") == b"\x37\x4b"
    assert dallas(b"123456789") == 0xA1
