"""Frames of the local protocol: a line of JSON, and a body of bytes if the line announces one."""

import json
from typing import Any, NoReturn

from gateway.core.errors import GatewayError

LINE_LIMIT = 64 * 1024
"""Bytes of a line, without its newline."""
BODY_LIMIT = 1024 * 1024

Header = dict[str, Any]
Frame = tuple[Header, bytes | None]


class ProtocolError(GatewayError, ValueError):
    """The other end broke the protocol; the connection can't go on."""


class FrameParser:
    """Cuts a byte stream into frames, however it is split. Feed it only when `take` has nothing left:

    then it holds at most one unfinished line or body, plus the last chunk.
    """

    __slots__ = ("_buffer", "_header", "_searched", "_wanted")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer known to hold no newline
        self._header: Header | None = None  # a header that waits for its body
        self._wanted = 0

    @property
    def held(self) -> int:
        """Bytes waiting for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what came."""
        self._buffer += data

    def take(self) -> Frame | None:
        """The next whole frame, None when there is none yet. Raises ProtocolError; the parser is useless afterwards."""
        if self._header is None:
            line = self._take_line()
            if line is None:
                return None
            header = parse_header(line)
            self._wanted = _body_length(header)
            if not self._wanted:
                return header, None
            self._header = header
        if len(self._buffer) < self._wanted:
            return None
        body = bytes(self._buffer[: self._wanted])
        del self._buffer[: self._wanted]
        header, self._header = self._header, None
        return header, body

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._searched)
        if end > LINE_LIMIT or (end < 0 and len(self._buffer) > LINE_LIMIT):
            raise ProtocolError(f"a line is longer than {LINE_LIMIT} bytes")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line


def parse_header(line: bytes) -> Header:
    """The object in one line, without its newline. Raises ProtocolError for anything but strict, storable JSON."""
    try:
        header = json.loads(line.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a line is not JSON: {error}") from None
    if not isinstance(header, dict) or not isinstance(header.get("kind"), str):
        raise ProtocolError('a line is not an object with a text "kind"')
    if b"\\u" in line:
        _refuse_lone_surrogates(header)
    return header


def encode(header: Header, body: bytes | None = None) -> bytes:
    """One frame as bytes. Raises ProtocolError for a header or body that is too long, ValueError for NaN."""
    if body is not None:
        if not 0 < len(body) <= BODY_LIMIT:
            raise ProtocolError(f"a body has {len(body)} bytes (1 to {BODY_LIMIT} allowed)")
        header = {**header, "body": len(body)}
    line = encode_value(header)
    if len(line) > LINE_LIMIT:
        raise ProtocolError(f"a line has {len(line)} bytes (at most {LINE_LIMIT} allowed)")
    return line + b"\n" + (body or b"")


def encode_value(value: object) -> bytes:
    """Compact JSON in UTF-8; a list item by item, so that a long one never holds the interpreter for long."""
    if isinstance(value, list):
        return b"[" + b",".join([encode_value(item) for item in value]) + b"]"
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes its own JSON escape


def _body_length(header: Header) -> int:
    if "body" not in header:
        return 0
    length = header["body"]
    if type(length) is not int or not 0 < length <= BODY_LIMIT:
        raise ProtocolError(f'"body" is {length!r:.40} (a whole number from 1 to {BODY_LIMIT} is allowed)')
    return length


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_lone_surrogates(header: Header) -> None:
    try:
        json.dumps(header, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ProtocolError("a text holds half a surrogate pair, which nothing can store") from None
