"""The opened buses, and devices and outputs on them. A bus that can't be opened is tried again at the next use."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from drivers import registry
from gateway.core.driver import DigitalInput, Driver, OutputHandle
from gateway.core.errors import DeviceError, NotConnected
from gateway.core.quality import Reason
from gateway.core.reading import Sample
from gateway.settings.model import Bus, Device, Output

Opener = Callable[[Bus], Any]
"""Opens a bus: `drivers.buses.open_bus` with the root of the device tree."""


class Wires:
    """Shared by the bus workers, the output guard and the loop, which must not wait for a bus that is slow to open:

    each bus has a lock of its own for that, the common one is held for microseconds.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._lock = threading.Lock()
        self._buses: dict[str, Bus] = {}
        self._open: dict[Bus, Any] = {}
        self._opening: dict[Bus, threading.Lock] = {}

    def learn(self, buses: Iterable[Bus]) -> None:
        """Buses that are there from now on; nothing is closed, so that outputs can leave the old ones first."""
        with self._lock:
            self._know({**self._buses, **{bus.name: bus for bus in buses}})

    def configure(self, buses: Iterable[Bus]) -> None:
        """The buses that exist now; those that changed or went are closed. Their workers have been stopped before."""
        with self._lock:
            self._know({bus.name: bus for bus in buses})
            gone = [bus for bus in self._open if self._buses.get(bus.name) != bus]
            handles = [self._open.pop(bus) for bus in gone]
        for handle in handles:
            handle.close()

    def reopen(self, name: str) -> None:
        """Close a bus; its next use opens it afresh. Raises OSError.

        Everybody keeps the one handle: an output on this line must not hold the old one while devices wait for a new.
        Not a GPIO chip: outputs hang on it, and it finds its lines again by itself.
        """
        with self._lock:
            bus = self._buses.get(name)
            handle = None if bus is None or bus.type == "gpio" else self._open.get(bus)
        if handle is not None:
            handle.close()

    def device(self, device: Device) -> Driver:
        """Open a polled device. May block for its bus; raises DeviceError."""
        spec = registry.load(device.driver)
        driver: Driver = spec.open(self._wire(device), spec.options_of(device.options))
        return driver

    def input(self, device: Device, on_change: Callable[[bool, int], None]) -> "WatchedInput":
        """Claim an input line and report its edges from now on. Raises DeviceError."""
        spec = registry.load(device.driver)
        line: DigitalInput = spec.open(self._wire(device), spec.options_of(device.options))
        return WatchedInput(line, device.channels[0].name, on_change)

    def output(self, output: Output) -> OutputHandle:
        """Claim an output at its safe level. Raises DeviceError."""
        spec = registry.load(output.driver)
        handle: OutputHandle = spec.open(self._wire(output), spec.options_of(output.options), output.policy.safe)
        return handle

    def silent_edges(self) -> list[str]:
        """The buses whose thread that reads edges has died."""
        with self._lock:
            chips = [(bus.name, handle) for bus, handle in self._open.items() if bus.type == "gpio"]
        return [name for name, handle in chips if not handle.alive()]

    def close(self) -> None:
        """Close every bus."""
        self.configure(())

    def _know(self, buses: dict[str, Bus]) -> None:
        self._buses = buses
        self._opening = {bus: self._opening.get(bus) or threading.Lock() for bus in buses.values()}

    def _wire(self, part: Device | Output) -> Any:
        """The part's bus, or the channel of the mux that it is behind."""
        bus = self._bus(part.bus)
        return bus if part.mux is None else bus.behind(part.mux.address, part.mux.channel)

    def _bus(self, name: str) -> Any:
        with self._lock:
            bus = self._buses.get(name)
            if bus is None:
                raise NotConnected(f"the configuration has no bus {name}: it is being changed")
            opening = self._opening[bus]
        with opening:
            handle = self._open.get(bus)
            return self._opened(bus) if handle is None else handle

    def _opened(self, bus: Bus) -> Any:
        handle = self._opener(bus)
        with self._lock:
            wanted = self._buses.get(bus.name) == bus
            if wanted:
                self._open[bus] = handle
        if not wanted:  # its worker hung in the opening and was left behind meanwhile
            handle.close()
            raise NotConnected(f"bus {bus.name} is no longer configured")
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
