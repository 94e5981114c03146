"""SPI through the kernel's spidev: one ioctl for a transfer, chip select held by the kernel meanwhile."""

import array
import contextlib
import errno
import fcntl
import os
import struct

from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected

# linux/spi/spidev.h, magic 'k'
SPI_IOC_WR_MODE = 0x40016B01
SPI_IOC_MESSAGE_1 = 0x40206B00
# struct spi_ioc_transfer: tx_buf, rx_buf, len, speed_hz, delay_usecs, bits_per_word, cs_change and four bytes of rest
_TRANSFER = struct.Struct("=QQIIHBB4x")
_BITS_PER_WORD = 8
_NODE_LOST = frozenset({errno.ENODEV, errno.ENXIO, errno.ESHUTDOWN, errno.EBADF})


def open_bus(bus: Bus, root: str) -> "ChipSelect":
    """The chip select of this node, e.g. /dev/spidev0.0; opened at the first transfer."""
    return ChipSelect(bus.device, root)


class ChipSelect:
    """One chip select (`SpiBus`), used by its one worker thread.

    SPI has no acknowledgement: an absent part shows as bytes of zeros or ones, which its driver refuses.
    """

    def __init__(self, device: str, root: str = "/") -> None:
        self._device = device
        self._path = os.path.join(root, device.lstrip("/"))
        self._node = -1
        self._mode = -1

    def transfer(self, data: bytes, *, mode: int, speed_hz: int) -> bytes:
        """Clock out `data` with chip select low; returns as many bytes. Blocks for the bits' time, at worst 0.3 s.

        Raises NotConnected, DeviceTimeout or DeviceError.
        """
        sent, received = array.array("B", data), array.array("B", bytes(len(data)))
        fields = (sent.buffer_info()[0], received.buffer_info()[0], len(data), speed_hz, 0, _BITS_PER_WORD, 0)
        node = self._node if self._node >= 0 else self._open()
        try:
            if mode != self._mode:
                fcntl.ioctl(node, SPI_IOC_WR_MODE, bytes([mode]))
                self._mode = mode
            fcntl.ioctl(node, SPI_IOC_MESSAGE_1, _TRANSFER.pack(*fields))
        except OSError as error:
            raise self._classified(error) from error
        return received.tobytes()

    def close(self) -> None:
        """Close the node; a later transfer opens it again."""
        node, self._node, self._mode = self._node, -1, -1
        if node >= 0:
            with contextlib.suppress(OSError):
                os.close(node)

    def _open(self) -> int:
        try:
            self._node = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise NotConnected(f"can't open {self._device} ({error.strerror}): {_cure(error)}") from error
        return self._node

    def _classified(self, error: OSError) -> DeviceError:
        if error.errno in _NODE_LOST:
            self.close()
            return NotConnected(f"{self._device} is gone ({error.strerror}): check the SPI controller and its overlay")
        if error.errno == errno.ETIMEDOUT:
            return DeviceTimeout(f"the controller of {self._device} did not finish a transfer: restart the machine")
        if error.errno == errno.EINVAL:
            return DeviceError(f"the controller of {self._device} refuses this SPI mode or speed: use another bus")
        return DeviceError(f"transfer on {self._device} failed ({error.strerror}): check the SPI controller")


def _cure(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "enable the bus (dtparam=spi=on) and check the numbers of controller and chip select"
    if isinstance(error, PermissionError):
        return "add the gateway's user to the group spi"
    if error.errno == errno.EBUSY:
        return "a kernel driver or another program holds it; remove that driver's overlay"
    return "check the controller and its overlay"
