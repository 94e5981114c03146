"""I2C through the kernel's i2c-dev, with smbus2's combined transfers only: one ioctl each."""

import contextlib
import errno
import os

from smbus2 import SMBus, i2c_msg

from drivers.buses.i2c_mux import MuxChannel, Muxes
from drivers.buses.power_rail import PowerRail
from drivers.buses.turns import Turns
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected

# What adapters say when no part acknowledges: bcm2835 and designware EREMOTEIO, others ENXIO; i2c-stub ENODEV.
_NO_ANSWER = frozenset({errno.EREMOTEIO, errno.ENXIO, errno.ENODEV})
# After these the adapter itself may be gone (a USB adapter unplugged): open it anew next time.
_ADAPTER_LOST = frozenset({errno.ENODEV, errno.EBADF, errno.ESHUTDOWN, errno.EPIPE, errno.ECONNRESET})
TURN_S = 2.0
"""How long a call waits for another thread's transfer: a stuck one takes 1 s, a power cycle 0.4 s more."""


def open_bus(bus: Bus, root: str) -> "I2CAdapter":
    """The adapter of this node; opened at the first transfer, when its parts' supply is switched on too."""
    return I2CAdapter(bus.device, root, PowerRail(bus.power_line, root) if bus.power_line >= 0 else None)


class I2CAdapter:
    """One adapter (`I2CBus`). Calls of several threads take turns.

    A bus that a part holds down is closed and opened again, and where `rail` feeds its parts they lose power for a
    moment.
    """

    def __init__(self, device: str, root: str = "/", rail: PowerRail | None = None) -> None:
        self._device = device
        self._path = os.path.join(root, device.lstrip("/"))
        self._rail = rail
        self._bus: SMBus | None = None
        self._turns = Turns(device, TURN_S)
        self._muxes = Muxes(self._exchange)

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        """One transaction: write, repeated START, read.

        Blocks for the adapter's timeout (1 s) at worst, after it for a power cycle, and for its turn.
        """
        with self._turns:
            return self._exchange(address, write, read)

    def behind(self, mux: int, channel: int) -> MuxChannel:
        """The bus behind one channel of a TCA9548A at address `mux`; it shares this adapter's turns."""
        with self._turns:
            self._muxes.know(mux)
        return MuxChannel(self._muxes, self._turns, mux, channel)

    def close(self) -> None:
        """Close the adapter and let go of the supply's line; a later transfer opens both again."""
        with contextlib.suppress(DeviceTimeout), self._turns:
            self._close()
            if self._rail is not None:
                self._rail.release()

    def _exchange(self, address: int, write: bytes, read: int) -> bytes:
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

    def _open(self) -> SMBus:
        if self._rail is not None:
            self._rail.switch_on()
        bus = SMBus()
        try:
            bus.open(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                bus.close()
            raise NotConnected(f"can't open {self._device} ({error.strerror}): {_cure(error)}") from error
        self._bus = bus
        return bus

    def _close(self) -> None:
        bus, self._bus = self._bus, None
        self._muxes.forget()
        if bus is not None:
            with contextlib.suppress(OSError):
                bus.close()

    def _classified(self, error: OSError, address: int) -> DeviceError:
        where = f"0x{address:02x} on {self._device}"
        if error.errno in _ADAPTER_LOST:
            self._close()
        if error.errno in _NO_ANSWER:
            return NotConnected(f"nothing answers at {where}: check SDA/SCL")
        if error.errno in _ADAPTER_LOST:
            return NotConnected(f"{self._device} is gone ({error.strerror}): check the adapter")
        if error.errno == errno.ETIMEDOUT:
            return DeviceTimeout(
                f"the bus hung during a transfer to {where}: a part holds SDA or SCL low; {self._freed()}"
            )
        if error.errno == errno.EAGAIN:
            return DeviceError(f"lost arbitration at {where}: check for noise on SDA and for a second master")
        return DeviceError(f"transfer to {where} failed ({error.strerror}): check SDA/SCL, pull-ups and cable length")

    def _freed(self) -> str:
        """What was done about a bus that hangs, in words."""
        self._close()  # opening it again resets some adapters
        if self._rail is not None and self._rail.cycle():
            return "its parts were powered off and on"
        return "power it off and on"


def _cure(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "enable the bus (dtparam=i2c_arm=on) or plug the adapter in"
    if isinstance(error, PermissionError):
        return "add the gateway's user to the group i2c"
    return "check the adapter and its driver"
