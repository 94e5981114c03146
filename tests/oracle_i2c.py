"""The simulated adapter in the shapes that independent drivers want."""

import time
from typing import Any

from smbus2 import SMBus, i2c_msg


class BusioI2C:
    """busio's interface over smbus2, so that Adafruit's drivers run on any Linux adapter."""

    def __init__(self, bus: SMBus) -> None:
        self._bus = bus

    def try_lock(self) -> bool:
        """Nobody else uses the bus."""
        return True

    def unlock(self) -> None:
        """Nothing was locked."""

    def writeto(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        """One write message."""
        self._bus.i2c_rdwr(i2c_msg.write(address, bytes(buffer[start:end])))

    def readfrom_into(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        """One read message."""
        message = i2c_msg.read(address, len(buffer[start:end]))
        self._bus.i2c_rdwr(message)
        buffer[start : start + len(message)] = bytes(message)

    def writeto_then_readfrom(
        self,
        address: int,
        out: Any,
        into: Any,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        """A write, a repeated START and a read."""
        message = i2c_msg.read(address, len(into[in_start:in_end]))
        self._bus.i2c_rdwr(i2c_msg.write(address, bytes(out[out_start:out_end])), message)
        into[in_start : in_start + len(message)] = bytes(message)


class SensirionTransceiver:
    """sensirion_i2c_driver's transceiver (version 1 of its interface) over smbus2."""

    API_VERSION = 1
    channel_count = None

    def __init__(self, bus: SMBus) -> None:
        self._bus = bus

    def transceive(
        self, slave_address: int, tx_data: bytes | None, rx_length: int | None, read_delay: float, timeout: float
    ) -> tuple[int, Exception | None, bytes]:
        """(status 0, no error, what was read). Raises OSError when the part does not acknowledge."""
        if tx_data:
            self._bus.i2c_rdwr(i2c_msg.write(slave_address, tx_data))
        time.sleep(read_delay)
        if not rx_length:
            return 0, None, b""
        message = i2c_msg.read(slave_address, rx_length)
        self._bus.i2c_rdwr(message)
        return 0, None, bytes(message)
