"""The 1-Wire bus as the kernel's w1_therm shows it: a tree of small files, renewed whole."""

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_hw.faults import Condition

if TYPE_CHECKING:
    from fake_hw.machine import Machine

_MASTER = "w1_bus_master1"
CONVERSION_S = 0.5


@dataclass(slots=True)
class Slave:
    """One probe on the bus. texts: the contents of `temperature` and `w1_slave` after a conversion."""

    rom: str
    condition: Condition
    texts: Callable[[], tuple[str, str]]


def create(machine: "Machine", device: str) -> "OneWireBus":
    """The kernel's 1-Wire tree, without a probe yet; its condition is called "onewire"."""
    del device  # there is one master
    bus = OneWireBus(machine.root, [], machine.condition("onewire"))
    bus.start()
    machine.loop.every(CONVERSION_S, bus.refresh)
    machine.steps.append(bus.poll_trigger)
    machine.renewals.append(bus.refresh)
    return bus


class OneWireBus:
    """`sys/bus/w1/devices` below the root. Reading does not wait for a conversion (0.75 s in the kernel)."""

    def __init__(self, root: str, slaves: list[Slave], condition: Condition) -> None:
        self._devices = os.path.join(root, "sys/bus/w1/devices")
        self._bulk = os.path.join(self._devices, _MASTER, "therm_bulk_read")
        self._slaves = slaves
        self._condition = condition
        self._written: dict[str, str] = {}

    def start(self) -> None:
        """Lay out the tree anew."""
        shutil.rmtree(self._devices, ignore_errors=True)
        self._written.clear()
        self.refresh()

    def refresh(self) -> None:
        """A conversion: every probe that is there gets new texts, every other one leaves the tree."""
        if not self._condition.plugged:
            shutil.rmtree(self._devices, ignore_errors=True)
            self._written.clear()
            return
        os.makedirs(os.path.dirname(self._bulk), exist_ok=True)
        if not os.path.exists(self._bulk):
            _replace(self._bulk, "0\n")
        for slave in self._slaves:
            self._refresh(slave)
        names = "".join(f"{slave.rom}\n" for slave in self._slaves if _answers(slave))
        self._put(os.path.join(self._devices, _MASTER, "w1_master_slaves"), names or "not found.\n")

    def attach(self, slave: Slave) -> None:
        """Put a probe on the bus."""
        self._slaves.append(slave)

    def sync(self) -> None:
        """Nothing: files are renewed by conversions, and by whatever changes the machine."""

    def vanish(self) -> None:
        """Take the tree away."""
        shutil.rmtree(self._devices, ignore_errors=True)

    def poll_trigger(self) -> None:
        """A program that wrote `trigger` gets a conversion now; 1: results are there and were not read."""
        with contextlib.suppress(OSError), open(self._bulk, "rb") as file:
            triggered = file.read(7) == b"trigger"
            if triggered:
                self.refresh()
                _replace(self._bulk, "1\n")

    def _refresh(self, slave: Slave) -> None:
        directory = os.path.join(self._devices, slave.rom)
        if not _answers(slave):
            shutil.rmtree(directory, ignore_errors=True)
            self._written = {path: text for path, text in self._written.items() if not path.startswith(directory)}
            return
        os.makedirs(directory, exist_ok=True)
        temperature, slave_text = slave.texts()
        path = os.path.join(directory, "temperature")
        if slave.condition.fault == "hang":
            self._put_fifo(path)
        else:
            self._put(path, temperature)
        self._put(os.path.join(directory, "w1_slave"), slave_text)
        self._put(os.path.join(directory, "name"), f"{slave.rom}\n")

    def _put(self, path: str, text: str) -> None:
        if self._written.get(path) != text:
            with contextlib.suppress(OSError):  # a full disk: the file stays as it was, and is tried again
                _replace(path, text)
                self._written[path] = text

    def _put_fifo(self, path: str) -> None:
        """A read that never returns: opening the file waits for a writer that will not come."""
        if self._written.get(path) != "fifo":
            with contextlib.suppress(FileExistsError):
                os.mkfifo(path + ".new")
            os.replace(path + ".new", path)
            self._written[path] = "fifo"


def _answers(slave: Slave) -> bool:
    return slave.condition.plugged and slave.condition.fault != "nack"


def _replace(path: str, text: str) -> None:
    """Write the whole text or nothing."""
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.replace(path + ".new", path)
