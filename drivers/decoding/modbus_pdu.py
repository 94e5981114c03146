"""Modbus requests and replies without address and checksum (PDUs): what a driver asks, and what must come back.

"MODBUS Application Protocol Specification" V1.1b3, chapter 6. Pure; used by drivers and by the buses under them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData

READ_COILS, READ_DISCRETE_INPUTS, READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16
READS_BITS = frozenset({READ_COILS, READ_DISCRETE_INPUTS})
READS = READS_BITS | {READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS}
SINGLE_WRITES = frozenset({WRITE_COIL, WRITE_REGISTER})
WRITES = SINGLE_WRITES | {WRITE_COILS, WRITE_REGISTERS}
EXCEPTION = 0x80
COIL_ON = 0xFF00
MOST_REGISTERS, MOST_BITS = 125, 2000  # of one read
MOST_WRITTEN_REGISTERS, MOST_WRITTEN_COILS = 123, 1968
HIGHEST_ADDRESS = 0xFFFF
GATEWAY_TARGET_SILENT = 11
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal data",
    4: "slave error",
    5: "still working on it",
    6: "busy",
    8: "memory parity error",
    10: "the gateway has no path to it",
    GATEWAY_TARGET_SILENT: "the gateway gets no answer from it",
}

Kind = Literal["input", "holding", "coil", "discrete"]
FUNCTIONS: dict[Kind, int] = {
    "coil": READ_COILS,
    "discrete": READ_DISCRETE_INPUTS,
    "holding": READ_HOLDING_REGISTERS,
    "input": READ_INPUT_REGISTERS,
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request's fields. count: registers or bits, 1 for a single write."""

    function: int
    at: int
    count: int

    @property
    def reply_length(self) -> int:
        """Bytes of the PDU that answers it."""
        if self.function in READS_BITS:
            return 2 + (self.count + 7) // 8
        return 2 + 2 * self.count if self.function in READS else 5


def read(kind: Kind, at: int, count: int) -> bytes:
    """Ask for `count` registers or bits from address `at` (from 0). Raises ValueError for what no request can hold."""
    function = FUNCTIONS[kind]
    _check_span(at, count, MOST_BITS if function in READS_BITS else MOST_REGISTERS)
    return bytes([function]) + at.to_bytes(2, "big") + count.to_bytes(2, "big")


def write_coil(at: int, on: bool) -> bytes:
    """Switch one coil. Raises ValueError for an address out of range."""
    _check_span(at, 1, 1)
    return bytes([WRITE_COIL]) + at.to_bytes(2, "big") + (COIL_ON if on else 0).to_bytes(2, "big")


def write_coils(at: int, states: Sequence[bool]) -> bytes:
    """Switch neighbouring coils in one request. Raises ValueError."""
    _check_span(at, len(states), MOST_WRITTEN_COILS)
    packed = sum(1 << index for index, on in enumerate(states) if on)
    data = packed.to_bytes((len(states) + 7) // 8, "little")
    return _write_several(WRITE_COILS, at, len(states), data)


def write_register(at: int, word: int) -> bytes:
    """Set one holding register to an unsigned word. Raises ValueError."""
    _check_span(at, 1, 1)
    return bytes([WRITE_REGISTER]) + at.to_bytes(2, "big") + _word_bytes(word)


def write_registers(at: int, words: Sequence[int]) -> bytes:
    """Set neighbouring holding registers in one request. Raises ValueError."""
    _check_span(at, len(words), MOST_WRITTEN_REGISTERS)
    return _write_several(WRITE_REGISTERS, at, len(words), b"".join(map(_word_bytes, words)))


def parse_request(pdu: bytes) -> Request:
    """What a request asks for. Raises ValueError for a function this module can't ask for."""
    if len(pdu) < 5 or pdu[0] not in READS | WRITES:
        raise ValueError(f"{pdu.hex(' ')} is no request with one of the functions {sorted(READS | WRITES)}")
    count = 1 if pdu[0] in SINGLE_WRITES else int.from_bytes(pdu[3:5], "big")
    return Request(pdu[0], int.from_bytes(pdu[1:3], "big"), count)


def checked(reply: bytes, pdu: bytes, unit: int) -> bytes:
    """The reply, which answers this request and no other. Raises InvalidData, and DeviceError for a refusal."""
    request = parse_request(pdu)
    if len(reply) == 2 and reply[0] == request.function | EXCEPTION:
        raise _refusal(reply[1], unit)
    fits = len(reply) == request.reply_length and reply[0] == request.function
    if fits and request.function in READS:
        fits = reply[1] == len(reply) - 2
    elif fits:
        fits = reply == pdu[:5]
    if not fits:
        raise InvalidData(
            f"unit {unit} sent another answer than asked for: {reply[:16].hex(' ')}; is it the part the driver expects?"
        )
    return reply


def words(reply: bytes) -> tuple[int, ...]:
    """The registers in a checked reply, unsigned."""
    return tuple(int.from_bytes(reply[index : index + 2], "big") for index in range(2, len(reply) - 1, 2))


def bits(reply: bytes, count: int) -> tuple[bool, ...]:
    """The coils or discrete inputs in a checked reply."""
    packed = int.from_bytes(reply[2:], "little")
    return tuple(bool(packed >> index & 1) for index in range(count))


def _refusal(code: int, unit: int) -> DeviceError:
    what = f"unit {unit} refuses: {EXCEPTIONS.get(code, f'exception {code}')}"
    if code == GATEWAY_TARGET_SILENT:
        return DeviceTimeout(f"{what}; check its power, its wires and its address")
    return DeviceError(f"{what}; compare the register map with the part's manual")


def _write_several(function: int, at: int, count: int, data: bytes) -> bytes:
    return bytes([function]) + at.to_bytes(2, "big") + count.to_bytes(2, "big") + bytes([len(data)]) + data


def _word_bytes(word: int) -> bytes:
    if not 0 <= word <= 0xFFFF:
        raise ValueError(f"{word} does not fit a register of 16 bits")
    return word.to_bytes(2, "big")


def _check_span(at: int, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise ValueError(f"one request can't hold {count} values; the most is {most}")
    if not 0 <= at <= HIGHEST_ADDRESS - count + 1:
        raise ValueError(f"addresses {at} to {at + count - 1} leave the range 0 to {HIGHEST_ADDRESS}")
