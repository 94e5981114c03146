"""The kernel's IIO devices in sysfs: a directory of small files for each, renewed whole.

A plain file can't fail. Where the kernel's driver would answer a read with an errno, the attribute is a symbolic link
to nowhere whose target says which, `errno:110`; `fake_hw.inject` makes the open fail with it (the kernel fails the
read). A program without injection finds no such file. Reading does not wait for a conversion as the kernel does.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_hw.faults import Condition

if TYPE_CHECKING:
    from fake_hw.machine import Machine

ERRNO = "errno:"
_DEVICES = "sys/bus/iio/devices"


@dataclass(frozen=True, slots=True)
class Device:
    """What one kernel driver shows. name: its `name` attribute. label: the device tree's; it tells equal names apart.

    attributes: a reading of each other attribute, its text or the errno it fails with. The driver stays bound when
    its part is pulled off: that shows as an errno.
    """

    name: str
    attributes: Callable[[], Mapping[str, str | int]]
    label: str = ""


def create(machine: "Machine", device: str) -> "IioTree":
    """The machine's IIO devices, none yet; its condition is called "iio": unplugged, all drivers are unbound."""
    del device  # there is one tree
    return IioTree(machine.path(_DEVICES), machine.condition("iio"))


class IioTree:
    """`sys/bus/iio/devices` below the root. Devices get other numbers whenever they are bound again."""

    def __init__(self, directory: str, condition: Condition) -> None:
        self._directory = directory
        self._condition = condition
        self._devices: list[Device] = []
        self._first = 0  # the number of the first device
        self._is_there = False

    def attach(self, device: Device) -> None:
        """Bind a driver."""
        self._devices.append(device)

    def sync(self) -> None:
        """A reading of every attribute of every device."""
        if not self._condition.plugged:
            self.vanish()
            return
        self._is_there = True
        for number, device in enumerate(self._devices, self._first):
            self._renew(os.path.join(self._directory, f"iio:device{number}"), device)

    def vanish(self) -> None:
        """Take the tree away."""
        if self._is_there:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._first += len(self._devices)
            self._is_there = False

    def _renew(self, place: str, device: Device) -> None:
        os.makedirs(place, exist_ok=True)
        called = {"name": f"{device.name}\n"} | ({"label": f"{device.label}\n"} if device.label else {})
        for attribute, reading in (called | dict(device.attributes())).items():
            _put(os.path.join(place, attribute), reading)


def _put(path: str, reading: str | int) -> None:
    """Replace an attribute whole: its text, or the link that stands for an errno."""
    new = path + ".new"
    if isinstance(reading, int):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        os.symlink(f"{ERRNO}{reading}", new)
    else:
        with open(new, "w", encoding="ascii") as file:
            file.write(reading)
    os.replace(new, path)
