"""Whether a quantity can change as fast as its readings say: for parts whose bytes have no checksum."""

CONFIRMATIONS = 2
"""So many more readings at a new level make it believed."""


class Pace:
    """One point's values over time. A jump is doubted until the next readings confirm where it led.

    max_per_s: the fastest change that is believed. resolution: the least change that a reading can show. One thread at
    a time asks: the worker of the point's device.
    """

    __slots__ = ("_believed", "_confirmed", "_doubted", "_max_per_ns", "_resolution")

    def __init__(self, max_per_s: float, resolution: float) -> None:
        self._max_per_ns = max_per_s / 1e9
        self._resolution = 1.5 * resolution  # rounded values differ by whole steps, and by a rounding error
        self._believed: tuple[float, int] | None = None
        self._doubted: tuple[float, int] = (0.0, 0)
        self._confirmed = -1  # how often the doubted level was; -1 when none is

    def doubt(self, value: float, time_ns: int) -> tuple[float, float] | None:
        """None when the value is believed; otherwise the last one that was, and how many seconds ago that was."""
        believed = self._believed
        if believed is None or self._fits(believed, value, time_ns):
            self._believe(value, time_ns)
            return None
        again = self._confirmed >= 0 and self._fits(self._doubted, value, time_ns)
        self._confirmed = self._confirmed + 1 if again else 0
        if self._confirmed >= CONFIRMATIONS:
            self._believe(value, time_ns)
            return None
        self._doubted = (value, time_ns)
        return believed[0], (time_ns - believed[1]) / 1e9

    def _fits(self, level: tuple[float, int], value: float, time_ns: int) -> bool:
        return abs(value - level[0]) <= (time_ns - level[1]) * self._max_per_ns + self._resolution

    def _believe(self, value: float, time_ns: int) -> None:
        self._believed = (value, time_ns)
        self._confirmed = -1
