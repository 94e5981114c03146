"""Modbus frames: checksums, the length of a reply before it has come, echoes, MBAP headers."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.buses import modbus_frames as frames
from drivers.decoding import modbus_pdu as pdu
from fake_hw.parts.crc import modbus
from fake_hw.parts.modbus_slave import RegisterSlave
from gateway.core.errors import DeviceError, InvalidData

READS = st.builds(
    pdu.read, st.sampled_from(["input", "holding", "coil", "discrete"]), st.integers(0, 400), st.integers(1, 60)
)
WRITES = st.one_of(
    st.builds(pdu.write_coil, st.integers(0, 400), st.booleans()),
    st.builds(pdu.write_register, st.integers(0, 400), st.integers(0, 0xFFFF)),
    st.builds(pdu.write_coils, st.integers(0, 400), st.lists(st.booleans(), min_size=1, max_size=40)),
    st.builds(pdu.write_registers, st.integers(0, 400), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=40)),
)
UNITS = st.integers(1, 247)


def answer(request: bytes, seed: int) -> bytes:
    words = {at: at * seed & 0xFFFF for at in range(500)}
    bits = {at: words[at] & 1 for at in words}
    return RegisterSlave(coils=bits, discretes=bits, holdings=words, inputs=words).answer(request)


def received_in_steps(stream: bytes, request: bytes, echoes: bool | None) -> frames.Reception:
    """Exactly what is asked for, as the line reads it; never more than the stream has."""
    received = b""
    while (seen := frames.reception(received, request, echoes)).missing:
        assert len(received) + seen.missing <= len(stream), "it waits for bytes that never come"
        received = stream[: len(received) + seen.missing]
    return seen


def test_the_guides_checksum_example() -> None:
    """CRC-16 as in the Modbus guide: 02 07 has 0x1241, sent as 41 12."""
    assert frames.crc16(b"\x02\x07") == 0x1241
    assert frames.rtu(2, b"\x07") == b"\x02\x07\x41\x12"


@given(st.binary(max_size=256))
def test_checksums_agree_with_a_table(data: bytes) -> None:
    """Bit by bit and by table: the same remainder."""
    assert frames.crc16(data).to_bytes(2, "little") == modbus(data)


@given(UNITS, READS, st.integers(0, 999), st.data())
def test_no_single_bit_error_passes(unit: int, request_: bytes, seed: int, data: st.DataObject) -> None:
    """Any flipped bit of a reply is refused."""
    frame = frames.rtu(unit, answer(request_, seed))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    damaged = (int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(len(frame), "big")
    with pytest.raises(InvalidData, match="CRC"):
        frames.unwrapped(damaged, unit)


def test_a_foreign_unit_is_refused() -> None:
    """Another part's answer is never taken for ours."""
    with pytest.raises(InvalidData, match="unit 2 answered instead of 1"):
        frames.unwrapped(frames.rtu(2, b"\x04\x02\x00\x01"), 1)


@given(UNITS, READS, st.integers(0, 999), st.booleans(), st.booleans())
def test_a_reads_reply_is_found_with_and_without_echo(
    unit: int, request_: bytes, seed: int, echoed: bool, refused: bool
) -> None:
    """Not a byte too few or too many is waited for, and our own echo is never taken for the reply."""
    frame = frames.rtu(unit, request_)
    reply = frames.rtu(unit, bytes([request_[0] | 0x80, 2]) if refused else answer(request_, seed))
    assume(reply[: len(frame)] != frame)  # a reply that is its request byte for byte can't be told from an echo
    stream = frame + reply if echoed else reply
    seen = received_in_steps(stream, frame, None)
    assert seen == frames.Reception(0, reply, echoed)


@given(UNITS, WRITES, st.booleans(), st.booleans())
def test_a_writes_reply_is_found_when_the_echo_is_known(
    unit: int, request_: bytes, echoes: bool, refused: bool
) -> None:
    """With an adapter that hears itself the first frame is ours, without one it is the part's."""
    frame = frames.rtu(unit, request_)
    reply = frames.rtu(unit, bytes([request_[0] | 0x80, 3]) if refused else answer(request_, 1))
    seen = received_in_steps(frame + reply if echoes else reply, frame, echoes)
    assert seen == frames.Reception(0, reply, echoes)


def test_a_short_reply_that_begins_like_its_request() -> None:
    """Register 0x0201 holds 256: the reply's first five bytes are the request's, and no echo is waited for."""
    request = pdu.read("input", 0x0201, 1)
    frame = frames.rtu(1, request)
    reply = frames.rtu(1, b"\x04\x02\x01\x00")
    assert frame[:5] == reply[:5]
    assert received_in_steps(reply, frame, None) == frames.Reception(0, reply, False)
    assert received_in_steps(frame + reply, frame, None) == frames.Reception(0, reply, True)


@given(st.binary(max_size=40), UNITS, READS)
def test_any_bytes_end_in_an_answer_or_an_error(data: bytes, unit: int, request_: bytes) -> None:
    """Noise never makes the line wait for more than a reply and an echo, and never passes as another value."""
    frame = frames.rtu(unit, request_)
    good = pdu.parse_request(request_).reply_length + frames.OVERHEAD
    seen = frames.reception(data, frame, None)
    assert seen.missing <= len(frame) + good
    if seen.missing:
        return
    try:
        reply = pdu.checked(frames.unwrapped(seen.reply, unit), request_, unit)
    except DeviceError:
        return
    assert modbus(seen.reply[:-2]) == seen.reply[-2:]
    assert reply[0] == request_[0]


def test_the_tcp_guides_example() -> None:
    """Appendix A of the implementation guide: transaction 0x1501, unit 0xFF, read holding register 4."""
    assert frames.mbap(0x1501, 0xFF, pdu.read("holding", 4, 1)) == bytes.fromhex("1501 0000 0006 ff 03 0004 0001")
    assert frames.parse_mbap(bytes.fromhex("1501 0000 0005 ff")) == frames.Header(0x1501, 0xFF, 4)


@pytest.mark.parametrize(
    "header", ["0001 0001 0006 01", "0001 0000 0000 01", "0001 0000 0002 01", "0001 0000 00ff 01", "ff" * 7]
)
def test_what_is_no_header_is_refused(header: str) -> None:
    """Another protocol, or a length that no Modbus message has."""
    with pytest.raises(InvalidData, match="no Modbus TCP header"):
        frames.parse_mbap(bytes.fromhex(header))
