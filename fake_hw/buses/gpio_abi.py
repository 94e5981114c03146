"""The structures of the kernel's GPIO character device, version 2 (linux/gpio.h), as far as a chip must read them."""

import errno
import struct
import sys
from dataclasses import dataclass

GET_CHIPINFO = 0x8044B401
GET_LINEINFO = 0xC100B405
GET_LINE = 0xC250B407
SET_CONFIG = 0xC110B40D
GET_VALUES = 0xC010B40E
SET_VALUES = 0xC010B40F

USED, ACTIVE_LOW, INPUT, OUTPUT, RISING, FALLING = (1 << bit for bit in range(6))
OPEN_DRAIN, OPEN_SOURCE, PULL_UP, PULL_DOWN, BIAS_DISABLED, REALTIME, HTE = (1 << bit for bit in range(6, 13))
_KNOWN = (1 << 12) - 1 & ~USED
_ATTRIBUTE_FLAGS, _ATTRIBUTE_VALUES, _ATTRIBUTE_DEBOUNCE = 1, 2, 3
_EVENTS_PER_LINE, _EVENTS_MAX = 16, 1024

CHIPINFO = struct.Struct("=32s32sI")
LINEINFO = struct.Struct("=32s32sIIQ160s16s")
EVENT = struct.Struct("=QIIII24x")
VALUES = struct.Struct("=QQ")
_REQUEST = struct.Struct("=64I32s272sII20si")
_INFO_ATTRIBUTE = struct.Struct("=I4xI4x")
_CONFIG = struct.Struct("=QI20x")
_ATTRIBUTE = struct.Struct("=II8sQ")
_ATTRIBUTES_MAX = 10
_LINES_MAX = 64


class Rejected(Exception):
    """The kernel would refuse this; `args[0]` is the errno."""


@dataclass(frozen=True, slots=True)
class LineConfig:
    """How one requested line is to be used. output: its first logical value."""

    flags: int
    output: int
    debounce_us: int


@dataclass(frozen=True, slots=True)
class LineRequest:
    """A decoded GPIO_V2_GET_LINE. buffer_size: how many events wait for a reader before the oldest is lost."""

    offsets: tuple[int, ...]
    consumer: bytes
    configs: tuple[LineConfig, ...]
    buffer_size: int


def parse_request(payload: bytes, line_count: int) -> LineRequest:
    """Decode struct gpio_v2_line_request. Raises Rejected(EINVAL) as the kernel would."""
    if len(payload) != _REQUEST.size:
        raise Rejected(errno.EINVAL)
    fields = _REQUEST.unpack(payload)
    consumer, config, count, buffer_size, padding = fields[64:69]
    offsets = fields[:count]
    if not 0 < count <= _LINES_MAX or max(offsets) >= line_count or any(padding):
        raise Rejected(errno.EINVAL)
    configs = parse_config(config, count)
    if len(set(offsets)) != count:
        raise Rejected(errno.EBUSY)  # by this very request
    return LineRequest(offsets, consumer.split(b"\0")[0] or b"?", configs, _events_kept(buffer_size, count))


def _events_kept(asked: int, count: int) -> int:
    """The kernel's buffer: 16 events per line unless asked otherwise, at most 1024, and always a power of two."""
    wanted = min(asked or _EVENTS_PER_LINE * count, _EVENTS_MAX)
    return 1 << (wanted - 1).bit_length()


def parse_config(payload: bytes, count: int) -> tuple[LineConfig, ...]:
    """Decode struct gpio_v2_line_config for `count` lines. Raises Rejected(EINVAL) for what the kernel refuses."""
    flags, attribute_count = _CONFIG.unpack_from(payload)
    if attribute_count > _ATTRIBUTES_MAX:
        raise Rejected(errno.EINVAL)
    line_flags, values, debounce = [flags] * count, [0] * count, [0] * count
    for index in reversed(range(attribute_count)):  # the first attribute that names a line wins
        kind, _, raw, mask = _ATTRIBUTE.unpack_from(payload, _CONFIG.size + index * _ATTRIBUTE.size)
        for line in (line for line in range(count) if mask >> line & 1):
            if kind == _ATTRIBUTE_FLAGS:
                line_flags[line] = int.from_bytes(raw, sys.byteorder)
            elif kind == _ATTRIBUTE_VALUES:
                values[line] = int.from_bytes(raw, sys.byteorder) >> line & 1
            elif kind == _ATTRIBUTE_DEBOUNCE:
                debounce[line] = int.from_bytes(raw[:4], sys.byteorder)
    configs = tuple(LineConfig(*fields) for fields in zip(line_flags, values, debounce, strict=True))
    for each in configs:
        _check(each)
    return configs


def line_info(name: bytes, consumer: bytes, offset: int, flags: int, debounce_us: int) -> bytes:
    """struct gpio_v2_line_info."""
    attributes = _INFO_ATTRIBUTE.pack(_ATTRIBUTE_DEBOUNCE, debounce_us) if debounce_us else b""
    return LINEINFO.pack(name, consumer, offset, int(bool(attributes)), flags, attributes, b"")


def _check(config: LineConfig) -> None:
    """The combinations that gpio_v2_line_config_validate refuses."""
    flags = config.flags
    biases = flags & (PULL_UP | PULL_DOWN | BIAS_DISABLED)
    wrong = (
        flags & ~_KNOWN,
        flags & INPUT and flags & OUTPUT,
        flags & (RISING | FALLING) and not flags & INPUT,
        flags & (OPEN_DRAIN | OPEN_SOURCE) and not flags & OUTPUT,
        flags & OPEN_DRAIN and flags & OPEN_SOURCE,
        biases and not flags & (INPUT | OUTPUT),
        biases & (biases - 1),
        config.debounce_us and not flags & INPUT,
    )
    if any(wrong):
        raise Rejected(errno.EINVAL)
