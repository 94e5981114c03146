"""The kernel's 1-Wire bus: `w1_therm` files in sysfs, one conversion shared by all probes."""

import os
import time
from collections.abc import Callable

from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, NotConnected

DEVICES = "sys/bus/w1/devices"
BULK_TRIGGER = b"trigger\n"  # the kernel compares all eight bytes
SHARED_FOR_S = 1.0


def open_bus(bus: Bus, root: str) -> "OneWireMaster":
    """The kernel's first 1-Wire master."""
    return OneWireMaster(bus.device, root)


class OneWireMaster:
    """One bus master (`OneWire`), used by its one worker thread.

    A conversion takes 0.75 s. Where the kernel can, one serves all probes: each takes its result once, and within
    SHARED_FOR_S; whoever comes later starts a new conversion, so no result is ever old.
    """

    def __init__(self, device: str = "", root: str = "/", monotonic: Callable[[], float] = time.monotonic) -> None:
        self._devices = os.path.join(root, DEVICES)
        self._bulk = os.path.join(self._devices, device or "w1_bus_master1", "therm_bulk_read")
        self._monotonic = monotonic
        self._probes: set[str] = set()
        self._waiting: set[str] = set()  # probes whose result of the last shared conversion was not read yet
        self._converted_at = 0.0

    def read_temperature(self, identifier: str) -> str:
        """The text of the probe's temperature, "" when the kernel had none. Blocks up to 0.8 s, at worst twice that."""
        self._probes.add(identifier)
        if len(self._probes) > 1:  # alone, a probe's own conversion takes no longer
            self._share_conversion(identifier)
        path = os.path.join(self._devices, identifier, "temperature")
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            raise NotConnected(
                f"no probe {identifier} on the 1-Wire bus: check data wire, ground and pull-up"
            ) from None
        except OSError as error:
            raise DeviceError(f"reading probe {identifier} failed ({error.strerror}): check its cable") from error

    def close(self) -> None:
        """Nothing is held between two reads."""

    def _share_conversion(self, identifier: str) -> None:
        fresh = self._monotonic() - self._converted_at < SHARED_FOR_S
        if not (fresh and identifier in self._waiting) and self._convert_all():
            self._waiting = set(self._probes)
            self._converted_at = self._monotonic()
        self._waiting.discard(identifier)

    def _convert_all(self) -> bool:
        """Start a conversion of every probe and wait for it; False where the kernel or our rights do not allow it."""
        try:
            file = os.open(self._bulk, os.O_WRONLY)
        except OSError:
            return False
        try:
            return os.write(file, BULK_TRIGGER) == len(BULK_TRIGGER)
        except OSError:
            return False
        finally:
            os.close(file)
