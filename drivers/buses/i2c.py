"""I2C through the kernel's i2c-dev, with smbus2's combined transfers only: one ioctl each."""

import contextlib
import errno
import os

from smbus2 import SMBus, i2c_msg

from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected

# What adapters say when no part acknowledges: bcm2835 and designware EREMOTEIO, others ENXIO; i2c-stub ENODEV.
_NO_ANSWER = frozenset({errno.EREMOTEIO, errno.ENXIO, errno.ENODEV})
# After these the adapter itself may be gone (a USB adapter unplugged): open it anew next time.
_ADAPTER_LOST = frozenset({errno.ENODEV, errno.EBADF, errno.ESHUTDOWN, errno.EPIPE, errno.ECONNRESET})


def open_bus(bus: Bus, root: str) -> "I2CAdapter":
    """The adapter of this node; opened at the first transfer."""
    return I2CAdapter(bus.device, root)


class I2CAdapter:
    """One adapter (`I2CBus`), used by its one worker thread."""

    def __init__(self, device: str, root: str = "/") -> None:
        self._device = device
        self._path = os.path.join(root, device.lstrip("/"))
        self._bus: SMBus | None = None

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        """One transaction: write, repeated START, read. Blocks for the adapter's timeout (1 s) at worst."""
        messages = []
        if write:
            messages.append(i2c_msg.write(address, write))
        if read:
            messages.append(i2c_msg.read(address, read))
        bus = self._bus or self._open()
        try:
            bus.i2c_rdwr(*messages)
        except OSError as error:
            raise self._classified(error, address) from error
        return bytes(messages[-1]) if read else b""

    def close(self) -> None:
        """Close the adapter; a later transfer opens it again."""
        bus, self._bus = self._bus, None
        if bus is not None:
            with contextlib.suppress(OSError):
                bus.close()

    def _open(self) -> SMBus:
        bus = SMBus()
        try:
            bus.open(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                bus.close()
            raise NotConnected(f"can't open {self._device} ({error.strerror}): {_cure(error)}") from error
        self._bus = bus
        return bus

    def _classified(self, error: OSError, address: int) -> DeviceError:
        where = f"0x{address:02x} on {self._device}"
        if error.errno in _ADAPTER_LOST:
            self.close()
        if error.errno in _NO_ANSWER:
            return NotConnected(f"nothing answers at {where}: check SDA/SCL")
        if error.errno in _ADAPTER_LOST:
            return NotConnected(f"{self._device} is gone ({error.strerror}): check the adapter")
        if error.errno == errno.ETIMEDOUT:
            return DeviceTimeout(
                f"the bus hung during a transfer to {where}: a part holds SDA or SCL low; power it off and on"
            )
        if error.errno == errno.EAGAIN:
            return DeviceError(f"lost arbitration at {where}: check for noise on SDA and for a second master")
        return DeviceError(f"transfer to {where} failed ({error.strerror}): check SDA/SCL, pull-ups and cable length")


def _cure(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "enable the bus (dtparam=i2c_arm=on) or plug the adapter in"
    if isinstance(error, PermissionError):
        return "add the gateway's user to the group i2c"
    return "check the adapter and its driver"
