"""Events as sentences, the way a person would tell them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.cli.terminal.messages import Words
from gateway.cli.terminal.words import duration, output_value, shown
from gateway.core.output import Slot

Event = Mapping[str, Any]
_SAME_MS = 50.0  # control and recorder label one event by clocks read at two moments
_ENGLISH = Words("en")


def merged(recent: list[dict[str, Any]], older: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both tellings as one, newest first, each event once."""
    if not recent:
        return older
    begin_ms = _ms(recent[-1]) - _SAME_MS
    return recent + [event for event in older if _ms(event) < begin_ms]


def sentence(event: Event, units: Mapping[str, str]) -> str:
    """What happened, why, and with which values."""
    tell = {"output": _output, "alarm": _alarm, "audit": _audit}.get(str(event.get("class")), _other)
    return tell(event, event.get("data") or {}, units)


def _output(event: Event, data: Event, units: Mapping[str, str]) -> str:
    if "before" not in data:  # an interlock
        return f"{event['subject']} {event['what']}{_because(data, units)}"
    value, before = (_onoff(data.get(key)) for key in ("value", "before"))
    change = f"stays {value}" if value == before else f"went {value}"
    overruled = [f"slot {slot} ({_slot(slot)}) wanted {_onoff(value)}" for slot, value in _items(data, "overruled")]
    tail = f"; overruled: {', '.join(overruled)}" if overruled else ""
    holder = f"slot {data.get('slot')} ({_slot(data.get('slot'))})"
    return f"{event['subject']} {change}, held by {holder}{_because(data, units)}{tail}"


def _alarm(event: Event, data: Event, units: Mapping[str, str]) -> str:
    state = _ENGLISH(str(event["what"]))
    return f"alarm {event['subject']} is {state} (before: {_ENGLISH(str(data.get('before')))}){_because(data, units)}"


def _audit(event: Event, data: Event, _units: Mapping[str, str]) -> str:
    value = f" {_onoff(data['value'])}" if "value" in data else ""
    hold = f" for {duration(data['for_s'])}" if "for_s" in data else ""
    who = f"{data.get('who') or 'somebody'} ({data.get('role', '?')})"
    outcome = "" if data.get("ok") else " and was refused"
    message = f": {data['message']}" if data.get("message") else ""
    return f"{who} asked to {data.get('verb', event['what'])} {event['subject']}{value}{hold}{outcome}{message}"


def _other(event: Event, data: Event, units: Mapping[str, str]) -> str:
    if "reason" in data:
        return f"{event['subject']} {event['what']}{_because(data, units)}"
    details = ", ".join(f"{key} {value}" for key, value in data.items())
    return f"{event['subject']} {event['what']}" + (f": {details}" if details else "")


def _because(data: Event, units: Mapping[str, str]) -> str:
    inputs = ", ".join(
        f"{point} = {shown(value, units.get(point, ''), _ENGLISH)}" for point, value in _items(data, "inputs")
    )
    reason = f": {data['reason']}" if data.get("reason") else ""
    return reason + (f" ({inputs})" if inputs else "")


def _items(data: Event, key: str) -> list[tuple[str, Any]]:
    return list((data.get(key) or {}).items())


def _onoff(value: object) -> str:
    return output_value(value, _ENGLISH)


def _slot(number: object) -> str:
    try:
        return Slot(int(str(number))).name.lower().replace("_", " ")
    except ValueError:
        return "?"


def _ms(event: Event) -> float:
    return datetime.fromisoformat(str(event["time"])).timestamp() * 1000
