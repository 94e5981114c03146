"""A compiled configuration as bytes: canonical JSON with its own SHA-256, read back strictly in milliseconds.

Control loads these; nothing here may import yaml.
"""

import contextlib
import enum
import hashlib
import json
import os
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gateway.core.errors import ConfigurationError
from gateway.settings.model import Configuration

E = TypeVar("E", bound=enum.Enum)

_INFINITE = {float("inf"): "inf", float("-inf"): "-inf"}
_CURE = "compile it again: gateway check FILE --compile --state DIR"


def dump(configuration: Configuration) -> bytes:
    """The snapshot: canonical JSON (sorted keys, no spaces) with the hash of everything else."""
    return _canonical(_plain(configuration) | {"hash": digest(configuration)})


def load(data: bytes) -> Configuration:
    """The configuration in a snapshot. Raises ConfigurationError when it is damaged or of another release."""
    try:
        tree = json.loads(data)
        written = tree.pop("hash")
        found = hashlib.sha256(_canonical(tree)).hexdigest()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ConfigurationError([f"the snapshot is damaged ({error}); {_CURE}"]) from error
    if found != written:
        raise ConfigurationError([f"the snapshot's hash is {found[:12]} instead of {str(written)[:12]}; {_CURE}"])
    try:
        configuration: Configuration = _Builder().build(Configuration, tree | {"hash": written}, "configuration")
    except (TypeError, ValueError) as error:
        raise ConfigurationError([f"the snapshot is of another release ({error}); {_CURE}"]) from error
    return configuration


def digest(configuration: Configuration) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON without the field `hash`."""
    tree = _plain(configuration)
    del tree["hash"]
    return hashlib.sha256(_canonical(tree)).hexdigest()


def with_hash(configuration: Configuration) -> Configuration:
    """The same configuration carrying its own hash."""
    return replace(configuration, hash=digest(configuration))


def read(path: Path) -> Configuration:
    """The configuration in a snapshot file. Raises ConfigurationError, also when there is no such file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"{path}: the snapshot can't be read ({error.strerror}); {_CURE}"]) from error
    return load(data)


def write(path: Path, configuration: Configuration) -> None:
    """Replace the snapshot file so that a power cut leaves the old or the new one. Blocks on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            file.write(dump(configuration))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _canonical(tree: Any) -> bytes:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return _INFINITE.get(value, value) if isinstance(value, float) else value


class _Builder:
    """Builds typed data from JSON by type hints; anything unexpected is a ValueError. Used for one snapshot."""

    def __init__(self) -> None:
        self._hints: dict[type, dict[str, Any]] = {}

    def build(self, hint: Any, value: Any, where: str) -> Any:
        """`value` as `hint`; where: for the message."""
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            return self._union(get_args(hint), value, where)
        if origin is Literal:
            return _checked(value, any(value == each and type(value) is type(each) for each in get_args(hint)), where)
        if origin is tuple:
            return tuple(self.build(get_args(hint)[0], each, where) for each in _typed(value, list, where))
        if origin is dict:
            inner = get_args(hint)[1]
            pairs = _typed(value, dict, where).items()
            return {key: self.build(inner, each, f"{where}.{key}") for key, each in pairs}
        if is_dataclass(hint):
            return self._dataclass(hint, value, where)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return _member(hint, value, where)
        if hint is Any:
            return _tuples(value)
        return _leaf(hint, value, where)

    def _dataclass(self, cls: Any, value: Any, where: str) -> Any:
        hints = self._hints.get(cls)
        if hints is None:
            hints = self._hints[cls] = get_type_hints(cls)
        tree = _typed(value, dict, where)
        if tree.keys() != hints.keys():
            raise ValueError(f"{where} has other keys: {', '.join(sorted(tree.keys() ^ hints.keys()))}")
        return cls(**{name: self.build(hint, tree[name], f"{where}.{name}") for name, hint in hints.items()})

    def _union(self, members: tuple[Any, ...], value: Any, where: str) -> Any:
        for member in members:
            try:
                return self.build(member, value, where)
            except ValueError:
                continue
        raise ValueError(f"{where} is {value!r:.40}")


def _leaf(hint: Any, value: Any, where: str) -> Any:
    if hint is float and value in ("inf", "-inf"):
        return float(value)
    if hint is float and type(value) is int:
        return float(value)
    if hint is type(None):
        return _checked(value, value is None, where)
    return _checked(value, type(value) is hint, where)


def _checked(value: Any, is_right: bool, where: str) -> Any:
    if not is_right:
        raise ValueError(f"{where} is {value!r:.40}")
    return value


def _typed(value: Any, wanted: Callable[..., Any], where: str) -> Any:
    return _checked(value, type(value) is wanted, where)


def _member(hint: type[E], value: Any, where: str) -> E:
    try:
        return hint[value]
    except KeyError:
        raise ValueError(f"{where} is {value!r:.40}") from None


def _tuples(value: Any) -> Any:
    # Options are frozen data: what a driver's dataclass holds as a tuple must come back as one.
    if isinstance(value, list):
        return tuple(_tuples(each) for each in value)
    if isinstance(value, dict):
        return {key: _tuples(each) for key, each in value.items()}
    return value
