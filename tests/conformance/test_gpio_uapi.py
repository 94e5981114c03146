"""What a GPIO chip does at the system call: the same cases for the simulator and the kernel. The kernel is right."""

import errno
import fcntl
import os
import select
import struct
import time
from collections.abc import Callable

import pytest

from tests.conformance import uapi
from tests.conformance.board import DEADLINE_S, LABEL, LINES, Board
from tests.conformance.uapi import (
    ACTIVE_LOW,
    DEBOUNCE,
    FALLING,
    FLAGS,
    INPUT,
    NO_BIAS,
    OPEN_DRAIN,
    OPEN_SOURCE,
    OUTPUT,
    PULL_DOWN,
    PULL_UP,
    REALTIME,
    RISING,
    USED,
    VALUES,
)

BOTH = INPUT | RISING | FALLING


def refused(call: Callable[[], object]) -> int:
    """The errno with which a call fails."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what the case asserts
        call()
    return int(caught.value.errno or 0)


def kinds(events: list[uapi.Event]) -> list[tuple[int, int, int, int]]:
    """The events without their stamps."""
    return [event[1:] for event in events]


def test_the_chip_is_named_as_libraries_look_for_it(chip: int) -> None:
    """Label and number of lines are a Raspberry Pi 4's."""
    buffer = bytearray(68)
    fcntl.ioctl(chip, uapi.GET_CHIPINFO, buffer)
    _, label, lines = struct.unpack("=32s32sI", buffer)
    assert (label.rstrip(b"\0").decode(), lines) == (LABEL, LINES)


def test_a_claim_shows_in_the_lines_info(chip: int) -> None:
    """Direction, polarity, bias, debounce and the holder's name can be asked for; released, the line is free."""
    line = uapi.request(chip, [17], OUTPUT | ACTIVE_LOW)
    assert uapi.info(chip, 17)[1:] == ("test", OUTPUT | ACTIVE_LOW | USED, ())
    os.close(line)
    assert uapi.info(chip, 17).consumer == ""
    assert not uapi.info(chip, 17).flags & (USED | ACTIVE_LOW)
    line = uapi.request(chip, [17], BOTH | PULL_UP, (DEBOUNCE, 5000, 1))
    assert uapi.info(chip, 17)[1:] == ("test", BOTH | PULL_UP | USED, ((DEBOUNCE, 5000),))
    os.close(line)


def test_a_nameless_holder_is_a_question_mark(chip: int) -> None:
    """Who claims without a name shows as "?"."""
    line = uapi.request(chip, [17], INPUT, consumer=b"")
    assert uapi.info(chip, 17).consumer == "?"
    os.close(line)


@pytest.mark.parametrize("active_low", [0, ACTIVE_LOW])
@pytest.mark.parametrize("first", [0, 1])
def test_the_first_level_comes_with_the_claim(board: Board, chip: int, active_low: int, first: int) -> None:
    """The wire has the requested level when the claim returns, in the holder's polarity."""
    line = uapi.request(chip, [17], OUTPUT | active_low, (VALUES, first, 1))
    assert board.level(17) == first ^ bool(active_low)
    assert uapi.get(line) == first
    os.close(line)


def test_values_are_masked(board: Board, chip: int) -> None:
    """Several lines in one request are set and read by mask; what is not in the mask stays."""
    line = uapi.request(chip, [22, 23, 24], OUTPUT, (VALUES, 0b101, 0b111))
    assert uapi.get(line, 0b111) == 0b101
    uapi.put(line, 0b010, 0b011)
    assert uapi.get(line, 0b111) == 0b110
    assert uapi.get(line, 0b010) == 0b010
    assert uapi.get(line, 0b1010) == 0b0010
    assert [board.level(offset) for offset in (22, 23, 24)] == [0, 1, 1]
    os.close(line)


def test_each_line_of_a_request_can_have_its_own_flags(board: Board, chip: int) -> None:
    """The flags attribute replaces the flags for the lines it names; the first attribute that names a line wins."""
    line = uapi.request(chip, [5, 6, 7], INPUT, (FLAGS, OUTPUT, 0b110), (FLAGS, INPUT, 0b110), (VALUES, 0b100, 0b110))
    assert [uapi.info(chip, offset).flags & (INPUT | OUTPUT) for offset in (5, 6, 7)] == [INPUT, OUTPUT, OUTPUT]
    assert [board.level(offset) for offset in (6, 7)] == [0, 1]
    assert refused(lambda: uapi.put(line, 0b111, 0b111)) == errno.EPERM
    assert [board.level(offset) for offset in (6, 7)] == [0, 1]
    os.close(line)


def test_a_released_output_falls_back_to_its_pull(board: Board, chip: int) -> None:
    """The strict behaviour: without a holder, what pulls the line decides."""
    line = uapi.request(chip, [17], OUTPUT, (VALUES, 1, 1))
    assert board.level(17) == 1
    os.close(line)
    assert board.level(17) == 0


def test_a_request_outlives_its_chips_descriptor(board: Board, chip: int) -> None:
    """Closing the chip releases nothing."""
    second = os.open(os.path.join(board.root, board.device.lstrip("/")), os.O_RDWR | os.O_CLOEXEC)
    line = uapi.request(second, [17], OUTPUT, (VALUES, 1, 1))
    os.close(second)
    assert uapi.get(line) == 1
    uapi.put(line, 0)
    assert board.level(17) == 0
    os.close(line)


@pytest.mark.parametrize(
    ("offsets", "flags", "attributes", "code"),
    [
        pytest.param([LINES], INPUT, (), errno.EINVAL, id="no such line"),
        pytest.param([], INPUT, (), errno.EINVAL, id="no line"),
        pytest.param([5, 5], INPUT, (), errno.EBUSY, id="the same line twice"),
        pytest.param([5], INPUT | OUTPUT, (), errno.EINVAL, id="both directions"),
        pytest.param([5], OUTPUT | RISING, (), errno.EINVAL, id="edges of an output"),
        pytest.param([5], RISING, (), errno.EINVAL, id="edges without a direction"),
        pytest.param([5], PULL_UP, (), errno.EINVAL, id="bias without a direction"),
        pytest.param([5], INPUT | PULL_UP | PULL_DOWN, (), errno.EINVAL, id="two biases"),
        pytest.param([5], INPUT | PULL_UP | NO_BIAS, (), errno.EINVAL, id="a bias and none"),
        pytest.param([5], INPUT | OPEN_DRAIN, (), errno.EINVAL, id="an open drain input"),
        pytest.param([5], OUTPUT | OPEN_DRAIN | OPEN_SOURCE, (), errno.EINVAL, id="open drain and source"),
        pytest.param([5], INPUT | USED, (), errno.EINVAL, id="the kernel's own flag"),
        pytest.param([5], 1 << 40, (), errno.EINVAL, id="unknown flag"),
        pytest.param([5], OUTPUT, ((DEBOUNCE, 5000, 1),), errno.EINVAL, id="debounce of an output"),
        pytest.param([5], 0, ((DEBOUNCE, 5000, 1),), errno.EINVAL, id="debounce without a direction"),
        pytest.param([5], INPUT, ((FLAGS, INPUT | OUTPUT, 1),), errno.EINVAL, id="a line's own flags"),
        pytest.param([17], INPUT, (), errno.EBUSY, id="held by another request"),
        pytest.param([5, 17], INPUT, (), errno.EBUSY, id="one of two is held"),
    ],
)
def test_refused_claims(
    chip: int, offsets: list[int], flags: int, attributes: tuple[uapi.Attribute, ...], code: int
) -> None:
    """Each claim that can't be granted has its errno, and leaves nothing claimed behind."""
    held = uapi.request(chip, [17], OUTPUT)
    assert refused(lambda: uapi.request(chip, offsets, flags, *attributes)) == code
    os.close(uapi.request(chip, [5], INPUT))
    os.close(held)


def test_padding_must_be_zero(chip: int) -> None:
    """Fields kept for later versions are refused unless they are zero."""
    assert refused(lambda: uapi.request(chip, [5], INPUT, padding=1)) == errno.EINVAL


@pytest.mark.parametrize("flags", [INPUT, BOTH | NO_BIAS, INPUT | PULL_UP, BOTH | ACTIVE_LOW | REALTIME, 0])
def test_granted_inputs(board: Board, chip: int, flags: int) -> None:
    """Every combination we ask for, and asking for nothing, is granted and can be read."""
    line = uapi.request(chip, [5], flags)
    board.pull(5, 1)
    assert uapi.get(line) == (0 if flags & ACTIVE_LOW else 1)
    os.close(line)


def test_unknown_attributes_are_ignored(chip: int) -> None:
    """An attribute of a later version is not an error."""
    os.close(uapi.request(chip, [5], INPUT, (9, 1, 1)))


def test_wrong_calls_on_a_request(chip: int) -> None:
    """Driving an input is EPERM, an empty mask EINVAL, an unknown call EINVAL."""
    line = uapi.request(chip, [5], INPUT)
    assert refused(lambda: uapi.put(line, 1)) == errno.EPERM
    assert refused(lambda: uapi.get(line, 2)) == errno.EINVAL
    assert refused(lambda: uapi.get(line, 0)) == errno.EINVAL
    assert refused(lambda: fcntl.ioctl(line, 0xC010B4FF, bytes(16))) == errno.EINVAL
    os.close(line)


def test_wrong_calls_on_a_chip(chip: int) -> None:
    """Info of a line that is not there is EINVAL, and so is an unknown call."""
    assert refused(lambda: uapi.info(chip, LINES)) == errno.EINVAL
    assert refused(lambda: fcntl.ioctl(chip, 0xC010B4FF, bytes(16))) == errno.EINVAL


def test_an_unconfigured_line_keeps_its_direction(board: Board, chip: int) -> None:
    """A claim without a direction takes the line as it is: a line in use as an input can't be driven."""
    line = uapi.request(chip, [5], 0)
    assert refused(lambda: uapi.put(line, 1)) == errno.EPERM
    os.close(line)


def test_edges_have_stamps_and_numbers(board: Board, chip: int) -> None:
    """Each edge: CLOCK_MONOTONIC, its direction, its line, its place in the request and on its line."""
    line = uapi.request(chip, [13, 6], BOTH)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    board.pull(13, 1)
    (first,) = uapi.events(line)
    assert before < first.time_ns < time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    board.pull(6, 1)
    board.pull(13, 0)
    rest = uapi.events(line)
    assert kinds([first, *rest]) == [(1, 13, 1, 1), (1, 6, 2, 1), (2, 13, 3, 2)]
    os.close(line)


def test_only_wanted_edges_come_and_count(board: Board, chip: int) -> None:
    """An edge nobody asked for has no event and no number; active low turns edges round."""
    line = uapi.request(chip, [13], INPUT | ACTIVE_LOW | RISING)
    for level in (1, 0, 1, 0):
        board.pull(13, level)
    assert kinds(uapi.events(line)) == [(1, 13, 1, 1), (1, 13, 2, 2)]
    assert uapi.events(line, 0.05) == []
    os.close(line)


def test_realtime_stamps_are_wall_time(board: Board, chip: int) -> None:
    """EVENT_CLOCK_REALTIME changes the clock of the stamps."""
    line = uapi.request(chip, [13], BOTH | REALTIME)
    board.pull(13, 1)
    (event,) = uapi.events(line)
    assert abs(event.time_ns - time.time_ns()) < 5_000_000_000
    os.close(line)


@pytest.mark.parametrize(("asked", "kept"), [(0, 16), (5, 8), (4, 4)])
def test_a_full_buffer_loses_the_oldest_edge(board: Board, chip: int, asked: int, kept: int) -> None:
    """The kernel keeps the newest edges, 16 by default, else the next power of two; numbers count the lost ones too."""
    line = uapi.request(chip, [13], BOTH, buffer_size=asked)
    for index in range(25):
        board.pull(13, 1 - index % 2)
    events = uapi.events(line)
    assert [event.line_seqno for event in events] == list(range(26 - kept, 26))
    assert events[-1].id == 1
    board.pull(13, 0)
    assert kinds(uapi.events(line)) == [(2, 13, 26, 26)]
    os.close(line)


def test_reading_hands_out_whole_edges(board: Board, chip: int) -> None:
    """A read takes as many events as fit; an empty line would block, so a non-blocking one says EAGAIN."""
    line = uapi.request(chip, [13], BOTH)
    os.set_blocking(line, False)
    assert refused(lambda: os.read(line, 48)) == errno.EAGAIN
    for level in (1, 0, 1):
        board.pull(13, level)
    assert [event.line_seqno for event in uapi.events(line, at_most=2)] == [1, 2]
    assert [event.line_seqno for event in uapi.events(line, at_most=2)] == [3]
    os.close(line)


def test_debounce_turns_many_flips_into_one_edge(board: Board, chip: int) -> None:
    """A bouncing contact gives one event, stamped when it had settled, and its value waits as long."""
    line = uapi.request(chip, [13], BOTH, (DEBOUNCE, 300_000, 1))
    started = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    for index in range(41):
        board.pull(13, 1 - index % 2)
    assert uapi.get(line) == 0
    (event,) = uapi.events(line)
    assert event[1:] == (1, 13, 1, 1)
    assert event.time_ns - started >= 300_000_000
    assert uapi.get(line) == 1
    assert uapi.events(line, 0.4) == []
    os.close(line)


def test_debounce_swallows_a_glitch(board: Board, chip: int) -> None:
    """A pulse shorter than the period is no event and never a value."""
    line = uapi.request(chip, [13], BOTH, (DEBOUNCE, 300_000, 1))
    board.pull(13, 1)
    board.pull(13, 0)
    assert uapi.events(line, 0.5) == []
    assert uapi.get(line) == 0
    os.close(line)


def test_set_config_changes_edges_polarity_and_direction(board: Board, chip: int) -> None:
    """A request is configured anew without giving its line up; the numbers go on."""
    line = uapi.request(chip, [13], BOTH)
    board.pull(13, 1)
    uapi.set_config(line, INPUT | FALLING | ACTIVE_LOW)
    assert uapi.get(line) == 0
    board.pull(13, 0)
    board.pull(13, 1)
    assert kinds(uapi.events(line)) == [(1, 13, 1, 1), (2, 13, 2, 2)]
    uapi.set_config(line, OUTPUT, (VALUES, 0, 1))
    assert board.level(13) == 0
    uapi.put(line, 1)
    assert board.level(13) == 1
    os.close(line)


def test_set_config_without_a_direction_changes_nothing(board: Board, chip: int) -> None:
    """Lines that are not told input or output stay as they are."""
    line = uapi.request(chip, [13], BOTH)
    uapi.set_config(line, 0)
    board.pull(13, 1)
    assert kinds(uapi.events(line)) == [(1, 13, 1, 1)]
    assert refused(lambda: uapi.set_config(line, INPUT | OUTPUT)) == errno.EINVAL
    os.close(line)


def test_unplugging_ends_requests(board: Board, chip: int) -> None:
    """When the chip goes, a poll returns, and every call says ENODEV."""
    line = uapi.request(chip, [13], BOTH)
    output = uapi.request(chip, [17], OUTPUT, (VALUES, 1, 1))
    board.unplug()
    poll = select.poll()
    poll.register(line, select.POLLIN)
    assert [found & select.POLLHUP for _, found in poll.poll(DEADLINE_S * 1000)] == [select.POLLHUP]
    for call in (lambda: uapi.get(line), lambda: uapi.put(output, 0), lambda: uapi.info(chip, 5)):
        assert refused(call) == errno.ENODEV
    assert refused(lambda: uapi.request(chip, [5], INPUT)) == errno.ENODEV
    os.close(line)
    os.close(output)
