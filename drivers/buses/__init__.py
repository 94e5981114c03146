"""The only imports of hardware libraries. Each kind of bus is a module that is loaded when a site first uses it."""

import importlib
from typing import Any, Protocol

from gateway.core.driver import Bus

# kind → module here; its `open_bus(bus, root)` makes one
_MODULES = {
    "i2c": "i2c",
    "spi": "spi",
    "serial": "serial_port",
    "modbus_rtu": "modbus",
    "modbus_tcp": "modbus_tcp",
    "onewire": "onewire",
    "iio": "iio",
    "gpio": "digital",
    "evdev": "evdev",
    "dht": "dht",
    "mqtt": "mqtt",
}


class OpenBus(Protocol):
    """What every opened bus can do besides its kind's Protocol in gateway.core.driver."""

    def close(self) -> None:
        """Let go of the device. Outputs keep or lose their level as the kernel decides: drive them safe before."""
        ...


def open_bus(bus: Bus, root: str = "/") -> OpenBus:
    """One bus, ready for use. root: where the device tree begins ("/" but for simulated parts).

    Opens nothing yet: an absent adapter shows at the first use, as NotConnected, and is tried again at each later one.
    Raises ValueError for an unknown kind.
    """
    module = _MODULES.get(bus.type)
    if module is None:
        raise ValueError(f"no bus of type {bus.type!r}; known: {', '.join(_MODULES)}")
    opened: Any = importlib.import_module(f"drivers.buses.{module}").open_bus(bus, root)
    return opened  # type: ignore[no-any-return]  # each module's own class has close()
