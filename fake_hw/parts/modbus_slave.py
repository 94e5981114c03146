"""A Modbus slave as a part's controller has one: four tables, eight functions, exceptions for the rest.

"MODBUS Application Protocol Specification" V1.1b3, the state diagrams of chapter 6.
"""

import struct
from collections.abc import Callable, Iterable

_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_DATA = 1, 2, 3
_COIL = {0x0000: 0, 0xFF00: 1}
_FORMATS = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q", "f32": "f", "f64": "d"}


class Refused(Exception):
    """The exception code that answers a request."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class RegisterSlave:
    """Address → value in each table; a part without a table (None) has no function for it.

    before: brings what is measured into the tables, called for each request. written: called after a write.
    """

    def __init__(
        self,
        *,
        coils: dict[int, int] | None = None,
        discretes: dict[int, int] | None = None,
        holdings: dict[int, int] | None = None,
        inputs: dict[int, int] | None = None,
        before: Callable[[], None] = lambda: None,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        self.coils, self.discretes, self.holdings, self.inputs = coils, discretes, holdings, inputs
        self._before = before
        self._written = written

    def answer(self, pdu: bytes) -> bytes:
        """The reply to a request."""
        self._before()
        try:
            return pdu[:1] + self._data(pdu[0], pdu[1:])
        except Refused as refusal:
            return bytes([pdu[0] | 0x80, refusal.code])

    def _data(self, function: int, data: bytes) -> bytes:
        if function in {1, 2}:
            return self._bits(self.coils if function == 1 else self.discretes, data)
        if function in {3, 4}:
            return self._words(self.holdings if function == 3 else self.inputs, data)
        if function in {5, 6}:
            return self._write_one(function, data)
        if function in {15, 16}:
            return self._write_several(function, data)
        raise Refused(_ILLEGAL_FUNCTION)

    def _bits(self, table: dict[int, int] | None, data: bytes) -> bytes:
        values = _read(table, data, 2000)
        packed = bytearray((len(values) + 7) // 8)
        for index, value in enumerate(values):
            packed[index // 8] |= (value & 1) << index % 8
        return bytes([len(packed)]) + packed

    def _words(self, table: dict[int, int] | None, data: bytes) -> bytes:
        values = _read(table, data, 125)
        return bytes([2 * len(values)]) + struct.pack(f">{len(values)}H", *values)

    def _write_one(self, function: int, data: bytes) -> bytes:
        table = _present(self.coils if function == 5 else self.holdings)
        at, value = struct.unpack(">HH", data)
        if function == 5:
            if value not in _COIL:
                raise Refused(_ILLEGAL_DATA)
            value = _COIL[value]
        self._store(table, at, [value])
        return data

    def _write_several(self, function: int, data: bytes) -> bytes:
        table = _present(self.coils if function == 15 else self.holdings)
        at, count, length = struct.unpack(">HHB", data[:5])
        body = data[5:]
        size = (count + 7) // 8 if function == 15 else 2 * count
        if not 1 <= count <= (1968 if function == 15 else 123) or length != size or len(body) != size:
            raise Refused(_ILLEGAL_DATA)
        if function == 15:
            values = [body[index // 8] >> index % 8 & 1 for index in range(count)]
        else:
            values = list(struct.unpack(f">{count}H", body))
        self._store(table, at, values)
        return data[:4]

    def _store(self, table: dict[int, int], at: int, values: list[int]) -> None:
        if any(at + index not in table for index in range(len(values))):
            raise Refused(_ILLEGAL_ADDRESS)
        table.update({at + index: value for index, value in enumerate(values)})
        self._written()


def words(kind: str, order: str, value: float) -> tuple[int, ...]:
    """A number as its registers hold it. kind: u16 … f64, bcd16, bcd32; order: ABCD, CDAB, BADC or DCBA."""
    if kind.startswith("bcd"):
        digits = f"{round(value):0{int(kind[3:]) // 4}d}"
        data = bytes(int(digits[index]) << 4 | int(digits[index + 1]) for index in range(0, len(digits), 2))
    else:
        letter = _FORMATS[kind]
        data = struct.pack(f">{letter}", value if letter in "fd" else round(value))
    if order in {"DCBA", "CDAB"}:
        data = data[::-1]  # every byte the other way round: DCBA
    if order in {"CDAB", "BADC"}:
        data = b"".join(data[index + 1 : index + 2] + data[index : index + 1] for index in range(0, len(data), 2))
    return struct.unpack(f">{len(data) // 2}H", data)


def put(table: dict[int, int], at: int, values: Iterable[int]) -> None:
    """Set neighbouring registers."""
    table.update(zip(range(at, 0x10000), values, strict=False))


def _present(table: dict[int, int] | None) -> dict[int, int]:
    if table is None:
        raise Refused(_ILLEGAL_FUNCTION)
    return table


def _read(table: dict[int, int] | None, data: bytes, most: int) -> list[int]:
    present = _present(table)
    if len(data) != 4:
        raise Refused(_ILLEGAL_DATA)
    at, count = struct.unpack(">HH", data)
    if not 1 <= count <= most:
        raise Refused(_ILLEGAL_DATA)
    try:
        return [present[at + index] for index in range(count)]
    except KeyError:
        raise Refused(_ILLEGAL_ADDRESS) from None
