"""The GPIO uAPI as linux/gpio.h publishes it: sizes and request numbers, and what goes into a request."""

import struct

import pytest

from drivers.buses import gpio_lines as uapi


def iowr(number: int, size: int) -> int:
    """_IOWR(0xB4, number, size) of asm-generic/ioctl.h."""
    return 3 << 30 | size << 16 | 0xB4 << 8 | number


def test_sizes_and_numbers_of_the_kernel_header() -> None:
    """sizeof line_request 592, line_values 16, line_event 48, line_info 256; request numbers 0x05 to 0x0F."""
    assert uapi.LINE_REQUEST_SIZE == len(uapi.line_request(0, 0, b"", "")) == 592
    assert (uapi.LINE_VALUES.size, uapi.LINE_EVENT.size, uapi.LINE_INFO.size) == (16, 48, 256)
    assert iowr(0x05, 256) == uapi.GPIO_V2_GET_LINEINFO_IOCTL
    assert iowr(0x07, 592) == uapi.GPIO_V2_GET_LINE_IOCTL
    assert iowr(0x0E, 16) == uapi.GPIO_V2_LINE_GET_VALUES_IOCTL
    assert iowr(0x0F, 16) == uapi.GPIO_V2_LINE_SET_VALUES_IOCTL


def test_where_each_field_of_a_request_lies() -> None:
    """offsets 0, consumer 256, config 288 with attributes at 320, num_lines 560, event_buffer_size 564, fd 588."""
    attribute = struct.pack("=I4xQQ", 2, 1, 1)
    request = uapi.line_request(17, uapi.FLAG_INPUT, attribute, "me")
    assert struct.unpack_from("=I", request, 0) == (17,)
    assert bytes(request[256:259]) == b"me\0"
    assert struct.unpack_from("=QI", request, 288) == (uapi.FLAG_INPUT, 1)
    assert struct.unpack_from("=IIQQ", request, 320) == (2, 0, 1, 1)
    assert struct.unpack_from("=II", request, 560) == (1, 64)
    assert struct.unpack_from("=i", request, 588) == (0,)
    assert not any(request[344:560])


def test_flags_of_the_kernel_header() -> None:
    """The bits of enum gpio_v2_line_flag."""
    assert (uapi.FLAG_INPUT, uapi.FLAG_OUTPUT, uapi.FLAG_EDGE_RISING, uapi.FLAG_EDGE_FALLING) == (4, 8, 16, 32)
    assert uapi.FLAG_BIAS == {"up": 256, "down": 512, "none": 1024}


def test_a_long_consumer_name_keeps_its_end() -> None:
    """The kernel's name field ends with a zero."""
    assert uapi.line_request(0, 0, b"", "x" * 99)[256 + 31] == 0


def test_edges_are_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two records make two edges; half a record makes none."""
    records = struct.pack("=QIIII24x", 5, 1, 17, 9, 3) + struct.pack("=QIIII24x", 6, 2, 17, 10, 4)
    monkeypatch.setattr("os.read", lambda *_: records + b"\0" * 20)
    assert uapi.read_edges(0) == [uapi.Edge(True, 5, 3), uapi.Edge(False, 6, 4)]
