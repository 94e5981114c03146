"""The JSON Schema (2020-12) of a site file, for editors: `python -m gateway.settings.schema > config/schema.json`.

It comes from the dataclasses and Specs the reader itself follows. What only the whole site tells (claims, names,
conditions) is left to `gateway check`.
"""

import json
import sys
from dataclasses import is_dataclass
from typing import Any, Literal, get_args, get_origin

import drivers.registry
from gateway.settings.health import health_alarms
from gateway.settings.keys import BYTES, GPIO, Key, keys_of, members
from gateway.settings.model import Access, Cloud, Site, Store
from gateway.settings.wiring import Catalogue
from gateway.settings.words import (
    NAME,
    NAME_HELP,
    AlarmEntry,
    BusEntry,
    DeviceEntry,
    InterlockEntry,
    OutputEntry,
    Root,
    RuleEntry,
)

_WHOLE = r"^[+-]?([0-9]+|0x[0-9A-Fa-f]+)$"
_NUMBER = r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?"


def json_schema(catalogue: Catalogue = drivers.registry) -> dict[str, Any]:
    """The schema as a dict, with every driver there is."""
    specs = [catalogue.load(name) for name in catalogue.known()]
    devices = [_merged(DeviceEntry, spec.options, spec.name) for spec in specs if spec.direction != "output"]
    outputs = [_merged(OutputEntry, spec.options, spec.name) for spec in specs if spec.direction == "output"]
    alarms = _named(_object(keys_of(AlarmEntry)))
    built_in = [alarm.name for alarm in health_alarms((), has_field=True, has_cloud=True)]
    alarms["propertyNames"] = {
        "anyOf": [{"pattern": f"^{NAME}$"}, {"enum": built_in}, {"pattern": "^gateway/bus_dead_"}]
    }
    schema = _object(keys_of(Root))
    schema["properties"] |= {
        "site": _object(keys_of(Site)),
        "buses": _named(_object(keys_of(BusEntry))),
        "devices": _named({"oneOf": devices}),
        "outputs": _named({"oneOf": outputs}),
        "interlocks": _named(_object(keys_of(InterlockEntry))),
        "alarms": alarms,
        "rules": _named(_object(keys_of(RuleEntry))),
        "store": _object(keys_of(Store)),
        "access": _object(keys_of(Access)),
        "cloud": _object(keys_of(Cloud)),
    }
    schema["required"].append("site")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Kitchen Gateway site file",
        **schema,
    }


def _merged(entry: type, options: type, driver: str) -> dict[str, Any]:
    schema = _object([*keys_of(entry), *keys_of(options)])
    schema["properties"]["driver"] = {"const": driver}
    tables = [key.name for key in keys_of(options) if key.is_mandatory and get_origin(key.hint) is dict]
    if tables:  # what a file named by `map` may hold instead
        schema["required"] = [name for name in schema["required"] if name not in tables]
        schema["anyOf"] = [{"required": tables}, {"required": ["map"]}]
    return schema


def _named(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{NAME}$", "description": NAME_HELP},
        "additionalProperties": entry,
    }


def _object(keys: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key.name: _described(key) for key in keys},
        "required": [key.name for key in keys if key.is_mandatory],
        "additionalProperties": False,
    }


def _described(key: Key) -> dict[str, Any]:
    choices = [_value(hint, key) for hint in members(key.hint)]
    schema = choices[0] if len(choices) == 1 else {"anyOf": choices}
    return {"description": key.help, **schema} if key.help else schema


def _value(hint: Any, key: Key) -> dict[str, Any]:
    origin = get_origin(hint)
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin is dict:
        key_hint, value_hint = get_args(hint)
        schema = {"type": "object", "additionalProperties": _value_of(value_hint, key)}
        if key_hint is int:  # in JSON every key is a text
            return schema | {"propertyNames": {"pattern": _WHOLE}}
        return schema if key_hint is str else schema | {"propertyNames": _value_of(key_hint, key)}
    if origin is tuple:
        return {"type": "array", "items": _value_of(get_args(hint)[0], key)}
    if is_dataclass(hint) and isinstance(hint, type):
        return _object(keys_of(hint))
    if hint is bool:
        return {"enum": ["on", "off", True, False]}
    return _text(key) if hint is str else _number(hint, key)


def _value_of(hint: Any, key: Key) -> dict[str, Any]:
    choices = [_value(each, key) for each in members(hint)]
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _text(key: Key) -> dict[str, Any]:
    # A plain 12 or 12:30 is text for a key that holds text, whatever YAML makes of it.
    return (
        {"type": "string", "pattern": f"^{key.pattern}$"} if key.pattern else {"type": ["string", "number", "boolean"]}
    )


def _number(hint: type, key: Key) -> dict[str, Any]:
    if key.unit == GPIO:
        return {"anyOf": [{"type": "string", "pattern": "^GPIO[0-9]{1,2}$"}, {"type": "integer", **_range(key)}]}
    if key.unit == "By":
        pattern = rf"^[0-9]+(\.[0-9]+)?\s*({'|'.join(BYTES)})$"
        return {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "integer", **_range(key)}]}
    if key.unit and hint is float:
        return {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*\S+\s*$"}
    return {"type": "integer" if hint is int else "number", **_range(key)}


def _range(key: Key) -> dict[str, float]:
    bounds = {"minimum": key.low, "maximum": key.high}
    return {name: bound for name, bound in bounds.items() if bound is not None}


if __name__ == "__main__":
    json.dump(json_schema(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
