"""The only imports of hardware libraries. Each kind of bus is a module that is loaded when a site first uses it."""

from typing import Literal, Protocol


class Bus(Protocol):
    """What every opened bus can do besides its kind's Protocol in gateway.core.driver."""

    def close(self) -> None:
        """Let go of the device. Outputs keep or lose their level as the kernel decides: drive them safe before."""
        ...


def open_bus(
    kind: str,
    device: str,
    root: str = "/",
    *,
    baud: int = 9600,
    parity: Literal["none", "even", "odd"] = "none",
    stop_bits: int = 1,
) -> Bus:
    """One bus, ready for its one owner thread. root: where the device tree begins ("/" but for simulated parts).

    Opens nothing yet: an absent adapter shows at the first use, as NotConnected, and is tried again at each later one.
    Raises ValueError for an unknown kind.
    """
    if kind == "i2c":
        from drivers.buses.i2c import I2CAdapter

        return I2CAdapter(device, root)
    if kind == "serial":
        from drivers.buses.serial_port import SerialLine

        return SerialLine(device, root, baud=baud, parity=parity, stop_bits=stop_bits)
    if kind == "onewire":
        from drivers.buses.onewire import OneWireMaster

        return OneWireMaster(device, root)
    if kind == "gpio":
        from drivers.buses.digital import GpioChip

        return GpioChip(device, root)
    if kind == "dht":
        from drivers.buses.dht import DhtBoard

        return DhtBoard()
    raise ValueError(f"no bus of type {kind!r}; known: i2c, serial, onewire, gpio, dht")
