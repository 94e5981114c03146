"""GPIO chips on which the same cases run: the simulator's, and the kernel's own gpio-sim in the test machine."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

LABEL = "pinctrl-bcm2711"
LINES = 58
CONFIGFS = Path("/sys/kernel/config/gpio-sim")
DEADLINE_S = 5.0


class Board(Protocol):
    """A chip and the wires outside it. Every line is pulled down at first.

    root, device: what a bus is opened with. python: the command that runs a Python program which finds the chip.
    """

    root: str
    device: str
    python: tuple[str, ...]

    def pull(self, offset: int, level: int) -> None:
        """Pull a line up or down from outside; returns when the chip has seen it."""
        ...

    def level(self, offset: int) -> int:
        """The level on the wire, as an instrument would show it."""
        ...

    def unplug(self) -> None:
        """Take the chip away from under whoever holds its lines."""
        ...

    def plug(self) -> None:
        """Put it back, under the same name."""
        ...

    def remove(self) -> None:
        """End the board."""
        ...


class SimulatedBoard:
    """The simulator's chip; released lines fall back to their pull.

    T0: found through replaced system calls of Python. T1: this process has the preload shim for `shim_root`.
    """

    device = "/dev/gpiochip0"

    def __init__(self, shim_root: str = "") -> None:
        from fake_hw.inject import install
        from fake_hw.machine import Machine

        self._directory = shim_root or tempfile.mkdtemp(prefix="kg-", dir="/tmp")
        self.root = "/" if shim_root else self._directory
        self.python: tuple[str, ...] = (sys.executable,)
        if not shim_root:
            self.python += ("-m", "fake_hw.inject", self._directory)
        self._machine = Machine(self._directory, strict=True)
        self._machine.bus("gpio", self.device)
        for offset in range(LINES):
            self._machine.lines.wire(offset, 0)
        self._machine.start()
        self._undo: Callable[[], None] = (lambda: None) if shim_root else install(self._directory)

    def pull(self, offset: int, level: int) -> None:
        """A contact: stronger than any resistor."""
        self._machine.do(lambda: self._machine.lines.drive(offset, level))

    def level(self, offset: int) -> int:
        """What resulted."""
        return self._machine.lines.level(offset)

    def unplug(self) -> None:
        """The chip leaves the machine."""
        self._machine.plug(self.device, False)

    def plug(self) -> None:
        """The chip comes back."""
        self._machine.plug(self.device, True)

    def remove(self) -> None:
        """End the simulator."""
        self._undo()
        self._machine.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


class KernelBoard:
    """T2: gpio-sim, configured and poked as in the kernel's Documentation/admin-guide/gpio/gpio-sim.rst. Needs root."""

    root = "/"
    python: tuple[str, ...] = (sys.executable,)

    def __init__(self) -> None:
        subprocess.run(["modprobe", "gpio-sim"], check=True)
        self._config = CONFIGFS / f"board{os.getpid()}-{time.monotonic_ns()}"
        bank = self._config / "bank"
        bank.mkdir(parents=True)
        (bank / "num_lines").write_text(str(LINES))
        (bank / "label").write_text(LABEL)
        self.plug()
        chip = (bank / "chip_name").read_text().strip()
        self.device = f"/dev/{chip}"
        parent = (self._config / "dev_name").read_text().strip()
        self._lines = Path("/sys/devices/platform") / parent / chip

    def pull(self, offset: int, level: int) -> None:
        """gpio-sim knows resistors only: an output does not give way."""
        (self._lines / f"sim_gpio{offset}/pull").write_text("pull-up" if level else "pull-down")

    def level(self, offset: int) -> int:
        """What resulted."""
        return int((self._lines / f"sim_gpio{offset}/value").read_text())

    def unplug(self) -> None:
        """The driver is unbound."""
        if (self._config / "live").read_text().strip() == "1":
            (self._config / "live").write_text("0")

    def plug(self) -> None:
        """The driver is bound; the first free number is again the same."""
        (self._config / "live").write_text("1")
        subprocess.run(["udevadm", "settle"], check=True)

    def remove(self) -> None:
        """Give everything back."""
        self.unplug()
        (self._config / "bank").rmdir()
        self._config.rmdir()
