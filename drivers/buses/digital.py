"""The bus kind `gpio`: inputs, outputs and PWM as gpiozero's devices over our pin factories."""

from collections.abc import Callable
from typing import Any, TypeVar

from gpiozero import DigitalInputDevice, DigitalOutputDevice, GPIOPinInUse, PWMOutputDevice

from drivers.buses.gpio import LINES, LineFactory
from drivers.buses.gpio_lines import Pull
from drivers.buses.pwm import PwmFactory
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError
from gateway.core.quality import Reason

OnChange = Callable[[bool, int], None]
_Line = TypeVar("_Line")


class _EdgeDevice(DigitalInputDevice):  # type: ignore[misc]  # gpiozero ships no types
    """gpiozero's input, which also says when the kernel saw the change."""

    def __init__(self, factory: LineFactory, line: int, **rest: Any) -> None:
        self.on_edge: OnChange | None = None  # before gpiozero seals the set of attributes
        super().__init__(line, pin_factory=factory, **rest)

    def _fire_activated(self) -> None:
        if self.on_edge is not None:
            self.on_edge(True, self._last_changed)

    def _fire_deactivated(self) -> None:
        if self.on_edge is not None:
            self.on_edge(False, self._last_changed)


class InputLine:
    """A claimed input (`DigitalInput`).

    gpiozero ties the active level to the pull; a door contact is pulled up and active high, so we turn it round here.
    """

    def __init__(self, factory: LineFactory, line: int, pull: Pull, active_low: bool, debounce_s: float) -> None:
        floating = pull == "none"
        self._inverted = not floating and active_low != (pull == "up")
        self._device = _EdgeDevice(
            factory,
            line,
            pull_up=None if floating else pull == "up",
            active_state=not active_low if floating else None,
            bounce_time=debounce_s or None,
        )

    def is_active(self) -> bool:
        """Whether it is active now; claims the line again after its chip was away. Raises NotConnected."""
        return bool(self._device.value) != self._inverted

    def watch(self, on_change: OnChange) -> None:
        """Report every debounced change from now on, in the edge thread."""
        self._device.on_edge = lambda active, time_ns: on_change(active != self._inverted, time_ns)
        self._device.pin.report_soon()  # an edge that came while gpiozero set itself up

    def edges(self) -> int:
        """How many debounced changes there were, also those that came too fast to be handed on. Any thread."""
        edges: int = self._device.pin.edges_seen
        return edges

    def close(self) -> None:
        """Give the line back."""
        self._device.close()


class OutputLine:
    """A claimed output (`DigitalOutput`)."""

    def __init__(self, factory: LineFactory, line: int, active_low: bool, initial: bool) -> None:
        self._device = DigitalOutputDevice(line, active_high=not active_low, initial_value=initial, pin_factory=factory)

    def drive(self, active: bool) -> None:
        """Set the level; claims the line again, at this level, after its chip was away. Raises NotConnected."""
        self._device.value = active

    def level(self) -> bool:
        """Read the line back. Raises NotConnected."""
        return bool(self._device.value)

    def close(self) -> None:
        """Give the line back as it is: drive it safe before."""
        self._device.close()


class PwmLine:
    """A line with PWM (`AnalogOutput`)."""

    def __init__(
        self, factory: PwmFactory, line: int, frequency_hz: float, active_low: bool, initial_pct: float
    ) -> None:
        self._device = PWMOutputDevice(
            line,
            active_high=not active_low,
            initial_value=initial_pct / 100,
            frequency=frequency_hz,
            pin_factory=factory,
        )

    def drive(self, level_pct: float) -> None:
        """Set the level; claims the channel again after its driver was away. Raises NotConnected or DeviceError."""
        self._device.value = level_pct / 100

    def level(self) -> float:
        """What the kernel says it puts out, in percent. Raises as `drive`."""
        return float(self._device.value) * 100

    def close(self) -> None:
        """Give the line back. Its PWM goes on at this level: drive it safe before."""
        self._device.close()


def open_bus(bus: Bus, root: str) -> "GpioChip":
    """The chip of this node; opened at the first claim."""
    return GpioChip(bus.device, root)


class GpioChip:
    """The bus kind `gpio` (`DigitalLines`): one chip, whose lines are claimed one by one. Any thread."""

    def __init__(self, device: str, root: str = "/") -> None:
        self._factory = LineFactory(device, root)
        self._pwm = PwmFactory(self._factory, root)

    def input(self, line: int, *, pull: Pull, active_low: bool, debounce_s: float) -> InputLine:
        """Claim an input. Raises NotConnected when the chip is absent or somebody else has the line."""
        return self._claimed(line, lambda: InputLine(self._factory, line, pull, active_low, debounce_s))

    def output(self, line: int, *, active_low: bool, initial: bool) -> OutputLine:
        """Claim an output; the line never shows another level than `initial`. Raises NotConnected as above."""
        return self._claimed(line, lambda: OutputLine(self._factory, line, active_low, initial))

    def pwm(self, line: int, *, frequency_hz: float, active_low: bool, initial: float) -> PwmLine:
        """The kernel's PWM on one of its lines, from `initial` percent on. Raises NotConnected without its overlay."""
        return self._claimed(line, lambda: PwmLine(self._pwm, line, frequency_hz, active_low, initial))

    def alive(self) -> bool:
        """False when the thread that reads edges has died or hangs in a handler."""
        return self._factory.edges.alive()

    def close(self) -> None:
        """Release every line; whoever still holds one gets NotConnected."""
        self._pwm.close()
        self._factory.close()

    def _claimed(self, line: int, make: Callable[[], _Line]) -> _Line:
        if not 0 <= line < LINES:
            raise DeviceError(f"GPIO{line} does not exist: lines are 0 to {LINES - 1}", Reason.BAD_CONFIGURATION_ERROR)
        try:
            return make()
        except GPIOPinInUse as error:
            raise DeviceError(
                f"GPIO{line} is already in use by this gateway: two devices claim it", Reason.BAD_CONFIGURATION_ERROR
            ) from error
        except DeviceError:
            self._factory.forget(line)
            raise
