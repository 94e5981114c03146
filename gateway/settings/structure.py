"""A mapping of the file to typed values by type hints, reporting everything that does not fit."""

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass
from typing import Any, Final, Generic, TypeVar, get_args, get_origin

from gateway.settings.keys import Key, keys_of, members
from gateway.settings.problems import Place, Problems
from gateway.settings.tree import Mapping, Node, Scalar, Sequence, described
from gateway.settings.values import Unfit, scalar_as
from gateway.settings.yaml_reader import scalar_value

T = TypeVar("T")


class _Invalid:
    """Stands for a value whose fault has been reported."""


INVALID: Final = _Invalid()


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A named mapping of the file as typed data, still knowing where each of its keys stands."""

    name: str
    data: T
    node: Mapping
    place: Place

    def at(self, key: str) -> Place:
        """Where the key stands, or the entry's name when it is not written."""
        return self.node.keys.get(key, self.place)


class Section:
    """One mapping being read: whatever nobody asked for is an error when it is closed."""

    def __init__(self, node: Mapping, place: Place, what: str, problems: Problems) -> None:
        self.node = node
        self._place = place
        self._what = what
        self._problems = problems
        self._known: list[str] = []

    def read(self, keys: Iterable[Key]) -> dict[str, Any] | None:
        """Field → value of the keys that are written; None when one does not fit or a mandatory one is missing."""
        values: dict[str, Any] = {}
        good = True
        for key in keys:
            self._known.append(key.name)
            node = self.node.items.get(key.name)
            if node is not None:
                value = build(node, key, self.node.at(key.name), self._problems)
                good = good and value is not INVALID
                values[key.field] = value
            elif key.is_mandatory:
                good = False
                cure = f"add it: {key.help}" if key.help else "add it"
                self._problems.add(self._place, f"{self._what} lacks the key {key.name!r}", cure)
        return values if good else None

    def know(self, *keys: str) -> None:
        """These keys are read by someone else."""
        self._known.extend(keys)

    def close(self) -> bool:
        """True when every key of the mapping was read; the others are reported."""
        unread = [key for key in self.node.items if key not in self._known]
        for key in unread:
            self._problems.unknown(self.node.at(key), "key", key, self._known)
        return not unread


def structure(cls: type[T], node: Node, place: Place, what: str, problems: Problems) -> T | None:
    """An instance of dataclass `cls` from a mapping, None when something does not fit (it is in `problems`)."""
    if not isinstance(node, Mapping):
        problems.add(place, f"{what} is {described(node)}", "write it as a mapping, {key: value}")
        return None
    section = Section(node, place, what, problems)
    values = section.read(keys_of(cls))
    if not section.close() or values is None:
        return None
    try:
        return cls(**values)
    except ValueError as error:  # keys that fit one by one and not together; the message has its cure
        problems.add(place, f"{what}: {error}", "")
        return None


def build(node: Node, key: Key, place: Place, problems: Problems) -> Any:
    """The value of `node` for `key`, INVALID when it does not fit. place: what messages point at."""
    hints = members(key.hint)
    if isinstance(node, Scalar):
        return _scalar(hints, node, key, problems)
    wanted = dict if isinstance(node, Mapping) else tuple
    for hint in hints:
        if isinstance(node, Mapping) and is_dataclass(hint) and isinstance(hint, type):
            built = structure(hint, node, place, f"{key.name!r}", problems)
            return INVALID if built is None else built
        if get_origin(hint) is wanted:
            return (
                _mapping(node, key.of(hint), problems)
                if isinstance(node, Mapping)
                else _tuple(node, key.of(hint), problems)
            )
    problems.add(place, f"{key.name!r} can't be {described(node)}", key.expected)
    return INVALID


def _scalar(hints: tuple[Any, ...], node: Scalar, key: Key, problems: Problems) -> Any:
    unfit: list[Unfit] = []
    for hint in hints:
        if get_origin(hint) in (dict, tuple) or is_dataclass(hint):
            continue
        try:
            return scalar_as(hint, node, key)
        except Unfit as error:
            unfit.append(error)
    if not unfit:
        kind = "a list, [a, b]" if get_origin(hints[0]) is tuple else "a mapping, {key: value}"
        problems.add(node.place, f"{key.name!r} is {described(node)}", f"write it as {kind}")
    elif len(unfit) == 1:
        problems.add(node.place, f"{key.name!r}: {unfit[0].what}", unfit[0].cure)
    else:
        problems.add(node.place, f"{key.name!r}: {unfit[0].what}", ", or ".join(each.cure for each in unfit))
    return INVALID


def _mapping(node: Mapping, key: Key, problems: Problems) -> Any:
    key_hint, value_hint = get_args(key.hint)
    built: dict[Any, Any] = {}
    for name, child in node.items.items():
        place = node.at(name)
        try:
            value = name if key_hint is str else scalar_value(name)
            word = scalar_as(key_hint, Scalar(name, value, place), Key(key.name, key.field, key_hint, True))
        except Unfit as error:
            problems.add(place, f"{key.name!r}: {error.what}", error.cure)
            word = INVALID
        inner = Key(name, key.field, value_hint, True, unit=key.unit, low=key.low, high=key.high, help=key.help)
        built[word] = build(child, inner, place, problems)
    return INVALID if INVALID in built or INVALID in built.values() else built


def _tuple(node: Sequence, key: Key, problems: Problems) -> Any:
    hints = get_args(key.hint)
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(node.items)
    if len(hints) != len(node.items):
        problems.add(node.place, f"{key.name!r} has {len(node.items)} values", f"write {len(hints)}")
        return INVALID
    pairs = zip(node.items, hints, strict=True)
    built = tuple(build(item, key.of(hint), item.place, problems) for item, hint in pairs)
    return INVALID if any(value is INVALID for value in built) else built
