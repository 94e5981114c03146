"""One part of `fake_hw.parts` on a simulated wire with a clock that only sleeping moves, and its driver above."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from smbus2 import SMBus

from drivers import pages, registry
from drivers.buses import open_bus
from fake_hw.machine import Machine, Quantity, Wiring
from gateway.core.driver import Bus, BusKind
from tests.oracle_i2c import BusioI2C
from tests.oracle_spi import OracleSpi

NODE = "/dev/i2c-1"
NAME = "part"


class Timer:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


class Wire:
    """Places the part of a driver, and opens what reads it. `machine` is started by `place`."""

    def __init__(self, machine: Machine) -> None:
        self.timer = Timer()
        self.machine = machine
        machine.clock = self.timer
        self.driver = ""
        self.options: Any = None
        self.quantities: Mapping[str, Quantity] = {}
        self._opened: list[Any] = []

    def place(self, driver: str, kind: BusKind = "i2c", device: str = NODE, /, **changes: Any) -> None:
        """Put the driver's part on its bus, with its sample's options but for `changes`."""
        self.driver, self._kind, self._device = driver, kind, device
        self.options = dataclasses.replace(pages.sample_options(registry.load(driver)), **changes)
        plain = {name: getattr(self.options, name) for name in self.options.__slots__}
        wiring = Wiring(kind, device, plain)
        self.quantities = self.machine.place(driver, NAME, wiring).quantities(wiring)
        self.machine.start()

    def open(self, **injected: Any) -> Any:
        """The production driver on the production bus; it sleeps on the wire's clock."""
        bus = self.bus()
        opener = registry.load(self.driver).open
        if not injected and "sleep" in inspect.signature(opener).parameters:
            injected = {"sleep": self.timer.sleep}
        return opener(bus, self.options, **injected)

    def bus(self) -> Any:
        """The production bus itself."""
        bus = open_bus(Bus("bus", self._kind, self._device), self.machine.root)
        self._opened.append(bus)
        return bus

    def smbus(self) -> SMBus:
        """smbus2 on the same adapter, for independent drivers."""
        bus = SMBus(self.machine.path(self._device))
        self._opened.append(bus)
        return bus

    def busio(self) -> BusioI2C:
        """The adapter as Adafruit's drivers want it."""
        return BusioI2C(self.smbus())

    def spi(self) -> OracleSpi:
        """The chip select as Adafruit's drivers want it: bus and select pin in one."""
        spi = OracleSpi(self.machine.path(self._device))
        self._opened.append(spi)
        return spi

    def set(self, **truths: float) -> None:
        """Make quantities of the part true."""
        self.machine.do(lambda: self.machine.truths.update({f"{NAME}.{key}": each for key, each in truths.items()}))

    def fault(self, kind: str) -> None:
        """Inflict a fault, or end it ("none")."""
        self.machine.fault(NAME, kind)

    def plug(self, plugged: bool) -> None:
        """Pull the part off, or put it back."""
        self.machine.plug(NAME, plugged)

    def close(self) -> None:
        """Close every bus."""
        for bus in self._opened:
            bus.close()


def values(samples: Any) -> dict[str, float]:
    """channel → value."""
    return {sample.channel: sample.value for sample in samples}
