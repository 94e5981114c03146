"""Values, times and durations as people write them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.cli.terminal.messages import Words
from gateway.core.units import convert, parse_quantity

_SYMBOLS = {"Cel": "°C", "[degF]": "°F", "%{RH}": "%RH", "%{LEL}": "%LEL", "[ppm]": "ppm", "kW.h": "kWh", "W.h": "Wh"}


def seconds(text: str) -> float:
    """`10 min`, `1 h` or a bare number of seconds. Raises ValueError saying what is wrong."""
    value, unit = parse_quantity(text)
    return convert(value, "s" if unit == "1" else unit, "s")


def shown(value: Any, unit: str, words: Words) -> str:
    """A value with its unit: `3.72 °C`, `on`, `–` for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return words("on" if value else "off")
    text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f"{text} {_SYMBOLS.get(unit, unit)}" if unit not in ("", "1") else text


def output_value(value: object, words: Words) -> str:
    """An output's value: on, off, or its level in percent."""
    return shown(value, "%" if isinstance(value, float) else "", words)


def point_value(row: Mapping[str, Any], words: Words) -> str:
    """A point's value: an output is on or off, any other two-state point (a door that is open) is yes or no."""
    if isinstance(row["value"], bool) and not str(row["point"]).endswith(".on"):
        return words("yes" if row["value"] else "no")
    return shown(row["value"], row["unit"], words)


def age_s(time: str | None, now: datetime | None = None) -> float | None:
    """Seconds since an RFC 3339 instant, None for none."""
    if not time:
        return None
    return ((now or datetime.now(UTC)) - datetime.fromisoformat(time)).total_seconds()


def duration(span_s: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min`, `2 h 5 min`, `4 d 1 h`."""
    if span_s is None:
        return "–"
    if span_s < 10:
        return f"{max(span_s, 0.0):.1f} s"
    if span_s < 120:
        return f"{span_s:.0f} s"
    minutes = int(span_s // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def clock(time: str | None) -> str:
    """An RFC 3339 instant as this machine's local date and time, to the millisecond."""
    if not time:
        return "–"
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
