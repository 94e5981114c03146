"""Lines through gpiozero over our pin factory: no glitch, no lost edge, recovery, and errors in words."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers.buses import gpio_lines
from drivers.buses.digital import GpioChip, InputLine
from drivers.buses.edges import EdgeReader
from drivers.buses.gpio import LineFactory, LinePin, boottime_ahead_ns
from fake_hw import client
from fake_hw.inject import install
from fake_hw.simulator import Simulator
from gateway.core.errors import DeviceError, NotConnected

Tell = Callable[[str], dict[str, Any]]
Changes = list[tuple[bool, int]]


@pytest.fixture
def chip(kitchen: Simulator) -> Iterator[GpioChip]:
    opened = GpioChip("/dev/gpiochip0", kitchen.root)
    yield opened
    opened.close()


def door(chip: GpioChip, debounce_s: float = 0.0) -> Any:
    """The walk-in's door switch: open is high by the pull."""
    return chip.input(6, pull="up", active_low=False, debounce_s=debounce_s)


def levels(root: str, line: str) -> list[int]:
    """Every level the line had since the start, in order."""
    return [entry["level"] for entry in client.read_log(root) if entry["line"] == line]


@pytest.mark.parametrize(("line", "active_low", "inactive"), [(10, True, 1), (17, False, 0)])
def test_an_output_is_claimed_without_a_glitch(
    chip: GpioChip, kitchen: Simulator, line: int, active_low: bool, inactive: int
) -> None:
    """From before the claim until the first command the line shows its safe level only, also where that is high."""
    output = chip.output(line, active_low=active_low, initial=False)
    assert output.level() is False
    entries = [entry for entry in client.read_log(kitchen.root) if entry["line"] == f"GPIO{line}"]
    assert "claim" in [entry["why"] for entry in entries]
    assert {entry["level"] for entry in entries} == {inactive}
    output.drive(True)
    assert output.level() is True
    output.drive(False)
    assert levels(kitchen.root, f"GPIO{line}")[-2:] == [1 - inactive, inactive]


def test_an_output_may_be_safe_when_energised(chip: GpioChip, kitchen: Simulator) -> None:
    """`safe: on` is claimed active at once."""
    assert chip.output(24, active_low=False, initial=True).level() is True
    assert set(levels(kitchen.root, "GPIO24")) == {1}


@pytest.mark.parametrize(
    ("pull", "active_low", "closed", "opened"),
    [("up", False, False, True), ("up", True, True, False), ("none", False, False, None), ("none", True, True, None)],
)
def test_polarity_of_inputs(
    chip: GpioChip, tell: Tell, pull: Any, active_low: bool, closed: bool, opened: bool | None
) -> None:
    """Every mix of pull and active level means what the wiring says; a closed contact is at ground."""
    contact = chip.input(13, pull=pull, active_low=active_low, debounce_s=0)
    assert contact.is_active() is closed
    tell("estop press")  # opens the contact: only a pull makes the line rise
    assert opened is None or contact.is_active() is opened


def test_the_pull_down_is_asked_for(chip: GpioChip) -> None:
    """GPIO3 has nothing wired to it: its level is that of the pull we ask for."""
    down = chip.input(3, pull="down", active_low=False, debounce_s=0)
    assert down.is_active() is False
    down.close()
    up = chip.input(3, pull="up", active_low=False, debounce_s=0)
    assert up.is_active() is True


def test_changes_come_with_the_kernels_time(
    chip: GpioChip, kitchen: Simulator, tell: Tell, until: Callable[..., None]
) -> None:
    """Each change is reported once, in the edge thread, with the time it happened on CLOCK_BOOTTIME."""
    seen: Changes = []
    threads: set[str] = set()

    def note(active: bool, time_ns: int) -> None:
        seen.append((active, time_ns))
        threads.add(threading.current_thread().name)

    contact = door(chip)
    contact.watch(note)
    tell("door walkin open")
    tell("door walkin close")
    until(lambda: len(seen) == 2)
    assert contact.is_active() is False
    assert [active for active, _ in seen] == [True, False]
    moved = [entry["t_ns"] for entry in client.read_log(kitchen.root) if entry["line"] == "GPIO6"][-2:]
    for (_, time_ns), truth_ns in zip(seen, moved, strict=True):
        assert abs(time_ns - truth_ns) < 50_000_000
    assert threads == {"edges gpiochip0"}


def test_an_interrupted_thread_swaps_no_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of three readings of the clocks are torn apart by 30 ms: edges of two lines keep their order."""
    passing = iter([30_000_000, 100, 30_000_000])
    now_ns = [10**12]

    def read(clock: int) -> int:
        if clock == time.CLOCK_BOOTTIME:
            return now_ns[0] + 5_000_000_000
        now_ns[0] += next(passing)
        return now_ns[0]

    monkeypatch.setattr(time, "clock_gettime_ns", read)
    assert boottime_ahead_ns() == 5_000_000_000 - 100


def test_no_edge_is_lost_while_the_process_is_busy(
    chip: GpioChip, kitchen: Simulator, tell: Tell, until: Callable[..., None]
) -> None:
    """Edges wait in the kernel, with their own times, until the edge thread gets to them; all come, in order."""
    seen: Changes = []
    busy, go_on = threading.Event(), threading.Event()

    def hold(_active: bool, _time_ns: int) -> None:
        busy.set()
        go_on.wait(5.0)

    stop_button = chip.input(13, pull="up", active_low=False, debounce_s=0)
    contact = door(chip)
    stop_button.watch(hold)
    contact.watch(lambda active, time_ns: seen.append((active, time_ns)))
    tell("estop press")
    assert busy.wait(5.0)
    for _ in range(5):
        tell("door walkin open")
        tell("door walkin close")
    assert seen == []
    go_on.set()
    until(lambda: len(seen) == 10)
    assert [active for active, _ in seen] == [True, False] * 5
    moved = [entry["t_ns"] for entry in client.read_log(kitchen.root) if entry["line"] == "GPIO6"][-10:]
    assert all(abs(time_ns - truth_ns) < 50_000_000 for (_, time_ns), truth_ns in zip(seen, moved, strict=True))


def test_the_kernel_debounces(chip: GpioChip, tell: Tell, until: Callable[..., None]) -> None:
    """A contact that bounces for less than the debounce time is one change, its level the last one."""
    seen: Changes = []
    contact = door(chip, debounce_s=0.2)
    contact.watch(lambda active, time_ns: seen.append((active, time_ns)))
    for state in ("open", "close", "open", "close", "open"):
        tell(f"door walkin {state}")
    until(lambda: seen)
    assert [active for active, _ in seen] == [True]
    assert contact.is_active() is True


def test_a_held_line_names_its_holder(chip: GpioChip, kitchen: Simulator) -> None:
    """EBUSY becomes who holds the line and what to do; our own claim works once it is free."""
    other = GpioChip("/dev/gpiochip0", kitchen.root)
    held = other.output(17, active_low=False, initial=False)
    with pytest.raises(NotConnected, match=r"GPIO17 on /dev/gpiochip0 is held by kitchen-gateway: stop it"):
        chip.output(17, active_low=False, initial=False)
    held.close()
    assert chip.output(17, active_low=False, initial=False).level() is False
    other.close()


def test_one_line_for_two_devices_is_refused(chip: GpioChip) -> None:
    """gpiozero's reservation stands even when the configuration's check was passed by."""
    kept = chip.output(17, active_low=False, initial=False)
    with pytest.raises(DeviceError, match="already in use by this gateway"):
        chip.input(17, pull="up", active_low=False, debounce_s=0)
    assert kept.level() is False


@pytest.mark.parametrize("line", [-1, 54, 999])
def test_a_line_that_does_not_exist(chip: GpioChip, line: int) -> None:
    """A number beyond the header is an error in words."""
    with pytest.raises(DeviceError, match="does not exist"):
        chip.output(line, active_low=False, initial=False)


def test_an_absent_chip(root: str) -> None:
    """No such chip: the path and the cure; tried again at each claim, and the reservation does not stay."""
    chip = GpioChip("/dev/gpiochip9", root)
    kept = []  # as a log does: the failed device lives on in the traceback
    for _ in range(2):
        with pytest.raises(NotConnected, match=r"can't open /dev/gpiochip9 \(No such file") as caught:
            chip.output(17, active_low=False, initial=False)
        kept.append(caught)


def test_the_chip_unplugged_and_back(chip: GpioChip, tell: Tell, until: Callable[..., None]) -> None:
    """Without the chip nothing is read or driven; with it, the same objects work, and a missed change is reported."""
    seen: Changes = []
    contact, valve = door(chip), chip.output(17, active_low=False, initial=False)
    contact.watch(lambda active, time_ns: seen.append((active, time_ns)))
    tell("unplug header")
    for _ in range(2):
        with pytest.raises(NotConnected):
            contact.is_active()
        with pytest.raises(NotConnected):
            valve.drive(True)
        with pytest.raises(NotConnected):
            valve.level()
    tell("door walkin open")
    tell("plug header")
    assert contact.is_active() is True
    until(lambda: [active for active, _ in seen] == [True])
    valve.drive(True)
    assert valve.level() is True
    tell("door walkin close")
    until(lambda: [active for active, _ in seen] == [True, False])
    assert chip.alive()


@pytest.mark.parametrize(("strict", "after"), [(False, 1), (True, 0)])
def test_closing_leaves_the_level_to_the_kernel(root: str, strict: bool, after: int) -> None:
    """A closed output keeps its level on Raspberry Pi OS, or falls to its pull; closing itself drives nothing."""
    simulator = Simulator(root, strict=strict)
    simulator.start()
    undo = install(root)
    chip = GpioChip("/dev/gpiochip0", root)
    output = chip.output(17, active_low=False, initial=False)
    output.drive(True)
    output.close()
    entry = [entry for entry in client.read_log(root) if entry["line"] == "GPIO17"][-1]
    chip.close()
    undo()
    simulator.stop()
    assert (entry["level"], entry["why"]) == (after, "release")


def test_a_closed_bus_claims_nothing(chip: GpioChip) -> None:
    """Who still holds an output of a closed bus gets an error, not a line that nobody knows of."""
    output = chip.output(17, active_low=False, initial=False)
    chip.close()
    with pytest.raises(NotConnected, match="was closed"):
        output.drive(True)


class Wire(LineFactory):
    """A chip whose one line is a socket: the test writes the kernel's records."""

    def __init__(self) -> None:
        super().__init__("/dev/gpiochip0")
        self.kernel, self.line = socket.socketpair()

    def claim(self, offset: int, request: Callable[[int], int]) -> int:
        os.set_blocking(self.line.fileno(), False)
        return self.line.fileno()

    def event(self, kind: int, time_ns: int, number: int) -> None:
        self.kernel.send(struct.pack("=QIIII24x", time_ns, kind, 17, number, number))


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()
    made.kernel.close()
    made.line.detach()  # its pin has closed it


def watched(wire: Wire) -> tuple[LinePin, list[tuple[int, int]]]:
    """A pin with a handler that notes (time, level)."""
    seen: list[tuple[int, int]] = []
    pin = wire.pin(17)
    pin.when_changed = lambda time_ns, level: seen.append((time_ns, level))
    return pin, seen


def test_a_gap_in_the_numbers_reads_the_level_again(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    """Edges the kernel had to drop may hide the last one: the level itself is asked, and wins."""
    monkeypatch.setattr("drivers.buses.gpio_lines.get_level", lambda _: True)
    _, seen = watched(wire)
    until(lambda: len(seen) == 1)  # the level at the beginning
    wire.event(2, 1000, 1)
    until(lambda: len(seen) == 2)
    wire.event(2, 2000, 2)
    until(lambda: len(seen) == 3)
    assert [level for _, level in seen] == [1, 0, 0]  # no gap: no question
    wire.event(2, 3000, 5)
    until(lambda: len(seen) == 5)
    assert [level for _, level in seen[3:]] == [0, 1]


def test_a_change_before_watching_is_not_lost(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    """Whoever starts to watch hears of a level that changed since the line was claimed."""
    monkeypatch.setattr("drivers.buses.gpio_lines.get_level", lambda _: False)
    contact = InputLine(wire, 17, "up", active_low=False, debounce_s=0)
    settled = threading.Event()
    wire.edges.soon(settled.set)
    assert settled.wait(5.0)
    monkeypatch.setattr("drivers.buses.gpio_lines.get_level", lambda _: True)
    seen: Changes = []
    contact.watch(lambda active, time_ns: seen.append((active, time_ns)))
    until(lambda: [active for active, _ in seen] == [True])


def test_times_are_carried_over_to_boottime(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    """The kernel stamps CLOCK_MONOTONIC, which stands still in suspend; we speak CLOCK_BOOTTIME."""
    monkeypatch.setattr("drivers.buses.gpio_lines.get_level", lambda _: False)
    real = time.clock_gettime_ns
    suspended_ns = 7_000_000_000
    monkeypatch.setattr(
        "drivers.buses.gpio.time.clock_gettime_ns",
        lambda clock: real(time.CLOCK_MONOTONIC) + (suspended_ns if clock == time.CLOCK_BOOTTIME else 0),
    )
    _, seen = watched(wire)
    until(lambda: len(seen) == 1)
    stamp = real(time.CLOCK_MONOTONIC)
    wire.event(1, stamp, 1)
    until(lambda: len(seen) == 2)
    assert 0 <= stamp + suspended_ns - seen[1][0] + 1_000_000 < 2_000_000


def test_a_handler_that_raises_does_not_end_the_edges(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    """One broken handler costs its own change only."""
    monkeypatch.setattr("drivers.buses.gpio_lines.get_level", lambda _: False)
    pin, seen = watched(wire)
    until(lambda: len(seen) == 1)
    good = pin.when_changed

    def bad(_time_ns: int, _level: int) -> None:
        pin.when_changed = good
        raise ValueError("handler")

    pin.when_changed = bad
    wire.event(1, 1000, 1)
    until(lambda: pin.when_changed is good)
    wire.event(1, 2000, 2)
    until(lambda: seen[-1][1] == 1)
    assert wire.edges.alive()


def test_a_handler_that_hangs_is_noticed(monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]) -> None:
    """`alive` is false while a handler does not return, and true again afterwards."""
    monkeypatch.setattr("drivers.buses.edges.STUCK_S", 0.1)
    monkeypatch.setattr("drivers.buses.edges.BEAT_S", 0.02)
    reader = EdgeReader("test")
    near, far = socket.socketpair()
    go_on = threading.Event()
    assert reader.alive()
    reader.watch(near.fileno(), lambda: near.recv(1) and go_on.wait(5.0))  # type: ignore[arg-type]  # its result is not used
    far.send(b"x")
    until(lambda: not reader.alive())
    go_on.set()
    until(reader.alive)
    reader.forget(near.fileno())
    reader.close()
    assert not reader.alive()
    near.close()
    far.close()


def test_the_kernels_numbers_count_every_edge(
    chip: GpioChip, tell: Tell, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    """Also over a gap, over the 32 bits' end, and over a line that was claimed anew."""
    contact = door(chip)
    assert contact.edges() == 0
    tell("door walkin open")
    until(lambda: contact.edges() == 1)
    pin = contact._device.pin
    numbers = iter([[3], [0xFFFFFFFF], [0, 1], [2]])
    monkeypatch.setattr(
        gpio_lines, "read_edges", lambda _: [gpio_lines.Edge(True, 0, number) for number in next(numbers)]
    )
    seen = []
    for _ in range(4):
        pin._on_readable()
        seen.append(contact.edges())
    assert seen == [3, 0xFFFFFFFF, 0x100000001, 0x100000002]
    monkeypatch.undo()
    pin._release()
    contact.is_active()
    tell("door walkin close")
    until(lambda: contact.edges() == 0x100000003)
