"""A gpiozero pin factory over the kernel's GPIO character device.

Why not lgpio: its outputs glitch at start (claimed as input, then at 0, then set), its callbacks come late, and it has
no wheel for Python 3.13. Here an output's first level is part of the claim, the kernel debounces and stamps edges, and
one thread reads them. Levels here are physical; polarity is made above.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from gpiozero.pins import BoardInfo, Factory, HeaderInfo, Pin, PinInfo

from drivers.buses import gpio_lines
from drivers.buses.edges import EdgeReader
from gateway.core.errors import DeviceError, NotConnected
from gateway.core.quality import Reason

CONSUMER = "kitchen-gateway"
LINES = 54  # GPIO0 to GPIO53, as the BCM chips number them
_GONE = frozenset({errno.ENODEV, errno.ENXIO, errno.EBADF})


class LineFactory(Factory):  # type: ignore[misc]  # gpiozero ships no types
    """Makes gpiozero pins of one chip. Needs no Raspberry Pi: its board is a header with nothing but GPIO lines."""

    def __init__(self, device: str, root: str = "/") -> None:
        super().__init__()
        self.device = device
        self.edges = EdgeReader(os.path.basename(device))
        self._path = os.path.join(root, device.lstrip("/"))
        self._chip: int | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._pins: dict[int, LinePin] = {}
        self._board = _board(device)

    def pin(self, name: int) -> "LinePin":
        """The pin of a line number; the same object each time, not claimed yet."""
        return self._pins.setdefault(name, LinePin(self, name))

    def ticks(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def ticks_diff(self, later: int, earlier: int) -> float:
        """Seconds."""
        return (later - earlier) / 1e9

    def claim(self, offset: int, request: Callable[[int], int]) -> int:
        """`request(chip)`: a claimed line's descriptor. Raises NotConnected: no such chip, or somebody has the line."""
        with self._lock:
            chip = self._opened()
            try:
                return request(chip)
            except OSError as error:
                raise self._refused(error, chip, offset) from error

    def forget(self, offset: int) -> None:
        """End gpiozero's reservation after a failed claim, whose half-made device may live on in a traceback."""
        self._reservations.pop(self.pin(offset).info, None)

    def close(self) -> None:
        """Close every line, the edge thread and the chip, for good."""
        self._closed = True
        for pin in tuple(self._pins.values()):
            pin.close()
        self.edges.close()
        with self._lock:
            self._close_chip()

    def _opened(self) -> int:
        if self._closed:
            raise NotConnected(f"{self.device} was closed: open the bus again")
        if self._chip is None:
            try:
                self._chip = os.open(self._path, os.O_RDWR)
            except OSError as error:
                cure = "add the gateway's user to the group gpio" if error.errno == errno.EACCES else "check the name"
                raise NotConnected(f"can't open {self.device} ({error.strerror}): {cure}") from error
        return self._chip

    def _close_chip(self) -> None:
        chip, self._chip = self._chip, None
        if chip is not None:
            os.close(chip)

    def _refused(self, error: OSError, chip: int, offset: int) -> DeviceError:
        where = f"GPIO{offset} on {self.device}"
        if error.errno == errno.EBUSY:
            who = gpio_lines.holder(chip, offset) or "another program or a device-tree overlay"
            return NotConnected(f"{where} is held by {who}: stop it, or use another line")
        if error.errno in _GONE:
            self._close_chip()
            return NotConnected(f"{self.device} is gone ({error.strerror}): check the chip")
        if error.errno == errno.EINVAL:
            return DeviceError(f"the chip refuses {where}: has it such a line?", Reason.BAD_CONFIGURATION_ERROR)
        return DeviceError(f"can't claim {where} ({error.strerror}): check the chip")

    def _get_board_info(self) -> BoardInfo:
        return self._board


class LinePin(Pin):  # type: ignore[misc]  # gpiozero ships no types
    """One line. An output is claimed by `output_with_state`; an input, with all it was configured to, at its first use.

    A line whose chip went away is claimed again at the next use, an output at the level it is to have then.
    """

    def __init__(self, factory: LineFactory, offset: int) -> None:
        self._factory = factory
        self._offset = offset
        self._lock = threading.RLock()  # around the descriptor: the edge thread must not read one that was just closed
        self._line: int | None = None
        self._function = "input"
        self._pull: gpio_lines.Pull = "none"
        self._bounce_s = 0.0
        self._number = 0  # of the last edge
        self.edges_seen = 0  # of all claims together
        self._handler: Callable[[int, int], None] | None = None

    def __repr__(self) -> str:
        return f"GPIO{self._offset}"

    def output_with_state(self, state: bool) -> None:
        """Become an output at this level, in one step."""
        with self._lock:
            if self._function != "output" or self._line is None:
                self._release()
                self._function = "output"
                self._drive_anew(bool(state))
            else:
                self._set_state(state)

    def report_soon(self) -> None:
        """Let the edge thread compare the level with the last one reported."""
        self._factory.edges.soon(self._catch_up)

    def close(self) -> None:
        """Release the line. What an output does then is the kernel's choice: drive it safe before."""
        with self._lock:
            self._release()
            self._handler = None
            self._pull, self._bounce_s = "none", 0.0

    def _drive_anew(self, level: bool) -> None:
        self._line = self._factory.claim(
            self._offset, lambda chip: gpio_lines.claim_output(chip, self._offset, level, CONSUMER)
        )

    def _listen(self) -> int:
        """The input's descriptor, claimed when it is not. The edge thread then reports the level, if it is a change."""
        if self._line is None:
            self._line = self._factory.claim(
                self._offset,
                lambda chip: gpio_lines.claim_input(chip, self._offset, self._pull, self._bounce_s, CONSUMER),
            )
            self._number = 0
            self._factory.edges.watch(self._line, self._on_readable)
            self.report_soon()
        return self._line

    def _release(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._factory.edges.forget(line)
            os.close(line)

    def _lost(self, error: OSError) -> NotConnected:
        self._release()
        return NotConnected(f"GPIO{self._offset} on {self._factory.device} is gone ({error.strerror}): check the chip")

    def _on_readable(self) -> None:
        """In the edge thread: hand on every edge; after a loss (the numbers have a gap) also the level now."""
        with self._lock:
            if self._line is None:
                return
            try:
                edges = gpio_lines.read_edges(self._line)
            except OSError as error:
                self._lost(error)
                return
            complete = [edge.number for edge in edges] == list(range(self._number + 1, self._number + 1 + len(edges)))
            if edges:  # the kernel numbers what it has to drop too
                self.edges_seen += edges[-1].number - self._number & gpio_lines.HIGHEST_NUMBER
                self._number = edges[-1].number
            handler = self._handler
        if handler is None:
            return
        since_boot_ns = boottime_ahead_ns()
        for edge in edges:
            handler(edge.time_ns + since_boot_ns, int(edge.level))
        if not complete:
            self._report_level()

    def _catch_up(self) -> None:
        """In the edge thread: the edges that wait, then the level; the other way round edges would come twice."""
        self._on_readable()
        self._report_level()

    def _report_level(self) -> None:
        """In the edge thread: the level now; gpiozero passes on only a change."""
        with self._lock:
            handler, line = self._handler, self._line
            if handler is None or line is None:
                return
            try:
                level = gpio_lines.get_level(line)
            except OSError as error:
                self._lost(error)
                return
        handler(self._factory.ticks(), int(level))

    def _get_info(self) -> PinInfo:
        return self._factory.board_info.headers["GPIO"].pins[self._offset]

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        with self._lock:
            if value == "output":  # gpiozero's initial_value=None: keep the level the line has
                self.output_with_state(bool(self._get_state()))
            elif value != self._function:
                self._release()
                self._function = value

    def _get_state(self) -> int:
        with self._lock:
            line = self._line
            if line is None:
                if self._function == "output":
                    raise NotConnected(f"GPIO{self._offset} on {self._factory.device} is not claimed: drive it first")
                line = self._listen()
            try:
                return int(gpio_lines.get_level(line))
            except OSError as error:
                raise self._lost(error) from error

    def _set_state(self, value: bool) -> None:
        with self._lock:
            if self._line is None:
                self._drive_anew(bool(value))
                return
            try:
                gpio_lines.set_level(self._line, bool(value))
            except OSError as error:
                raise self._lost(error) from error

    def _get_pull(self) -> str:
        return "floating" if self._pull == "none" else self._pull

    def _set_pull(self, value: Any) -> None:
        with self._lock:
            self._release()  # the next use claims the line with its new pull
            self._pull = "none" if value == "floating" else value

    def _get_bounce(self) -> float | None:
        return self._bounce_s or None

    def _set_bounce(self, value: float | None) -> None:
        with self._lock:
            self._release()
            self._bounce_s = value or 0.0

    def _get_edges(self) -> str:
        return "both"

    def _set_edges(self, value: str) -> None:
        if value != "both":
            raise NotImplementedError("lines report both edges: filter in the handler")

    def _get_when_changed(self) -> Callable[[int, int], None] | None:
        return self._handler

    def _set_when_changed(self, value: Callable[[int, int], None] | None) -> None:
        with self._lock:
            self._handler = value
            if value is not None:
                self._listen()


def boottime_ahead_ns() -> int:
    """How far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC: the time asleep.

    What passes between two readings makes it look less, so the highest of three is nearest: edges of two lines are
    brought into order by their stamps, and an interrupted thread must not swap them.
    """
    return max(
        time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC) for _ in range(3)
    )


def _board(device: str) -> BoardInfo:
    """What gpiozero must know to reserve lines: a header that has them all. No Raspberry Pi is needed."""
    pins = {
        number: PinInfo(
            number=number,
            name=f"GPIO{number}",
            names=frozenset({number, f"GPIO{number}"}),
            pull="",
            row=number + 1,
            col=1,
            interfaces=frozenset({"gpio"}),
        )
        for number in range(LINES)
    }
    unknown = dict.fromkeys(BoardInfo._fields, "")
    header = HeaderInfo(name="GPIO", rows=LINES, columns=1, pins=pins)
    return BoardInfo(**{**unknown, "model": device, "headers": {"GPIO": header}})
