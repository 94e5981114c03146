"""The production GPIO bus and the safe-state program on a chip: the simulator's, and the kernel's."""

import os
import signal
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.buses import gpio_lines
from drivers.buses.digital import GpioChip, InputLine
from drivers.buses.gpio import LineFactory
from gateway.core.errors import DeviceError, NotConnected
from tests.conformance import uapi
from tests.conformance.board import DEADLINE_S, Board

REPOSITORY = Path(__file__).parents[2]
SAFE_STATE = REPOSITORY / "libexec/safe-state"


@pytest.fixture
def bus(board: Board) -> Iterator[GpioChip]:
    """The production bus on the board's chip."""
    opened = GpioChip(board.device, board.root)
    yield opened
    opened.close()


class Heard:
    """What a watched input reported: (active, CLOCK_BOOTTIME ns)."""

    def __init__(self) -> None:
        self.changes: list[tuple[bool, int]] = []
        self._changed = threading.Condition()

    def __call__(self, active: bool, time_ns: int) -> None:
        with self._changed:
            self.changes.append((active, time_ns))
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> bool:
        """Whether it came true in time."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)


def boottime_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize("active_low", [False, True])
@pytest.mark.parametrize("initial", [False, True])
def test_outputs_start_follow_and_read_back(board: Board, bus: GpioChip, active_low: bool, initial: bool) -> None:
    """An output shows its first level when it is claimed, every later one when `drive` returns, and is read back."""
    output = bus.output(17, active_low=active_low, initial=initial)
    assert board.level(17) == initial ^ active_low
    for active in (not initial, initial, initial):
        output.drive(active)
        assert board.level(17) == active ^ active_low
        assert output.level() is active
    output.close()
    assert board.level(17) == 0


def test_a_held_line_names_its_holder(board: Board, bus: GpioChip, chip: int) -> None:
    """Who is in the way is in the message; the line can be had when they have let go."""
    line = uapi.request(chip, [17], uapi.OUTPUT, consumer=b"other-daemon")
    with pytest.raises(NotConnected, match=r"GPIO17 on .* is held by other-daemon"):
        bus.output(17, active_low=False, initial=False)
    with pytest.raises(NotConnected, match="held by other-daemon"):
        bus.input(17, pull="up", active_low=True, debounce_s=0.0).is_active()
    os.close(line)
    bus.output(17, active_low=False, initial=False).close()


def test_a_line_the_chip_has_not_is_a_configuration_error(bus: GpioChip) -> None:
    """Line 54 is refused before the chip is asked."""
    with pytest.raises(DeviceError, match="GPIO54 does not exist"):
        bus.output(54, active_low=False, initial=False)


@pytest.mark.parametrize("active_low", [False, True])
@pytest.mark.parametrize("pull", ["up", "down", "none"])
def test_inputs_report_each_change_with_its_time(
    board: Board, bus: GpioChip, pull: gpio_lines.Pull, active_low: bool
) -> None:
    """Each edge is one report, in CLOCK_BOOTTIME, between the moment before it and the moment after."""
    rest = int(pull == "up")
    board.pull(13, rest)
    line, heard = bus.input(13, pull=pull, active_low=active_low, debounce_s=0.0), Heard()
    line.watch(heard)
    for index, level in enumerate((1 - rest, rest, 1 - rest, rest)):
        before = boottime_ns()
        board.pull(13, level)
        assert heard.wait(lambda: len(heard.changes) > index)  # noqa: B023 - called at once
        active, time_ns = heard.changes[-1]
        assert active is bool(level) ^ active_low
        assert before <= time_ns <= boottime_ns()
        assert line.is_active() is active
    assert len(heard.changes) == 4


def test_a_bouncing_contact_is_one_report(board: Board, bus: GpioChip) -> None:
    """Forty flips within the debounce time and one that stays: one report, and none after."""
    line, heard = bus.input(13, pull="down", active_low=False, debounce_s=0.3), Heard()
    assert not line.is_active()
    line.watch(heard)
    for index in range(41):
        board.pull(13, 1 - index % 2)
    assert heard.wait(lambda: bool(heard.changes))
    assert not heard.wait(lambda: len(heard.changes) > 1, 0.5)
    assert [active for active, _ in heard.changes] == [True]


def test_lost_edges_are_counted_by_their_numbers(board: Board, chip: int) -> None:
    """With nobody reading, the newest 64 edges are kept and the last one's number still counts them all."""
    line = gpio_lines.claim_input(chip, 13, "down", 0.0, "test")
    for index in range(201):
        board.pull(13, 1 - index % 2)
    edges = gpio_lines.read_edges(line)
    assert [edge.number for edge in edges] == list(range(138, 202))
    assert edges[-1].level
    assert gpio_lines.read_edges(line) == []
    os.close(line)


def test_after_lost_edges_the_last_report_is_the_level(board: Board, bus: GpioChip) -> None:
    """A handler that is late loses edges, never the state nor the count of a pulse counter."""
    line, heard, held_up = bus.input(13, pull="down", active_low=False, debounce_s=0.0), Heard(), threading.Event()
    assert not line.is_active()

    def late(active: bool, time_ns: int) -> None:
        held_up.wait(DEADLINE_S)
        heard(active, time_ns)

    line.watch(late)
    for index in range(201):
        board.pull(13, 1 - index % 2)
    held_up.set()
    assert heard.wait(lambda: line.edges() == 201)
    assert heard.wait(lambda: heard.changes[-1][0])
    assert line.is_active()
    assert len(heard.changes) < 201


def test_no_change_is_reported_twice(board: Board) -> None:
    """Asking for the level while edges wait to be read does not report them once as a level and once as edges."""
    factory, heard, held_up = LineFactory(board.device, board.root), Heard(), threading.Event()
    line = InputLine(factory, 13, "down", active_low=False, debounce_s=0.0)

    def wait() -> None:
        held_up.wait(DEADLINE_S)

    factory.edges.soon(wait)
    line.watch(heard)
    board.pull(13, 1)
    factory.edges.soon(lambda: board.pull(13, 0))
    line.watch(heard)  # in the same round, so with both edges unread
    held_up.set()
    assert heard.wait(lambda: len(heard.changes) >= 2)
    board.pull(13, 1)
    assert heard.wait(lambda: heard.changes[-1][0])
    assert [active for active, _ in heard.changes] == [True, False, True]
    factory.close()


def test_lines_come_back_with_their_chip(board: Board, bus: GpioChip) -> None:
    """Without the chip every use is NotConnected; with it, outputs and inputs have their levels."""
    output = bus.output(17, active_low=False, initial=True)
    line = bus.input(13, pull="down", active_low=False, debounce_s=0.0)
    assert not line.is_active()
    board.unplug()
    for use in (lambda: output.drive(False), line.is_active, lambda: output.drive(True)):
        with pytest.raises(NotConnected):
            use()
    board.plug()
    output.drive(True)
    assert board.level(17) == 1
    assert not line.is_active()
    board.pull(13, 1)
    assert line.is_active()


@pytest.fixture
def holder(board: Board) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds GPIO17 active."""
    command = [*board.python, "-m", "tests.conformance.holder", board.root, board.device, "17"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held True\n"
    yield process
    process.kill()
    process.communicate()


def test_a_killed_holder_lets_go(board: Board, bus: GpioChip, holder: subprocess.Popen[str]) -> None:
    """SIGKILL frees the line: its pull decides the level (strict lines), and the next claim is granted."""
    assert board.level(17) == 1
    holder.send_signal(signal.SIGKILL)
    holder.wait(DEADLINE_S)
    deadline = time.monotonic() + DEADLINE_S
    while board.level(17):
        assert time.monotonic() < deadline, "the line stayed driven"
    bus.output(17, active_low=False, initial=False).close()


def safe_state(board: Board, directory: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """Run the program on a sealed list."""
    data = "".join(f"gpio {board.device} {line}\n" for line in lines).encode()
    (directory / "list").write_bytes(data + b"crc32 %08x\n" % zlib.crc32(data))
    command = [*board.python, str(SAFE_STATE), str(directory / "list"), "--root", board.root]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False)


def test_the_safe_state_program_proves_each_line(board: Board, tmp_path: Path) -> None:
    """It drives every line of its list, reads each back and says so."""
    done = safe_state(board, tmp_path, "17 0", "10 1", "18 0")
    assert done.stdout.splitlines() == [
        f"GPIO{line} on {board.device}: {level}" for line, level in ((17, 0), (10, 1), (18, 0))
    ]
    assert done.returncode == 0


def test_the_safe_state_program_says_what_it_could_not_do(
    board: Board, tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    """A line that somebody goes on holding is told of, the others are driven, and the exit code is 1."""
    done = safe_state(board, tmp_path, "17 0", "10 1")
    assert done.stdout.splitlines() == [
        f"GPIO17 on {board.device}: NOT driven to 0: another program holds it: stop that program",
        f"GPIO10 on {board.device}: 1",
    ]
    assert done.returncode == 1
