"""The GPIO character device (linux/gpio.h, version 2) as a C program uses it; shares nothing with what is tested."""

import fcntl
import os
import select
import struct
from typing import NamedTuple

GET_CHIPINFO, GET_LINEINFO, GET_LINE = 0x8044B401, 0xC100B405, 0xC250B407
SET_CONFIG, GET_VALUES, SET_VALUES = 0xC110B40D, 0xC010B40E, 0xC010B40F
USED, ACTIVE_LOW, INPUT, OUTPUT, RISING, FALLING, OPEN_DRAIN, OPEN_SOURCE, PULL_UP, PULL_DOWN, NO_BIAS, REALTIME = (
    1 << bit for bit in range(12)
)
FLAGS, VALUES, DEBOUNCE = 1, 2, 3
EVENT_SIZE = 48

Attribute = tuple[int, int, int]  # id, value, mask


class Event(NamedTuple):
    """struct gpio_v2_line_event. id: 1 rising, 2 falling."""

    time_ns: int
    id: int
    offset: int
    seqno: int
    line_seqno: int


class Info(NamedTuple):
    """struct gpio_v2_line_info. attributes: (id, value)."""

    name: str
    consumer: str
    flags: int
    attributes: tuple[tuple[int, int], ...]


def config(flags: int, *attributes: Attribute) -> bytes:
    """struct gpio_v2_line_config."""
    packed = b"".join(struct.pack("=IIQQ", kind, 0, value, mask) for kind, value, mask in attributes)
    return struct.pack("=QI20x240s", flags, len(attributes), packed)


def request(
    chip: int,
    offsets: list[int],
    flags: int,
    *attributes: Attribute,
    consumer: bytes = b"test",
    buffer_size: int = 0,
    padding: int = 0,
) -> int:
    """GPIO_V2_GET_LINE: the request's descriptor. Raises OSError."""
    packed = bytearray(
        struct.pack(
            "=64I32s272sIIIIIIIi",
            *offsets,
            *[0] * (64 - len(offsets)),
            consumer,
            config(flags, *attributes),
            len(offsets),
            buffer_size,
            padding,
            0,
            0,
            0,
            0,
            0,
        )
    )
    fcntl.ioctl(chip, GET_LINE, packed)
    return int(struct.unpack_from("=i", packed, 588)[0])


def set_config(line: int, flags: int, *attributes: Attribute) -> None:
    """GPIO_V2_LINE_SET_CONFIG."""
    fcntl.ioctl(line, SET_CONFIG, config(flags, *attributes))


def get(line: int, mask: int = 1) -> int:
    """Logical values."""
    packed = bytearray(struct.pack("=QQ", 0, mask))
    fcntl.ioctl(line, GET_VALUES, packed)
    return int(struct.unpack("=QQ", packed)[0])


def put(line: int, bits: int, mask: int = 1) -> None:
    """Drive logical values."""
    fcntl.ioctl(line, SET_VALUES, struct.pack("=QQ", bits, mask))


def info(chip: int, offset: int) -> Info:
    """GPIO_V2_GET_LINEINFO."""
    packed = bytearray(256)
    struct.pack_into("=I", packed, 64, offset)
    fcntl.ioctl(chip, GET_LINEINFO, packed)
    name, consumer, _, count, flags = struct.unpack_from("=32s32sIIQ", packed)
    attributes = tuple(struct.unpack_from("=I4xI", packed, 80 + index * 16) for index in range(count))
    return Info(name.rstrip(b"\0").decode(), consumer.split(b"\0")[0].decode(), flags, attributes)


def events(line: int, timeout_s: float = 2.0, *, at_most: int = 1024) -> list[Event]:
    """What one read gives within the time, oldest first."""
    if not select.select([line], [], [], timeout_s)[0]:
        return []
    data = os.read(line, EVENT_SIZE * at_most)
    assert len(data) % EVENT_SIZE == 0
    return [Event(*struct.unpack_from("=QIIII", data, at)) for at in range(0, len(data), EVENT_SIZE)]
