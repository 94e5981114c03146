"""Time: monotonic time controls, wall time labels."""

from typing import NamedTuple, Protocol


class Wall(NamedTuple):
    """A wall-clock instant and whether anything vouches for it (NTP or an RTC has disciplined the clock)."""

    ms: int  # since 1970-01-01T00:00:00Z
    trusted: bool


class Clock(Protocol):
    """The only source of time. `SystemClock` lives in gateway.local, `FakeClock` in tests."""

    @property
    def boot_id(self) -> str:
        """Identifies this boot of the machine (32 hex digits)."""
        ...

    def now_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds: never steps, counts through suspend."""
        ...

    def wall(self) -> Wall:
        """The wall clock now. Labels only: nothing expires or switches because of it."""
        ...
