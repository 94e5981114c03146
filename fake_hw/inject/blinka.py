"""What adafruit_dht finds below itself: a board with pins, and Blinka's own PulseIn with a simulated helper.

On a Pi `pulseio.PulseIn` is Blinka's class for BCM chips: it starts a compiled helper that samples the line and speaks
with it through a System V message queue. That class runs here unmodified; only the helper is replaced.
"""

import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

from fake_hw.buses.dht import START
from fake_hw.node import connect

_TO_HELPER, _TO_PROGRAM = 1, 2  # message types
_PINS = 28
_ANSWER = 4096


def fill(module: ModuleType, root: str) -> None:
    """Give a new module `board`, `digitalio`, `microcontroller` or `pulseio` what adafruit_dht takes from it."""
    if module.__name__ == "board":
        vars(module).update({f"D{number}": Pin(number) for number in range(_PINS)})
    elif module.__name__ == "digitalio":
        vars(module).update(DigitalInOut=_no_bit_banging, Direction=SimpleNamespace(), Pull=SimpleNamespace())
    elif module.__name__ == "microcontroller":
        vars(module).update(Pin=Pin)
    else:
        vars(module).update(PulseIn=_pulse_in(root))


class Pin:
    """A pin of the header under its BCM number, as PulseIn names it to its helper."""

    def __init__(self, number: int) -> None:
        self.id = number

    def __str__(self) -> str:
        return str(self.id)

    __repr__ = __str__


def _no_bit_banging(*_: Any) -> NoReturn:
    raise NotImplementedError("simulated pins have pulses only: leave use_pulseio on")


def _pulse_in(root: str) -> Any:
    """Blinka's class, its helper program replaced by ours."""
    from adafruit_blinka.microcontroller.bcm283x.pulseio import PulseIn as PulseInModule

    PulseInModule.subprocess = SimpleNamespace(Popen=lambda command: Helper(root, command))
    return PulseInModule.PulseIn


class Helper:
    """Plays `libgpiod_pulsein`: obeys the messages of its queue until that is removed.

    command: the helper's command line, `[path, "--pulses", n, "--queue", key, …, chip, line]`. Runs in a thread: a
    process could miss the 0.25 s that PulseIn gives its helper to start on a busy machine.
    """

    def __init__(self, root: str, command: Sequence[str]) -> None:
        import sysv_ipc  # PulseIn's own end of the queue needs it, so it is there

        self._queue = sysv_ipc.MessageQueue(int(command[command.index("--queue") + 1]))
        self._gone = sysv_ipc.Error
        self._pulses: deque[int] = deque(maxlen=int(command[command.index("--pulses") + 1]))
        self._path = os.path.join(root, f"dev/dht-GPIO{command[-1]}")
        self._line: socket.socket | None = None
        self._queue.send(b"!", type=_TO_PROGRAM)
        threading.Thread(target=self._obey, name="pulsein", daemon=True).start()

    def terminate(self) -> None:
        """What PulseIn does to its helper at the end, just before it removes the queue, which ends the thread."""
        line = self._line
        if line is not None:
            line.shutdown(socket.SHUT_RDWR)  # a simulator that keeps silent must not hold the thread

    def _obey(self) -> None:
        try:
            while True:
                self._order(self._queue.receive(type=_TO_HELPER)[0].decode())
        except (self._gone, OSError):
            pass
        finally:
            if self._line is not None:
                self._line.close()

    def _order(self, text: str) -> None:
        """t: trigger and capture; c: clear; l: length; ^: take the oldest; i: look at one; r and p: resume, pause."""
        verb, number = text[0], text[1:]
        if verb == "t":
            self._pulses.extend(self._measure())
        elif verb == "c":
            self._pulses.clear()
        elif verb == "l":
            self._tell(len(self._pulses))
        elif verb == "^":
            self._tell(self._pulses.popleft() if self._pulses else -1)
        elif verb == "i":
            self._tell(self._pulses[int(number)] if int(number) < len(self._pulses) else -1)

    def _measure(self) -> list[int]:
        """The train that follows one start signal; none when nothing is wired to this line."""
        try:
            if self._line is None:
                self._line = connect(self._path)
            self._line.send(START)
            answer = self._line.recv(_ANSWER)
        except OSError:
            return []
        return [pulse for (pulse,) in struct.iter_unpack("<H", answer[4:])]

    def _tell(self, number: int) -> None:
        self._queue.send(str(number).encode(), type=_TO_PROGRAM)
