"""The kernel's own sensors, found by their `name`: industrial I/O (`iio:deviceN`) and hwmon (`hwmonN`) in sysfs."""

import contextlib
import errno
import os

from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected

CLASSES = ("sys/bus/iio/devices", "sys/class/hwmon")
_LONGEST = 4096  # sysfs gives at most a page
_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})


def open_bus(_bus: Bus, root: str) -> "IioDevices":
    """All IIO and hwmon devices of the machine."""
    return IioDevices(root)


class IioDevices:
    """Both trees in sysfs (`IndustrialIo`), used by their one worker thread.

    Numbers change when a driver is bound again, so a device is looked up by name whenever its directory fails.
    """

    def __init__(self, root: str = "/") -> None:
        self._classes = [os.path.join(root, each) for each in CLASSES]
        self._found: dict[str, str] = {}

    def read(self, device: str, attribute: str) -> str:
        """The attribute's text, measured by the kernel during this call; blocks for its driver, 1 s or 2 s at worst.

        device: its `name`, also without the unit address that the device tree gave it (`dht11` for `dht11@4`), or
        its `label`, which tells two parts of one kind apart.
        Raises NotConnected, DeviceTimeout (ETIMEDOUT: the part was silent) or DeviceError (EIO: it was disturbed).
        """
        for directory in (self._found.get(device), None):
            place = directory or self._find(device)
            try:
                return _text(os.path.join(place, attribute))
            except OSError as error:
                if directory and error.errno in _GONE:
                    continue  # bound again under another number, perhaps
                raise _classified(error, device, attribute) from error
        raise AssertionError("the second round returns or raises")

    def close(self) -> None:
        """Nothing is held between two reads."""
        self._found.clear()

    def _find(self, device: str) -> str:
        self._found.pop(device, None)
        names = self._names()
        fitting = [place for place, words in names.items() if device in words]
        fitting = fitting or [place for place, words in names.items() if words[0].partition("@")[0] == device]
        if not fitting:
            known = ", ".join(sorted(" ".join(words) for words in names.values())) or "none"
            raise NotConnected(
                f"no kernel device is called {device} (there are: {known}): load its overlay, see `dmesg`"
            )
        if len(fitting) > 1:
            raise NotConnected(f"{len(fitting)} kernel devices are called {device}: give each a label in its overlay")
        self._found[device] = fitting[0]
        return fitting[0]

    def _names(self) -> dict[str, list[str]]:
        """directory → the name of the device in it, and its label if it has one."""
        names: dict[str, list[str]] = {}
        for tree in self._classes:
            with contextlib.suppress(FileNotFoundError):  # no driver of this kind was ever loaded
                for place in sorted(os.path.join(tree, entry) for entry in os.listdir(tree)):
                    with contextlib.suppress(OSError):  # a trigger has no name; a label is rare; it went meanwhile
                        names[place] = [_text(os.path.join(place, "name")).strip()]
                        names[place].append(_text(os.path.join(place, "label")).strip())
        return names


def _text(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LONGEST).decode("ascii", "replace")
    finally:
        os.close(descriptor)


def _classified(error: OSError, device: str, attribute: str) -> DeviceError:
    where = f"{attribute} of {device}"
    if error.errno in _GONE:
        return NotConnected(f"there is no {where} ({error.strerror}): check the overlay and `dmesg`")
    if error.errno == errno.ETIMEDOUT:
        return DeviceTimeout(f"the part behind {where} was silent: check its supply and data wire")
    if error.errno == errno.EAGAIN:
        return DeviceError(f"the kernel has no value of {where} yet: read it less often")
    return DeviceError(f"reading {where} failed ({error.strerror}): disturbed or absent part; check its wires")
