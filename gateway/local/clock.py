"""The machine's clocks."""

import time
from pathlib import Path

from gateway.core.clock import Wall

_TRUST_FOR_NS = 10_000_000_000
_TIME_ERROR = 5  # linux/timex.h: the clock is not synchronised
_STA_UNSYNC = 0x0040


class SystemClock:
    """CLOCK_BOOTTIME for control, the wall clock for labels. Any thread; never blocks after construction."""

    __slots__ = ("_asked_ns", "_boot_id", "_trusted")

    def __init__(self) -> None:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        self._boot_id = text.strip().replace("-", "")
        self._asked_ns = -_TRUST_FOR_NS
        self._trusted = False

    @property
    def boot_id(self) -> str:
        """Identifies this boot of the machine (32 hex digits)."""
        return self._boot_id

    def now_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall(self) -> Wall:
        """The wall clock now; whether the kernel calls it synchronised is asked at most every 10 s."""
        now_ns = self.now_ns()
        if now_ns - self._asked_ns >= _TRUST_FOR_NS:
            self._trusted = _synchronised()
            self._asked_ns = now_ns
        return Wall(time.time_ns() // 1_000_000, self._trusted)


def _synchronised() -> bool:
    """Whether NTP or a time source disciplines the kernel's clock; False when the kernel will not say."""
    try:
        import ctypes  # lazily: a tool that only reads needs no ctypes

        class Timex(ctypes.Structure):  # the head of struct timex in linux/timex.h; the rest is padding here
            _fields_ = (
                ("modes", ctypes.c_uint),
                ("offset", ctypes.c_long),
                ("freq", ctypes.c_long),
                ("maxerror", ctypes.c_long),
                ("esterror", ctypes.c_long),
                ("status", ctypes.c_int),
                ("rest", ctypes.c_long * 32),
            )

        timex = Timex()  # modes 0: only ask
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (ImportError, OSError, AttributeError):
        return False
    return 0 <= state < _TIME_ERROR and not timex.status & _STA_UNSYNC
