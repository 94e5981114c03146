"""What Adafruit's SPI drivers take for a bus and a chip select, over the simulated spidev node.

The kernel moves chip select itself, so what is written between its edges is kept back until something is read in the
same frame, or until the frame ends. The ioctls are those of Adafruit's PureIO, not ours.
"""

import os
from typing import Any

from Adafruit_PureIO import spi as pureio


class OracleSpi:
    """busio.SPI and digitalio.DigitalInOut in one: `Driver(bus, bus)`."""

    def __init__(self, path: str) -> None:
        self._spi = pureio.SPI(path)
        self._written = b""

    def try_lock(self) -> bool:
        return True

    def unlock(self) -> None:
        pass

    def configure(self, *, baudrate: int, polarity: int, phase: int) -> None:
        self._spi.max_speed_hz, self._spi.polarity, self._spi.phase = baudrate, polarity, phase

    def write(self, buffer: Any, start: int = 0, end: int | None = None) -> None:
        self._written += bytes(buffer[start:end])

    def readinto(self, buffer: Any, start: int = 0, end: int | None = None, write_value: int = 0) -> None:
        length = len(buffer[start:end])
        answer = self._spi.transfer(list(self._written) + [write_value] * length)
        buffer[start : start + length] = bytes(answer[len(self._written) :])
        self._written = b""

    def switch_to_output(self, value: bool = False) -> None:
        pass

    @property
    def value(self) -> bool:
        return True

    @value.setter
    def value(self, level: bool) -> None:
        if level and self._written:
            self._spi.writebytes(list(self._written))
        self._written = b""

    def close(self) -> None:
        os.close(self._spi.handle)
