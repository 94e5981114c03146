"""One channel of the Pi's PWM controller in sysfs: `/sys/class/pwm/pwmchipN/pwmM`. Standard library only.

The kernel refuses a duty longer than the period, a channel without a period, and another polarity while it runs: the
order of the writes below never asks for one of these, and an output that starts has its duty before it is enabled.
What runs goes on when this process ends, however it ends.
"""

import errno
import os
import re
import time
from dataclasses import dataclass

from gateway.core.errors import DeviceError, NotConnected
from gateway.core.quality import Reason

CLASS = "sys/class/pwm"
OVERLAY = "dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4"
LINES = {12: 0, 13: 1, 18: 0, 19: 1}
"""GPIO line → channel, on the two-channel controller of every Pi up to 4."""
_LINES_OF_FOUR = {12: 0, 13: 1, 18: 2, 19: 3}  # RP1, on a Pi 5
_CONTROLLER = re.compile(
    r"[0-9a-f]+(20c000|098000)\.pwm"
)  # PWM0 of BCM283x and BCM2711, of RP1; PWM1 is not these lines'
_READY_S = 0.3  # udev hands a new channel's files to the group gpio
_PAUSE_S = 0.005
_LONGEST = 64
_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a channel puts out: `duty_ns` high of every `period_ns`."""

    period_ns: int
    duty_ns: int


class PwmChannel:
    """The channel behind a GPIO line, exported at its first use, and again after its driver was away. One thread."""

    def __init__(self, line: int, root: str = "/") -> None:
        self._line = line
        self._class = os.path.join(root, CLASS)
        self._place = ""

    def set(self, pulse: Pulse) -> None:
        """Put it out from now on; with the same period in one write. Blocks up to 0.3 s, once, to export.

        Raises NotConnected without the overlay, the rights, or the channel; DeviceError when the kernel refuses.
        """
        try:
            place = self._exported()
            self._write_all(place, pulse)
        except (OSError, ValueError) as error:
            raise self._explained(error) from error

    def get(self) -> Pulse:
        """What the kernel puts out now. Raises NotConnected when it puts out nothing of ours, or DeviceError."""
        try:
            if not self._place:
                raise NotConnected(f"the PWM of GPIO{self._line} is not claimed: drive it first")
            if read_attribute(self._place, "enable") != "1" or read_attribute(self._place, "polarity") != "normal":
                raise NotConnected(f"another program has changed {self._place}: stop it")
            return Pulse(int(read_attribute(self._place, "period")), int(read_attribute(self._place, "duty_cycle")))
        except (OSError, ValueError) as error:
            raise self._explained(error) from error

    def _exported(self) -> str:
        """The channel's directory."""
        if self._place and os.path.isdir(self._place):
            return self._place
        chip, channel = self._find()
        place = os.path.join(chip, f"pwm{channel}")
        if not os.path.isdir(place):
            write_attribute(chip, "export", str(channel))
        _wait_until_writable(os.path.join(place, "enable"))
        self._place = place
        return place

    def _find(self) -> tuple[str, int]:
        """(directory, channel) of the controller behind the header. Raises NotConnected with the cure."""
        chips = sorted(os.listdir(self._class)) if os.path.isdir(self._class) else []
        for name in chips:
            chip = os.path.join(self._class, name)
            controller = os.path.basename(os.path.dirname(os.path.dirname(os.path.realpath(chip))))
            if _CONTROLLER.fullmatch(controller):
                return chip, self._channel(chip)
        raise NotConnected(
            f"the kernel has no PWM for GPIO{self._line} (in {CLASS}: {', '.join(chips) or 'nothing'}): "
            f"add a line such as {OVERLAY} to config.txt, with this line's pin, and reboot"
        )

    def _channel(self, chip: str) -> int:
        lines = _LINES_OF_FOUR if int(read_attribute(chip, "npwm")) >= len(_LINES_OF_FOUR) else LINES
        if self._line not in lines:
            raise DeviceError(f"GPIO{self._line} has no PWM: use {_either()}", Reason.BAD_CONFIGURATION_ERROR)
        return lines[self._line]

    def _write_all(self, place: str, pulse: Pulse) -> None:
        running = read_attribute(place, "enable") == "1"
        turned = read_attribute(place, "polarity") != "normal"
        if running and turned:
            write_attribute(place, "enable", "0")
        for attribute, value_ns in _in_order(int(read_attribute(place, "period")), pulse):
            write_attribute(place, attribute, str(value_ns))
        if turned:
            write_attribute(place, "polarity", "normal")
        if turned or not running:
            write_attribute(place, "enable", "1")

    def _explained(self, error: OSError | ValueError) -> DeviceError:
        where = f"the PWM of GPIO{self._line}"
        if isinstance(error, DeviceError):
            return error
        if not isinstance(error, OSError):
            return DeviceError(f"{where} shows no number ({error}): see `dmesg`")
        if error.errno in _GONE:
            self._place = ""
            return NotConnected(f"{where} is gone ({error.strerror}): has its driver been unloaded? See `dmesg`")
        if error.errno == errno.EACCES:
            return NotConnected(f"{where} is not ours ({error.strerror}): add the gateway's user to the group gpio")
        if error.errno == errno.EROFS:
            return NotConnected(
                f"{where} can't be written, as systemd has shut /sys: restart kitchen-gateway-control, whose unit "
                "opens the controllers that are there when it starts"
            )
        if error.errno == errno.EBUSY:
            return NotConnected(f"{where} is held by a driver of the kernel: remove its overlay, or use another line")
        return DeviceError(f"the kernel refuses to set {where} ({error.strerror}): is the frequency possible?")


def read_attribute(place: str, attribute: str) -> str:
    """The text of a file of sysfs. Raises OSError."""
    descriptor = os.open(os.path.join(place, attribute), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LONGEST).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def write_attribute(place: str, attribute: str, text: str) -> None:
    """Write a file of sysfs in one piece. Raises OSError with what the kernel's driver says."""
    descriptor = os.open(os.path.join(place, attribute), os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii") + b"\n")
    finally:
        os.close(descriptor)


def _in_order(period_ns: int, pulse: Pulse) -> tuple[tuple[str, int], ...]:
    """Which file gets what: the period before a duty that it must hold, after one that it still holds."""
    if period_ns == pulse.period_ns:
        return (("duty_cycle", pulse.duty_ns),)
    steps = (("period", pulse.period_ns), ("duty_cycle", pulse.duty_ns))
    return steps if period_ns < pulse.period_ns else steps[::-1]


def _wait_until_writable(path: str) -> None:
    deadline = time.monotonic() + _READY_S
    while not os.access(path, os.W_OK) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)


def _either() -> str:
    names = [f"GPIO{line}" for line in LINES]
    return f"{', '.join(names[:-1])} or {names[-1]}"
