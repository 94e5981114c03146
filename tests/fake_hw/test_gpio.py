"""The GPIO character device: claims, levels, edges, and who may hold a line."""

import errno
import fcntl
import os
import select
import struct
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from fake_hw import client
from fake_hw.buses.gpio import GpioChip
from fake_hw.buses.lines import LineLog, Lines, bcm2711_lines
from fake_hw.loop import Loop
from fake_hw.simulator import Simulator

if TYPE_CHECKING:
    from tests.fake_hw.conftest import RawChip

Tell = Callable[[str], dict[str, Any]]
ACTIVE_LOW, INPUT, OUTPUT, RISING, FALLING, PULL_UP, PULL_DOWN = 2, 4, 8, 16, 32, 256, 512
REALTIME = 1 << 11
GET_CHIPINFO, SET_CONFIG, GET_VALUES, SET_VALUES = 0x8044B401, 0xC110B40D, 0xC010B40E, 0xC010B40F
VALUES, DEBOUNCE = 2, 3


def get(request: int, mask: int = 1) -> int:
    """Logical values."""
    buffer = bytearray(struct.pack("=QQ", 0, mask))
    fcntl.ioctl(request, GET_VALUES, buffer)
    return int(struct.unpack("=QQ", buffer)[0])


def put(request: int, bits: int, mask: int = 1) -> None:
    """Drive logical values."""
    fcntl.ioctl(request, SET_VALUES, struct.pack("=QQ", bits, mask))


def events(request: int, timeout_s: float = 2.0) -> list[tuple[int, int, int, int, int]]:
    """What is there to read within the time: (timestamp, id, line, seqno, line_seqno)."""
    if not select.select([request], [], [], timeout_s)[0]:
        return []
    data = os.read(request, 48 * 16)
    assert len(data) % 48 == 0
    return [struct.unpack_from("=QIIII", data, at) for at in range(0, len(data), 48)]


def line_log(root: str, line: str) -> list[tuple[int, str]]:
    return [(entry["level"], entry["why"]) for entry in client.read_log(root) if entry["line"] == line]


def test_the_chip_is_a_raspberry_pis(chip: "RawChip") -> None:
    """The chip's label and lines are those by which libraries recognise the header."""
    buffer = bytearray(68)
    fcntl.ioctl(chip.fd, GET_CHIPINFO, buffer)
    assert struct.unpack("=32s32sI", buffer)[1:] == (b"pinctrl-bcm2711".ljust(32, b"\0"), 58)
    assert chip.info(17) == ("GPIO17", "", INPUT)
    request = chip.request([17], OUTPUT)
    assert chip.info(17) == ("GPIO17", "test", OUTPUT | 1)
    os.close(request)
    with pytest.raises(OSError, match=r"\[Errno 22\]"):
        chip.info(58)


def test_the_first_level_comes_with_the_claim(kitchen: Simulator, chip: "RawChip") -> None:
    """An active-low output claimed inactive never leaves its idle level: no relay blinks at start."""
    request = chip.request([10], OUTPUT | ACTIVE_LOW, (VALUES, 0, 1))
    assert line_log(kitchen.root, "GPIO10") == [(1, "claim")]
    put(request, 1)
    put(request, 1)
    put(request, 0)
    os.close(request)
    assert line_log(kitchen.root, "GPIO10") == [(1, "claim"), (0, "set"), (1, "set"), (1, "release")]


def test_a_claim_with_the_wrong_level_would_show(kitchen: Simulator, chip: "RawChip") -> None:
    """The log would tell of a glitch: claiming at the other level and correcting it are two transitions."""
    request = chip.request([10], OUTPUT)
    put(request, 1)
    os.close(request)
    assert [level for level, _ in line_log(kitchen.root, "GPIO10")] == [0, 1, 1]


def test_values_are_logical_and_masked(chip: "RawChip") -> None:
    """Several lines in one request are set and read by mask, each in its own polarity."""
    request = chip.request([22, 23, 24], OUTPUT, (VALUES, 0b101, 0b111))
    assert get(request, 0b111) == 0b101
    put(request, 0b010, 0b011)
    assert get(request, 0b111) == 0b110
    assert get(request, 0b010) == 0b010
    os.close(request)


def test_levels_persist_by_default(kitchen: Simulator, chip: "RawChip") -> None:
    """As on Raspberry Pi OS a released output stays driven."""
    request = chip.request([17], OUTPUT, (VALUES, 1, 1))
    os.close(request)
    assert client.levels(kitchen.root)["GPIO17"] == 1


def test_strict_lets_the_pull_decide(make: Callable[..., Simulator], root: str) -> None:
    """With strict_gpiod a released output falls to its external pull."""
    from fake_hw.inject import install

    make(strict=True)
    undo = install(root)
    fd = os.open(f"{root}/dev/gpiochip0", os.O_RDWR)
    buffer = bytearray(592)
    struct.pack_into("=I", buffer, 0, 17)
    struct.pack_into("=QI20xII8sQ", buffer, 288, OUTPUT, 1, VALUES, 0, b"\1" + bytes(7), 1)
    struct.pack_into("=I", buffer, 560, 1)
    fcntl.ioctl(fd, 0xC250B407, buffer)
    os.close(struct.unpack_from("=i", buffer, 588)[0])
    os.close(fd)
    undo()
    assert line_log(root, "GPIO17") == [(1, "claim"), (0, "release")]


@pytest.mark.parametrize(
    ("lines", "flags", "code"),
    [
        ([58], INPUT, errno.EINVAL),
        ([], INPUT, errno.EINVAL),
        ([5, 5], INPUT, errno.EBUSY),
        ([5], INPUT | OUTPUT, errno.EINVAL),
        ([5], OUTPUT | RISING, errno.EINVAL),
        ([5], INPUT | PULL_UP | PULL_DOWN, errno.EINVAL),
        ([5], 1 << 40, errno.EINVAL),
        ([17], INPUT, errno.EBUSY),
    ],
)
def test_refused_claims(chip: "RawChip", lines: list[int], flags: int, code: int) -> None:
    """What the kernel refuses is refused with the same errno."""
    held = chip.request([17], OUTPUT)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is asserted below
        chip.request(lines, flags)
    assert caught.value.errno == code
    os.close(held)


def test_an_input_cannot_be_driven(chip: "RawChip") -> None:
    """Setting an input is EPERM, an empty mask EINVAL, and so is an unknown request."""
    request = chip.request([5], INPUT | PULL_UP)
    for code, payload, expected in (
        (SET_VALUES, struct.pack("=QQ", 1, 1), errno.EPERM),
        (GET_VALUES, struct.pack("=QQ", 0, 2), errno.EINVAL),
        (0xC010B4FF, bytes(16), errno.EINVAL),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is asserted below
            fcntl.ioctl(request, code, payload)
        assert caught.value.errno == expected
    os.close(request)


def test_a_line_is_free_when_close_returns(chip: "RawChip") -> None:
    """No later claim meets a line whose descriptor has been closed."""
    for _ in range(50):
        os.close(chip.request([17], OUTPUT))


class _Program:
    """The far end of a descriptor, for a chip whose loop does not run: keeps what the ioctl answered."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.serve: Any = None
        self.on_close: Any = None
        self.errors: list[int] = []
        self.events = -1

    def reply(self, error: int, _: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        self.errors.append(error)
        self.events = os.dup(descriptors[0]) if descriptors else -1


def test_lines_go_on_when_their_log_has_no_room() -> None:
    """A full disk does not stop a kitchen: transitions are remembered, and none raises."""
    log = LineLog("/dev/full")
    log.add("GPIO17", 1, "set", 1)
    log.add("GPIO17", 0, "release", 1)
    assert [entry["level"] for entry in log.recent] == [1, 0]
    log.close()


def test_a_dead_holder_is_not_in_its_successors_way(root: str) -> None:
    """A claim that overtakes the news of its predecessor's death is granted: a restarted daemon never meets EBUSY."""
    loop = Loop()
    log = LineLog(f"{root}/lines.jsonl")
    chip = GpioChip(loop, f"{root}/dev/gpiochip0", Lines(log, bcm2711_lines()), strict=False)
    claim = struct.pack("<I64I32xQ264xI28x", 0xC250B407, 17, *[0] * 63, OUTPUT, 1)
    assert len(claim) == 4 + 592
    first, rival, successor = _Program(), _Program(), _Program()
    for program in (first, rival):
        chip.endpoint.serve(program, claim)  # type: ignore[arg-type]  # a stand-in for Peer
    os.close(first.events)  # the kernel does this at a process's death; the loop has not seen it
    chip.endpoint.serve(successor, claim)  # type: ignore[arg-type]  # as above
    assert (first.errors, rival.errors, successor.errors) == ([0], [errno.EBUSY], [0])
    os.close(successor.events)
    log.close()
    loop.close()


def test_pull_drive_and_bias(kitchen: Simulator, chip: "RawChip", tell: Tell) -> None:
    """A contact to ground beats a pull, an open one leaves the line to it; the chip's own bias is the weakest."""
    request = chip.request([6, 10], INPUT | PULL_DOWN)
    assert get(request, 0b11) == 0b10, "GPIO10 has an external pull-up, stronger than the chip's pull-down"
    os.close(request)
    request = chip.request([6], INPUT | PULL_UP)
    assert get(request) == 0
    tell("door walkin open")
    assert get(request) == 1
    tell("unplug walkin_door")
    tell("door walkin close")
    assert get(request) == 1
    tell("plug walkin_door")
    assert get(request) == 0
    os.close(request)


def test_edges_arrive_as_the_kernels_records(chip: "RawChip", tell: Tell) -> None:
    """Edge events carry CLOCK_MONOTONIC, the logical edge, the line and both counters; only wanted edges come."""
    request = chip.request([13, 6], INPUT | PULL_UP | RISING | FALLING)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    tell("estop press")
    ((stamp, kind, line, seqno, line_seqno),) = events(request)
    assert before < stamp < time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert (kind, line, seqno, line_seqno) == (1, 13, 1, 1)
    tell("door walkin open")
    tell("estop release")
    seen = events(request) + events(request, 0.05)
    assert [event[1:] for event in seen] == [(1, 6, 2, 1), (2, 13, 3, 2)]
    os.close(request)


def test_active_low_reverses_the_edge_and_realtime_the_clock(chip: "RawChip", tell: Tell) -> None:
    """An active-low line's rising edge is its physical fall; EVENT_CLOCK_REALTIME stamps wall time."""
    request = chip.request([13], INPUT | PULL_UP | ACTIVE_LOW | RISING | REALTIME)
    assert get(request) == 1
    tell("estop press")
    assert events(request, 0.05) == []
    tell("estop release")
    ((stamp, kind, *_),) = events(request)
    assert kind == 1
    assert abs(stamp - time.time_ns()) < 5_000_000_000
    os.close(request)


def test_debounce_turns_many_flips_into_one_edge(kitchen: Simulator, chip: "RawChip", tell: Tell) -> None:
    """The kernel's debounce: a bouncing contact gives one event, when it has settled, and its value waits too."""
    request = chip.request([13], INPUT | PULL_UP | RISING | FALLING, (DEBOUNCE, 200_000, 1))
    bouncing_until = time.monotonic() + 0.5  # longer than the period: each flip must start it anew
    with _Quick(kitchen.root) as quick:
        while time.monotonic() < bouncing_until:
            quick("estop press")
            quick("estop release")
        quick("estop press")
    assert get(request) == 0
    assert [event[1] for event in events(request)] == [1]
    assert get(request) == 1
    assert events(request, 0.25) == []
    os.close(request)


class _Quick:
    """Commands over one connection, much faster than a finger's bounce."""

    def __init__(self, root: str) -> None:
        import socket

        from fake_hw.node import connect

        self._connection = connect(f"{root}/sim.sock", socket.SOCK_STREAM)

    def __enter__(self) -> Callable[[str], None]:
        return self._send

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _send(self, text: str) -> None:
        self._connection.sendall(b'{"command": "%s"}\n' % text.encode())
        assert b'"ok": true' in self._connection.recv(65536)


def test_set_config_changes_edges_and_direction(kitchen: Simulator, chip: "RawChip", tell: Tell) -> None:
    """SET_CONFIG replaces a request's configuration without giving the line up."""
    request = chip.request([13], INPUT | PULL_UP)
    tell("estop press")
    assert events(request, 0.05) == []
    fcntl.ioctl(request, SET_CONFIG, struct.pack("=QI20x240s", INPUT | PULL_UP | FALLING, 0, b""))
    tell("estop release")
    assert [event[1] for event in events(request)] == [2]
    os.close(request)


def test_an_unplugged_chip_is_enodev(kitchen: Simulator, chip: "RawChip", tell: Tell) -> None:
    """When the chip leaves, requests end with a hang-up and ENODEV, and levels persist."""
    request = chip.request([17], OUTPUT, (VALUES, 1, 1))
    tell("unplug header")
    assert select.select([request], [], [], 2.0)[0]
    assert os.read(request, 48) == b""
    for call in (lambda: put(request, 0), lambda: chip.info(5)):
        with pytest.raises(OSError, match=r"\[Errno 19\]"):
            call()
    os.close(request)
    tell("plug header")
    assert client.levels(kitchen.root)["GPIO17"] == 1


def test_relays_move_the_kitchen_and_contacts_prove_it(chip: "RawChip", tell: Tell, until: Callable[..., None]) -> None:
    """Valve, compressor and fan answer through their contacts within their time; welded and cut relays differ."""
    tell("speed 5")
    outputs = chip.request([17, 27, 24], OUTPUT, (VALUES, 0b111, 0b111))
    contacts = chip.request([16, 20, 5], INPUT | PULL_UP | ACTIVE_LOW)
    until(lambda: get(contacts, 0b111) == 0b111, 4.0)
    tell("fault gas_valve welded")
    tell("unplug walkin_compressor")
    tell("fan fail")
    put(outputs, 0b110, 0b111)
    until(lambda: get(contacts, 0b111) == 0b001, 4.0)
    tell("fault gas_valve none")
    until(lambda: get(contacts, 0b001) == 0, 4.0)
    os.close(outputs)
    os.close(contacts)


def test_a_frozen_contact_does_not_move(chip: "RawChip", tell: Tell) -> None:
    """A contact that sticks keeps its level whatever the kitchen does."""
    request = chip.request([6], INPUT | PULL_UP)
    tell("fault walkin_door frozen")
    tell("door walkin open")
    assert get(request) == 0
    tell("fault walkin_door none")
    assert get(request) == 1
    os.close(request)


def test_a_log_entry_tells_when_and_who(kitchen: Simulator, chip: "RawChip") -> None:
    """Each transition carries CLOCK_BOOTTIME and the pid, and is in the file as soon as the call returns."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    request = chip.request([18], OUTPUT, (VALUES, 1, 1))
    entry = client.read_log(kitchen.root)[-1]
    assert before < entry["t_ns"] < time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert entry == {"t_ns": entry["t_ns"], "line": "GPIO18", "level": 1, "why": "claim", "pid": os.getpid()}
    assert client.command(kitchen.root, "log 1")["log"] == [entry]
    os.close(request)
