"""A driver's options as plain data and back: what a snapshot holds, and what `SPEC.open` gets. Pure."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints


def plain(value: Any) -> Any:
    """Options, or a part of them, as JSON-ready data: dataclasses and mappings as dicts with text keys."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return tuple(plain(inner) for inner in value)
    return value


def rebuilt(hint: Any, value: Any) -> Any:
    """Plain data as type `hint`: what `plain` took apart. Raises TypeError or ValueError for what doesn't fit."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _first_fitting(get_args(hint), value)
    if origin is tuple and isinstance(value, list | tuple):
        inner = get_args(hint)
        hints = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(rebuilt(each, part) for each, part in zip(hints, value, strict=True))
    if origin is dict and isinstance(value, Mapping):
        key_hint, value_hint = get_args(hint)
        return {key_hint(key): rebuilt(value_hint, part) for key, part in value.items()}
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        hints_of = get_type_hints(hint)
        return hint(**{name: rebuilt(hints_of[name], part) for name, part in value.items()})
    return value


def _first_fitting(hints: tuple[Any, ...], value: Any) -> Any:
    """Only mappings and lists need a choice: a scalar is the same whatever member it stands for."""
    if not isinstance(value, Mapping | list | tuple):
        return value
    for hint in hints:
        wanted = dict if isinstance(value, Mapping) else tuple
        if get_origin(hint) is wanted or (wanted is dict and is_dataclass(hint)):
            return rebuilt(hint, value)
    return value
