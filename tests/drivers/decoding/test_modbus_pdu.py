"""Modbus requests and replies, as the specification's examples have them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding import modbus_pdu as pdu
from fake_hw.parts.modbus_slave import RegisterSlave
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pdu.read("coil", 0x13, 0x13), "01 0013 0013"),
        (pdu.read("discrete", 0xC4, 0x16), "02 00c4 0016"),
        (pdu.read("holding", 0x6B, 3), "03 006b 0003"),
        (pdu.read("input", 8, 1), "04 0008 0001"),
        (pdu.write_coil(0xAC, True), "05 00ac ff00"),
        (pdu.write_register(1, 3), "06 0001 0003"),
        (
            pdu.write_coils(0x13, [True, False, True, True, False, False, True, True, True, False]),
            "0f 0013 000a 02 cd01",
        ),
        (pdu.write_registers(1, [10, 0x102]), "10 0001 0002 04 000a 0102"),
    ],
)
def test_the_specifications_requests(request_: bytes, expected: str) -> None:
    """The example of each function in chapter 6, byte for byte."""
    assert request_ == bytes.fromhex(expected)


def test_the_most_that_a_request_can_hold() -> None:
    """Up to the last address, the largest word and the counts of chapter 6."""
    assert pdu.write_register(0xFFFF, 0xFFFF) == bytes.fromhex("06 ffff ffff")
    assert pdu.write_coil(0xFFFF, False) == bytes.fromhex("05 ffff 0000")
    assert pdu.read("coil", 0, 2000) == bytes.fromhex("01 0000 07d0")
    assert pdu.read("input", 0xFFFF - 124, 125) == bytes.fromhex("04 ff83 007d")
    assert pdu.write_coils(0, [True] * 8) == bytes.fromhex("0f 0000 0008 01 ff")
    assert len(pdu.write_coils(0, [True] * 1968)) == 6 + 246
    assert len(pdu.write_registers(0, [0] * 123)) == 6 + 246


@pytest.mark.parametrize(
    "ask",
    [
        lambda: pdu.read("holding", 0, 126),
        lambda: pdu.read("coil", 0, 2001),
        lambda: pdu.read("input", 0, 0),
        lambda: pdu.read("input", 65530, 7),
        lambda: pdu.read("holding", 0xFFFF, 2),
        lambda: pdu.write_register(70000, 1),
        lambda: pdu.write_register(0, 0x10000),
        lambda: pdu.write_register(0, -1),
        lambda: pdu.write_registers(0, []),
        lambda: pdu.write_registers(0, [0] * 124),
        lambda: pdu.write_coils(0, [True] * 1969),
        lambda: pdu.parse_request(b"\x2b\x0e\x01\x00\x00"),
        lambda: pdu.parse_request(b"\x03"),
    ],
)
def test_what_no_request_can_hold_is_refused(ask: Callable[[], object]) -> None:
    """Counts and addresses outside the specification never reach a wire."""
    with pytest.raises(ValueError, match=r"hold|leave|fit|no request"):
        ask()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pdu.read("input", 0x0102, 3), pdu.Request(4, 0x0102, 3)),
        (pdu.read("coil", 0x0603, 0x0700), pdu.Request(1, 0x0603, 0x0700)),
        (pdu.write_coil(0x0102, True), pdu.Request(5, 0x0102, 1)),
        (pdu.write_register(0x0301, 7), pdu.Request(6, 0x0301, 1)),
        (pdu.write_coils(0x0102, [True] * 300), pdu.Request(15, 0x0102, 300)),
        (pdu.write_registers(0x0102, [1, 2]), pdu.Request(16, 0x0102, 2)),
    ],
)
def test_a_request_says_where_and_how_much(request_: bytes, expected: pdu.Request) -> None:
    """A single write is of one, whatever its value."""
    assert pdu.parse_request(request_) == expected


def slave() -> RegisterSlave:
    words = {at: 7 * at & 0xFFFF for at in range(300)}
    bits = {at: int(at % 3 == 0) for at in range(300)}
    return RegisterSlave(coils=dict(bits), discretes=dict(bits), holdings=dict(words), inputs=dict(words))


@given(st.sampled_from(["input", "holding"]), st.integers(0, 150), st.integers(1, 125))
def test_registers_come_back_as_they_are(kind: pdu.Kind, at: int, count: int) -> None:
    """What an independent slave answers is taken as its table's words."""
    request = pdu.read(kind, at, count)
    assert pdu.words(pdu.checked(slave().answer(request), request, 1)) == tuple(7 * n for n in range(at, at + count))


@given(st.sampled_from(["coil", "discrete"]), st.integers(0, 200), st.integers(1, 100))
def test_bits_come_back_as_they_are(kind: pdu.Kind, at: int, count: int) -> None:
    """Eight to a byte, the first the lowest."""
    request = pdu.read(kind, at, count)
    reply = pdu.checked(slave().answer(request), request, 1)
    assert pdu.bits(reply, count) == tuple(n % 3 == 0 for n in range(at, at + count))


@given(st.integers(0, 200), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=100), st.booleans())
def test_what_is_written_stands_in_the_part(at: int, words: list[int], single: bool) -> None:
    """Functions 06 and 10, and their replies, against an independent slave."""
    part = slave()
    request = pdu.write_register(at, words[0]) if single else pdu.write_registers(at, words)
    pdu.checked(part.answer(request), request, 1)
    written = words[:1] if single else words
    assert part.holdings is not None
    assert [part.holdings[at + index] for index in range(len(written))] == written


@given(st.integers(0, 200), st.lists(st.booleans(), min_size=1, max_size=100), st.booleans())
def test_coils_that_are_switched_are_switched(at: int, states: list[bool], single: bool) -> None:
    """Functions 05 and 0F, and their replies, against an independent slave."""
    part = slave()
    request = pdu.write_coil(at, states[0]) if single else pdu.write_coils(at, states)
    pdu.checked(part.answer(request), request, 1)
    written = states[:1] if single else states
    assert part.coils is not None
    assert [bool(part.coils[at + index]) for index in range(len(written))] == written


@given(
    st.binary(max_size=12), st.sampled_from([pdu.read("input", 2, 3), pdu.read("coil", 2, 3), pdu.write_coil(2, True)])
)
def test_any_bytes_are_the_answer_or_an_error(data: bytes, request: bytes) -> None:
    """A reply is of the asked function and length, and of a write of the asked address and value, or it is refused."""
    try:
        reply = pdu.checked(data, request, 1)
    except DeviceError:
        return
    assert reply[0] == request[0]
    assert len(reply) == pdu.parse_request(request).reply_length


@pytest.mark.parametrize(
    "reply",
    ["04 06 0001 0002 0003 0004", "03 06 0001 0002 0003", "04 08 0001 0002 0003", "04 06 0001 0002", "83 02", "84", ""],
)
def test_a_foreign_answer_is_refused(reply: str) -> None:
    """Another function, count or length than asked for is no value."""
    with pytest.raises(InvalidData, match="unit 9 sent another answer"):
        pdu.checked(bytes.fromhex(reply), pdu.read("input", 2, 3), 9)


def test_a_write_that_was_not_done_is_refused() -> None:
    """The reply repeats address and value: another one means that something else was switched."""
    with pytest.raises(InvalidData):
        pdu.checked(pdu.write_coil(3, True), pdu.write_coil(2, True), 1)
    with pytest.raises(InvalidData):
        pdu.checked(pdu.write_coil(2, False), pdu.write_coil(2, True), 1)


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (1, DeviceError, "unit 5 refuses: illegal function"),
        (2, DeviceError, "unit 5 refuses: illegal address; compare"),
        (3, DeviceError, "unit 5 refuses: illegal data"),
        (4, DeviceError, "unit 5 refuses: slave error"),
        (5, DeviceError, "unit 5 refuses: still working on it"),
        (6, DeviceError, "unit 5 refuses: busy"),
        (8, DeviceError, "unit 5 refuses: memory parity error"),
        (10, DeviceError, "unit 5 refuses: the gateway has no path to it"),
        (11, DeviceTimeout, "gateway gets no answer from it; check its power"),
        (99, DeviceError, "exception 99"),
    ],
)
def test_a_refusal_says_what_it_means(code: int, error: type[DeviceError], words: str) -> None:
    """Exception replies are errors in words; a gateway's silent target is a timeout."""
    with pytest.raises(error, match=words):
        pdu.checked(bytes([0x84, code]), pdu.read("input", 2, 3), 5)
