"""Reading a saved state: each part is checked before it is used, for files get damaged and configurations change."""

from typing import Any

from gateway.core.reading import Value
from rules.board import SECOND_NS

Saved = dict[str, Any]
DAY_NS = 24 * 3600 * SECOND_NS


def flag(data: Saved, key: str) -> bool:
    """A true/false entry, false when absent. Raises ValueError."""
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}, not true or false")
    return value


def level(data: Saved, key: str) -> Value:
    """An output's value. Raises ValueError."""
    value = data.get(key)
    if isinstance(value, bool | float | int):
        return value
    raise ValueError(f"{key} is {value!r}, not true, false or a number")


def text(data: Saved, key: str) -> str:
    """A text entry, "" when absent. Raises ValueError."""
    value = data.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} is {value!r}, not a text")
    return value


def duration_ns(data: Saved, key: str, limit_ns: int = 366 * DAY_NS) -> int | None:
    """A duration between 0 and the limit, None when absent. Raises ValueError."""
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit_ns:
        raise ValueError(f"{key} is {value!r}, not a duration up to {limit_ns} ns")
    return value


def section(data: Saved, key: str) -> Saved:
    """A nested object, empty when absent. Raises ValueError."""
    value = data.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{key} is not an object")
    return value


def compact(**entries: Any) -> Saved:
    """Only the entries that say something (not None, not False, not "")."""
    return {key: value for key, value in entries.items() if value not in (None, False, "")}


def since(now_ns: int, elapsed_ns: int | None) -> int | None:
    """The start of something that has run for `elapsed_ns`."""
    return None if elapsed_ns is None else now_ns - elapsed_ns


def elapsed(now_ns: int, since_ns: int | None) -> int | None:
    """How long something that began at `since_ns` has run."""
    return None if since_ns is None else max(0, now_ns - since_ns)


def remaining(now_ns: int, until_ns: int | None) -> int | None:
    """How long something that ends at `until_ns` still runs."""
    return None if until_ns is None else max(0, until_ns - now_ns)


def earliest(*deadlines_ns: int | None) -> int | None:
    """The first of several deadlines."""
    return min((each for each in deadlines_ns if each is not None), default=None)
