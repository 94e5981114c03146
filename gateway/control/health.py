"""How our own processes are, as points under `gateway/`: control alarms on them like on any other."""

import threading
from collections.abc import Callable, Mapping

from gateway.control.readings import health_readings
from gateway.core.reading import Reading, Value
from gateway.settings.health import PREFIX

SILENT_NS = 6_000_000_000
"""A process that has said nothing for this long counts as gone."""
REPEAT_NS = 60_000_000_000
"""A point that does not change is told this often."""
PAUSE_NS = 10_000_000_000
"""A number that keeps changing is told this often at most; a two-state point at once."""
VALUE_LIMIT = 1e15
PROCESSES = ("recorder", "field")

Probe = Callable[[], Mapping[str, Value]]
"""Our own health: full point name → value. Runs in the overseer's thread and must not block."""


class HealthBoard:
    """Collects what recorder and field say and what control knows of itself; `check` makes readings of the changes.

    known: the health points of the configuration; others are ignored. `heard` runs in the server's thread.
    """

    def __init__(self, known: Mapping[str, str], probe: Probe, sink: Callable[[list[Reading]], None]) -> None:
        self._lock = threading.Lock()
        self._probe = probe
        self._sink = sink
        self._heard: dict[str, Value | None] = {}
        self._heard_ns: dict[str, int] = {}
        self._told: dict[str, tuple[Value | None, int]] = {}
        self.know(known)

    def know(self, points: Mapping[str, str]) -> None:
        """Another configuration: its points, name → unit."""
        with self._lock:
            self._known = {point: unit for point, unit in points.items() if point.startswith(PREFIX)}
            self._told = {point: told for point, told in self._told.items() if point in self._known}

    def heard(self, process: str, points: Mapping[str, object], now_ns: int) -> None:
        """One health frame. Raises ValueError for a value that is no number and no truth value."""
        values: dict[str, Value] = {}
        for name, value in points.items():
            if not isinstance(value, bool | int | float) or not abs(value) <= VALUE_LIMIT:
                raise ValueError(f"health point {name!r:.80} is {value!r:.40}: a number, true or false is needed")
            values[f"{PREFIX}{process}.{name}"] = value
        with self._lock:
            self._heard_ns[process] = now_ns
            self._heard |= {point: value for point, value in values.items() if self._fits(point, value)}

    def check(self, now_ns: int) -> None:
        """Tell what has changed, and every point once a minute."""
        probed = self._probe()
        with self._lock:
            current: dict[str, Value | None] = {**self._heard, **probed}
            for process in PROCESSES:
                self._judge(process, current, now_ns)
            due = {point: value for point, value in current.items() if self._due(point, value, now_ns)}
            self._told |= {point: (value, now_ns) for point, value in due.items()}
        if due:
            self._sink(health_readings(due, now_ns))

    def _judge(self, process: str, current: dict[str, Value | None], now_ns: int) -> None:
        """`connected`, and no value for whatever else a silent process is asked about."""
        connected = process in self._heard_ns and now_ns - self._heard_ns[process] <= SILENT_NS
        if not connected:
            current |= dict.fromkeys([point for point in self._known if point.startswith(f"{PREFIX}{process}.")])
        current[f"{PREFIX}{process}.connected"] = connected

    def _fits(self, point: str, value: Value) -> bool:
        return point in self._known and isinstance(value, bool) == (self._known[point] == "")

    def _due(self, point: str, value: Value | None, now_ns: int) -> bool:
        if point not in self._known:
            return False
        if point not in self._told:
            return True
        before, told_ns = self._told[point]
        if value == before:
            return now_ns - told_ns >= REPEAT_NS
        steady = value is None or before is None or isinstance(value, bool)
        return steady or now_ns - told_ns >= PAUSE_NS
