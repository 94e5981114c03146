"""Lines of a GPIO character device: claim, get, set, read edges. uAPI version 2 (linux/gpio.h, kernel 5.10 and later).

Standard library only. `os.open`, `fcntl.ioctl` and the like are looked up at the call: simulated chips answer there.
"""

import errno
import fcntl
import os
import struct
from typing import Literal, NamedTuple

# _IOWR(0xB4, nr, size) as published in linux/gpio.h: direction << 30 | size << 16 | 0xB4 << 8 | nr
GPIO_V2_GET_LINEINFO_IOCTL = 0xC100B405  # struct gpio_v2_line_info, 256 bytes
GPIO_V2_GET_LINE_IOCTL = 0xC250B407  # struct gpio_v2_line_request, 592 bytes
GPIO_V2_LINE_GET_VALUES_IOCTL = 0xC010B40E  # struct gpio_v2_line_values, 16 bytes
GPIO_V2_LINE_SET_VALUES_IOCTL = 0xC010B40F

FLAG_INPUT, FLAG_OUTPUT, FLAG_EDGE_RISING, FLAG_EDGE_FALLING = 1 << 2, 1 << 3, 1 << 4, 1 << 5
FLAG_BIAS = {"up": 1 << 8, "down": 1 << 9, "none": 1 << 10}
ATTR_ID_OUTPUT_VALUES, ATTR_ID_DEBOUNCE = 2, 3
EVENT_RISING_EDGE = 1

LINES_MAX, ATTRIBUTES_MAX, NAME_SIZE = 64, 10, 32
_REQUEST_HEAD = struct.Struct(f"={LINES_MAX}I{NAME_SIZE}s")  # offsets, consumer
_CONFIG_HEAD = struct.Struct("=QI20x")  # flags, num_attrs, padding
_ATTRIBUTE_VALUES = struct.Struct("=I4xQQ")  # id, padding, values, mask
_ATTRIBUTE_DEBOUNCE = struct.Struct("=I4xI4xQ")  # id, padding, debounce_period_us, mask
_REQUEST_TAIL = struct.Struct("=II20xi")  # num_lines, event_buffer_size, padding, fd
LINE_REQUEST_SIZE = (
    _REQUEST_HEAD.size + _CONFIG_HEAD.size + ATTRIBUTES_MAX * _ATTRIBUTE_VALUES.size + _REQUEST_TAIL.size
)
LINE_VALUES = struct.Struct("=QQ")  # bits, mask
LINE_EVENT = struct.Struct("=QIIII24x")  # timestamp_ns (CLOCK_MONOTONIC), id, offset, seqno, line_seqno
LINE_INFO = struct.Struct(f"={NAME_SIZE}s{NAME_SIZE}sIIQ176x")  # name, consumer, offset, num_attrs, flags
HIGHEST_NUMBER = 0xFFFFFFFF  # of an event; the next one is 0
EVENT_BUFFER = 64  # events the kernel keeps for a reader that is late

Pull = Literal["up", "down", "none"]


class Edge(NamedTuple):
    """One level change. time_ns: the kernel's CLOCK_MONOTONIC. number: 32 bits, contiguous per line; a gap: a loss."""

    level: bool
    time_ns: int
    number: int


def claim_output(chip: int, offset: int, level: bool, consumer: str) -> int:
    """Request a line as an output; its first level comes with the direction, in one ioctl. Returns the request's fd."""
    attribute = _ATTRIBUTE_VALUES.pack(ATTR_ID_OUTPUT_VALUES, int(level), 1)
    return _claim(chip, offset, FLAG_OUTPUT, attribute, consumer)


def claim_input(chip: int, offset: int, pull: Pull, debounce_s: float, consumer: str) -> int:
    """Request a line as an input that reports both edges. Returns the request's fd, which can be polled."""
    flags = FLAG_INPUT | FLAG_EDGE_RISING | FLAG_EDGE_FALLING | FLAG_BIAS[pull]
    debounce_us = round(debounce_s * 1e6)
    attribute = _ATTRIBUTE_DEBOUNCE.pack(ATTR_ID_DEBOUNCE, debounce_us, 1) if debounce_us else b""
    line = _claim(chip, offset, flags, attribute, consumer)
    os.set_blocking(line, False)
    return line


def get_level(line: int) -> bool:
    """The physical level of a requested line. Raises OSError when the chip is gone."""
    values = bytearray(LINE_VALUES.pack(0, 1))
    fcntl.ioctl(line, GPIO_V2_LINE_GET_VALUES_IOCTL, values)
    return bool(LINE_VALUES.unpack(values)[0] & 1)


def set_level(line: int, level: bool) -> None:
    """Drive a requested output. Raises OSError when the chip is gone."""
    fcntl.ioctl(line, GPIO_V2_LINE_SET_VALUES_IOCTL, bytearray(LINE_VALUES.pack(int(level), 1)))


def read_edges(line: int) -> list[Edge]:
    """The edges that wait, oldest first. Raises OSError when the chip is gone."""
    try:
        data = os.read(line, EVENT_BUFFER * LINE_EVENT.size)
    except BlockingIOError:
        return []
    if not data:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    whole = data[: len(data) // LINE_EVENT.size * LINE_EVENT.size]
    events = LINE_EVENT.iter_unpack(whole)
    return [Edge(kind == EVENT_RISING_EDGE, time_ns, number) for time_ns, kind, _, _, number in events]


def holder(chip: int, offset: int) -> str:
    """The consumer name of who holds a line, "" when nobody does or the kernel does not say."""
    info = bytearray(LINE_INFO.pack(b"", b"", offset, 0, 0))
    try:
        fcntl.ioctl(chip, GPIO_V2_GET_LINEINFO_IOCTL, info)
    except OSError:
        return ""
    return str(LINE_INFO.unpack(info)[1].split(b"\0")[0].decode(errors="replace"))


def line_request(offset: int, flags: int, attribute: bytes, consumer: str) -> bytearray:
    """A struct gpio_v2_line_request for one line with at most one attribute."""
    offsets = (offset, *[0] * (LINES_MAX - 1))
    return bytearray(
        _REQUEST_HEAD.pack(*offsets, consumer.encode()[: NAME_SIZE - 1])
        + _CONFIG_HEAD.pack(flags, 1 if attribute else 0)
        + attribute.ljust(ATTRIBUTES_MAX * _ATTRIBUTE_VALUES.size, b"\0")
        + _REQUEST_TAIL.pack(1, EVENT_BUFFER if flags & FLAG_INPUT else 0, 0)
    )


def _claim(chip: int, offset: int, flags: int, attribute: bytes, consumer: str) -> int:
    request = line_request(offset, flags, attribute, consumer)
    fcntl.ioctl(chip, GPIO_V2_GET_LINE_IOCTL, request)
    return int(_REQUEST_TAIL.unpack_from(request, LINE_REQUEST_SIZE - _REQUEST_TAIL.size)[2])
