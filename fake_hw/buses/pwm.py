"""The kernel's PWM controller in sysfs: plain files in which a program writes, looked at fifty times a second.

A plain file can't refuse: what the kernel would answer with an errno (a duty beyond the period, a polarity while it
runs) is taken for what it says here. The channels run on whoever dies, as the kernel's do.
"""

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from fake_hw.faults import Condition

if TYPE_CHECKING:
    from fake_hw.machine import Machine

CHANNELS = 2
LOOK_S = 0.02
_DEVICE = "sys/devices/platform/soc/fe20c000.pwm/pwm/pwmchip0"
_CLASS = "sys/class/pwm"
_FRESH = {"period": "0", "duty_cycle": "0", "polarity": "normal", "enable": "0"}


def create(machine: "Machine", device: str) -> "PwmTree":
    """The two-channel controller of a Pi 4 with its overlay; its condition is called "pwm".

    Unplugged, or without its carrier (the chip of the lines, which RP1 is for both): its driver is not loaded.
    """
    del device  # there is one
    tree = PwmTree(machine.root, machine.condition("pwm"))
    machine.loop.every(LOOK_S, tree.look)
    return tree


class PwmTree:
    """`sys/class/pwm/pwmchip0` below the root. A driver that is loaded again has forgotten its channels."""

    def __init__(self, root: str, condition: Condition) -> None:
        self._device = os.path.join(root, _DEVICE)
        self._class = os.path.join(root, _CLASS)
        self._condition = condition
        self._levels = dict.fromkeys(range(CHANNELS), 0.0)

    def level(self, channel: int) -> float:
        """The part of the time, 0 to 1, for which the line is high. A controller that is gone leaves it low."""
        return self._levels[channel]

    def sync(self) -> None:
        """Follow the driver's plug and what was written."""
        carrier = self._condition.carrier
        if not self._condition.plugged or (carrier is not None and not carrier.plugged):
            self.vanish()
            return
        if not os.path.isdir(self._device):
            self._appear()
        self.look()

    def vanish(self) -> None:
        """Take the tree away."""
        shutil.rmtree(self._class, ignore_errors=True)
        shutil.rmtree(self._device, ignore_errors=True)
        self._levels = dict.fromkeys(self._levels, 0.0)

    def look(self) -> None:
        """Do what was written since the last look."""
        if not os.path.isdir(self._device):
            return
        for attribute, serve in (("export", self._export), ("unexport", self._unexport)):
            asked = _number(os.path.join(self._device, attribute))
            if asked is not None:
                _write(os.path.join(self._device, attribute), "")
                serve(asked)
        for channel in self._levels:
            self._follow(channel)

    def _appear(self) -> None:
        os.makedirs(self._device)
        for attribute, text in {"npwm": f"{CHANNELS}\n", "export": "", "unexport": ""}.items():
            _write(os.path.join(self._device, attribute), text)
        os.makedirs(self._class, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.symlink(f"../../../{_DEVICE}", os.path.join(self._class, "pwmchip0"))

    def _export(self, channel: int) -> None:
        """Make the channel's directory, whole at once."""
        place = self._place(channel)
        if channel >= CHANNELS or os.path.isdir(place):
            return
        os.makedirs(place + ".new")
        for attribute, text in _FRESH.items():
            _write(os.path.join(place + ".new", attribute), f"{text}\n")
        os.rename(place + ".new", place)

    def _unexport(self, channel: int) -> None:
        shutil.rmtree(self._place(channel), ignore_errors=True)

    def _follow(self, channel: int) -> None:
        """The level as its files have it; while one of them is being written, the last one."""
        place = self._place(channel)
        if not os.path.isdir(place):
            self._levels[channel] = 0.0
            return
        duty, period, enable = (_number(os.path.join(place, each)) for each in ("duty_cycle", "period", "enable"))
        polarity = _text(os.path.join(place, "polarity"))
        if duty is None or period is None or enable is None or not polarity:
            return
        part = min(1.0, duty / period) if period else 0.0
        self._levels[channel] = (1.0 - part if polarity == "inversed" else part) if enable else 0.0

    def _place(self, channel: int) -> str:
        return os.path.join(self._device, f"pwm{channel}")


def _number(path: str) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
        return file.read().strip()
    return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
