"""A site's file as a tree that remembers where each key and value stands."""

from dataclasses import dataclass
from typing import Any

from gateway.settings.problems import Place


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. text: as written; value: what YAML 1.2's core schema makes of it (a quoted one is a str).

    start: where the text's first character stands, or None when it is folded over lines.
    """

    text: str
    value: bool | int | float | str | None
    place: Place
    start: Place | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple["Node", ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and their values, in the file's order; `keys` holds where each key stands."""

    items: dict[str, "Node"]
    keys: dict[str, Place]
    place: Place

    def at(self, key: str) -> Place:
        """Where the key stands; the mapping itself when it has no such key."""
        return self.keys.get(key, self.place)


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """The tree as dicts, lists and scalars, e.g. for a JSON Schema validator."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def described(node: Node) -> str:
    """What stands there, for a message: 'a list', 'a mapping', 'nothing' or the text."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return "empty" if node.value is None else repr(node.text[:80])
