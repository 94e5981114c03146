"""gpiozero's pins with the kernel's PWM behind them, for devices such as `PWMOutputDevice`.

A PWM line is muxed by its device-tree overlay and must not be claimed from the GPIO chip, which would take it out of
the PWM controller's hands; so it has a pin of its own kind. Its reservations are the chip's: one line, one device.
"""

import threading
from typing import Any

from gpiozero.pins import BoardInfo, Factory, Pin, PinInfo

from drivers.buses.gpio import LineFactory
from drivers.buses.pwm_sysfs import Pulse, PwmChannel
from gateway.core.errors import NotConnected

_NS = 1_000_000_000


class PwmFactory(Factory):  # type: ignore[misc]  # gpiozero ships no types
    """Makes the PWM pins of the chip whose other lines `lines` makes."""

    def __init__(self, lines: LineFactory, root: str = "/") -> None:
        super().__init__()
        self._lines = lines
        self._root = root
        self._pins: dict[int, PwmPin] = {}
        self.closed = False

    def pin(self, name: int) -> "PwmPin":
        """The pin of a line number; the same object each time."""
        return self._pins.setdefault(name, PwmPin(self, name, PwmChannel(name, self._root)))

    def reserve_pins(self, requester: Any, *names: Any) -> None:
        """Reserve lines among all devices of the chip. Raises GPIOPinInUse."""
        self._lines.reserve_pins(requester, *names)

    def release_pins(self, reserver: Any, *names: Any) -> None:
        """End a reservation."""
        self._lines.release_pins(reserver, *names)

    def close(self) -> None:
        """Drive nothing any more; what runs goes on."""
        self.closed = True

    def _get_board_info(self) -> BoardInfo:
        return self._lines.board_info


class PwmPin(Pin):  # type: ignore[misc]  # gpiozero ships no types
    """One line with PWM: a frequency, and a state from 0.0 to 1.0, high for that part of the time.

    Nothing is written before the first state, so an output begins with the level it is to have.
    """

    def __init__(self, factory: PwmFactory, line: int, channel: PwmChannel) -> None:
        self._factory = factory
        self._line = line
        self._channel = channel
        self._frequency_hz: float | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"PWM of GPIO{self._line}"

    def close(self) -> None:
        """Leave it as it is: drive it safe before."""

    def _get_info(self) -> PinInfo:
        return self._factory.board_info.headers["GPIO"].pins[self._line]

    def _get_function(self) -> str:
        return "output"

    def _set_function(self, value: str) -> None:
        if value != "output":
            raise NotImplementedError(f"{self!r} is an output: its overlay made it one")

    def _get_frequency(self) -> float | None:
        return self._frequency_hz

    def _set_frequency(self, value: float | None) -> None:
        self._frequency_hz = value  # None: gpiozero's device closes; the next state comes with a new one

    def _get_state(self) -> float:
        with self._lock:
            pulse = self._channel.get()
        return pulse.duty_ns / pulse.period_ns if pulse.period_ns else 0.0

    def _set_state(self, value: float) -> None:
        if self._factory.closed or not self._frequency_hz:
            raise NotConnected(f"{self!r} was closed: open the bus again")
        period_ns = round(_NS / self._frequency_hz)
        with self._lock:
            self._channel.set(Pulse(period_ns, round(period_ns * value)))
