"""Sensirion's words and commands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.sensirion import command, crc8, words
from fake_hw.parts.crc import sensirion, sensirion_words
from gateway.core.errors import InvalidData


def test_the_datasheets_example() -> None:
    """0xBEEF has the checksum 0x92; a command carries its arguments with theirs (SGP41: 50 %RH, 25 °C)."""
    assert crc8(b"\xbe\xef") == 0x92
    assert command(0x2619, 0x8000, 0x6666) == bytes.fromhex("26 19 80 00 a2 66 66 93")
    assert command(0x0202) == b"\x02\x02"


@given(st.binary(max_size=8))
def test_bit_by_bit_and_by_table_agree(data: bytes) -> None:
    """Our checksum and the simulator's, computed in different ways, are the same function."""
    assert crc8(data) == sensirion(data)


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=9), st.data())
def test_words_come_through_and_no_single_bit_error_does(values: list[int], data: st.DataObject) -> None:
    """What was sent is read; with any one bit flipped, missing or added bytes it is refused."""
    frame = sensirion_words(*values)
    names = [f"w{index}" for index in range(len(values))]
    assert words(frame, *names) == tuple(values)
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    damaged = (int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(len(frame), "big")
    for wrong in (damaged, frame[:-1], frame + b"\x00", b"\xff" * len(frame)):
        with pytest.raises(InvalidData):
            words(wrong, *names)


def test_the_damaged_word_is_named() -> None:
    """The error says which quantity it was and what to look at."""
    with pytest.raises(InvalidData, match=r"the humidity word 00 02 00 fails its CRC: check cable"):
        words(sensirion_words(1) + b"\x00\x02\x00", "temperature", "humidity")
