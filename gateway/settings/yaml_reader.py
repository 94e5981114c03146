"""YAML text to a tree with places: YAML 1.2 core scalars, no tags, no duplicate keys, no bombs.

PyYAML (libyaml when it is there) only finds the structure. YAML 1.1's surprises (`on` is true, `12:30` is 750, `010` is
8) never arise, because what a scalar means is decided here; objects can't be constructed at all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.settings.problems import Place, Problems, shown
from gateway.settings.tree import Mapping, Node, Scalar, Sequence

MAX_BYTES = 1024 * 1024
MAX_NODES = 100_000
MAX_DEPTH = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a type alias can't be chosen at run time
_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_MOST_DIGITS = 300  # more is a mistake, and Python refuses very long integers
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")


def read_file(path: Path, problems: Problems) -> Mapping | None:
    """The mapping in one file, or None with the reasons in `problems`. Reads at most 1 MiB."""
    name = str(path)
    try:
        if not path.is_file():
            problems.add(Place(name, 1), "there is no such file", "check the path")
            return None
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        problems.add(Place(name, 1), f"the file can't be read ({error})", "check the path and its permissions")
        return None
    return read_bytes(data, name, problems)


def read_bytes(data: bytes, name: str, problems: Problems) -> Mapping | None:
    """The mapping in `data` (UTF-8 YAML), or None with the reasons in `problems`. Never raises for what data holds."""
    text = _decoded(data, name, problems)
    if text is None:
        return None
    faults = len(problems)
    try:
        root = _Composer(name, problems).compose(_events(text))
    except _Unreadable as error:
        problems.add(error.place, error.what, error.cure)
        return None
    except yaml.YAMLError as error:
        problems.add(*_explained(error, text, name))
        return None
    if isinstance(root, Mapping):
        return root if len(problems) == faults else None
    found = "is empty" if root is None or (isinstance(root, Scalar) and root.value is None) else "is no mapping"
    problems.add(Place(name, 1), f"the file {found}", "begin it with 'version: 1' (docs/configuration.md)")
    return None


def scalar_value(text: str) -> bool | int | float | str | None:
    """What an unquoted scalar means in YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MOST_DIGITS or text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _PREFIXED.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Unreadable(Exception):
    """The file breaks one of our own bounds; raised and caught in this module."""

    def __init__(self, place: Place, what: str, cure: str) -> None:
        super().__init__(what)
        self.place, self.what, self.cure = place, what, cure


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet. size: its nodes with aliases written out; height: levels below it."""

    event: Any
    place: Place
    items: list[Node] = field(default_factory=list)
    size: int = 1
    height: int = 0


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A node an alias may stand for, and what writing it out costs."""

    node: Node
    size: int
    height: int


class _Composer:
    """Builds the tree from parser events without recursion, counting nodes as if aliases were written out."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._open: list[_Open] = []
        self._anchors: dict[str | None, _Anchored] = {}
        self._root: Node | None = None
        self._documents = 0

    def compose(self, events: Iterator[Any]) -> Node | None:
        """The document's root, None when there is none."""
        for event in events:
            self._take(event)
        return self._root

    def _take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise _Unreadable(self._place(event), "a second document begins", "remove the line '---'")
            case yaml.ScalarEvent():
                self._refuse_tag(event)
                self._close(event, self._scalar(event), 1, 0)
            case yaml.AliasEvent():
                anchored = self._anchors.get(event.anchor)
                if anchored is None:
                    raise _Unreadable(
                        self._place(event), f"alias *{event.anchor} stands for nothing", "set its &anchor before it"
                    )
                self._add(anchored.node, anchored.size, anchored.height, self._place(event))
            case yaml.CollectionStartEvent():
                self._refuse_tag(event)
                self._open.append(_Open(event, self._place(event)))
                self._bound(1, 0, self._place(event))
            case yaml.CollectionEndEvent():
                ended = self._open.pop()
                is_mapping = isinstance(ended.event, yaml.MappingStartEvent)
                node = self._mapping(ended) if is_mapping else Sequence(tuple(ended.items), ended.place)
                self._close(ended.event, node, ended.size, ended.height)

    def _close(self, event: Any, node: Node, size: int, height: int) -> None:
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(node, size, height)
        self._add(node, size, height, node.place)

    def _add(self, node: Node, size: int, height: int, place: Place) -> None:
        self._bound(size, height, place)
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.items.append(node)
        parent.size += size
        parent.height = max(parent.height, height + 1)

    def _bound(self, size: int, height: int, place: Place) -> None:
        # Enclosing collections count what is closed inside them, so the sum over the open ones is the whole so far.
        if sum(each.size for each in self._open) + size > MAX_NODES:
            raise _Unreadable(place, f"more than {MAX_NODES} values", "split the file, and use fewer aliases")
        if len(self._open) + height > MAX_DEPTH:
            raise _Unreadable(place, f"nested deeper than {MAX_DEPTH} levels", "check the brackets and the indentation")

    def _mapping(self, ended: _Open) -> Mapping:
        items: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for key, value in zip(ended.items[::2], ended.items[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._problems.add(key.place, "a key must be a word", "quote it if it needs brackets")
            elif key.text in items:
                first = keys[key.text]
                self._problems.add(
                    key.place, f"the key {shown(key.text)} stands here a second time", f"it is at line {first.line} too"
                )
            else:
                items[key.text], keys[key.text] = value, key.place
        return Mapping(items, keys, ended.place)

    def _scalar(self, event: Any) -> Scalar:
        place = self._place(event)
        is_plain = event.style is None or event.style == ""
        one_line = event.start_mark.line == event.end_mark.line
        start = Place(place.file, place.line, place.column + (0 if is_plain else 1)) if one_line else None
        return Scalar(event.value, scalar_value(event.value) if is_plain else event.value, place, start)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            raise _Unreadable(self._place(event), f"the tag {shown(event.tag)} has no meaning here", "remove it")

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)


def _events(text: str) -> Iterator[Any]:
    parse: Any = yaml.parse  # PyYAML's stubs leave it untyped
    events: Iterator[Any] = parse(text, Loader=_LOADER)
    return events


def _decoded(data: bytes, name: str, problems: Problems) -> str | None:
    if len(data) > MAX_BYTES:
        problems.add(Place(name, 1), "the file is larger than 1 MiB", "a site file is a few kB: check the path")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.add(Place(name, line), f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8")
        return None
    forbidden = _FORBIDDEN.search(text)
    if forbidden is None:
        return text
    line = text.count("\n", 0, forbidden.start()) + 1
    problems.add(Place(name, line), f"character U+{ord(forbidden[0]):04X} is not allowed", "remove it")
    return None


def _explained(error: yaml.YAMLError, text: str, name: str) -> tuple[Place, str, str]:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Place(name, 1), f"this is not YAML ({error})", "check it against docs/configuration.md"
    place = Place(name, mark.line + 1, mark.column + 1)
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return place, "a tab is used to indent", "indent with spaces"
    problem = str(getattr(error, "problem", None) or error)
    if "%{" in line:
        return place, problem, "put the value that holds %{…} in quotes"
    context = getattr(error, "context", None)
    what = f"{problem} ({context})" if context else problem
    return place, what, "check indentation, brackets and colons; quote a value that holds % { } [ ] # or ': '"
