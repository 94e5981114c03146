"""The opened buses, and devices and outputs on them. A bus that can't be opened is tried again at the next use."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from drivers import registry
from gateway.core.driver import DigitalInput, DigitalOutput, Driver
from gateway.core.errors import DeviceError
from gateway.core.quality import Reason
from gateway.core.reading import Sample
from gateway.settings.model import Bus, Device, Output

Opener = Callable[[Bus], Any]
"""Opens a bus: `drivers.buses.open_bus` with the root of the device tree."""


class Wires:
    """Shared by the bus workers and the output guard; one lock, held while a bus is being opened."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._lock = threading.Lock()
        self._buses: dict[str, Bus] = {}
        self._open: dict[Bus, Any] = {}

    def configure(self, buses: Iterable[Bus]) -> None:
        """The buses that exist now; those that changed or went are closed. Their workers have been stopped before."""
        with self._lock:
            self._buses = {bus.name: bus for bus in buses}
            gone = [bus for bus in self._open if self._buses.get(bus.name) != bus]
            handles = [self._open.pop(bus) for bus in gone]
        for handle in handles:
            handle.close()

    def reopen(self, name: str) -> None:
        """Close a bus so that the next use opens it afresh. Raises OSError."""
        with self._lock:
            handle = self._open.pop(self._buses[name], None)
        if handle is not None:
            handle.close()

    def device(self, device: Device) -> Driver:
        """Open a polled device. May block for its bus; raises DeviceError."""
        spec = registry.load(device.driver)
        driver: Driver = spec.open(self._bus(device.bus), spec.options(**device.options))
        return driver

    def input(self, device: Device, on_change: Callable[[bool, int], None]) -> "WatchedInput":
        """Claim an input line and report its edges from now on. Raises DeviceError."""
        spec = registry.load(device.driver)
        line: DigitalInput = spec.open(self._bus(device.bus), spec.options(**device.options))
        return WatchedInput(line, device.channels[0].name, on_change)

    def output(self, output: Output) -> DigitalOutput:
        """Claim an output line at its safe level. Raises DeviceError."""
        spec = registry.load(output.driver)
        handle: DigitalOutput = spec.open(self._bus(output.bus), spec.options(**output.options), output.policy.safe)
        return handle

    def silent_edges(self) -> list[str]:
        """The buses whose thread that reads edges has died."""
        with self._lock:
            return [bus.name for bus, handle in self._open.items() if bus.type == "gpio" and not handle.alive()]

    def close(self) -> None:
        """Close every bus."""
        self.configure(())

    def _bus(self, name: str) -> Any:
        with self._lock:
            bus = self._buses[name]
            handle = self._open.get(bus)
            if handle is None:
                handle = self._open[bus] = self._opener(bus)
            return handle


class WatchedInput:
    """An input line as its bus's worker sees it: edges come by themselves, the level is read again now and then."""

    def __init__(self, line: DigitalInput, channel: str, on_change: Callable[[bool, int], None]) -> None:
        self._line = line
        self._channel = channel
        line.watch(on_change)

    def read(self) -> tuple[Sample]:
        """The level now: catches an edge that was lost. Raises DeviceError when the chip fails."""
        try:
            return (Sample(self._channel, self._line.is_active()),)
        except DeviceError:
            raise
        except OSError as error:
            raise DeviceError(f"the line can't be read: {error}", Reason.BAD_COMMUNICATION_ERROR) from error

    def close(self) -> None:
        """Give the line back, if it can be given back alone."""
        close = getattr(self._line, "close", None)
        if close is not None:
            close()
