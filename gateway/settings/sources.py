"""The files of a site as one tree: the site's own, those in `rules.d` beside it, and the cloud's overlay under it."""

from pathlib import Path

from gateway.settings.problems import Problems
from gateway.settings.tree import Mapping, Node, Scalar, described
from gateway.settings.words import DECISIONS, SECTIONS
from gateway.settings.yaml_reader import read_file

_OF_OVERLAY = (*SECTIONS, "site", "store")
"""What the cloud may add. Who may do what, and where the cloud is, are decided on site only."""


def merged(path: Path, overlay: Path | None, problems: Problems) -> Mapping | None:
    """One tree of all files, None when one of them is no mapping (the reasons are in `problems`).

    Sections are merged entry by entry. In `rules.d` an entry that is already there is an error; in the overlay it is
    passed over as a whole, so the cloud can add but never change what the site says.
    """
    roots = [read_file(path, problems)]
    for more in sorted((path.parent / "rules.d").glob("*.y*ml")):
        roots.append(_allowed(read_file(more, problems), DECISIONS, f"a file in {more.parent.name}", problems))
    remote = overlay and _allowed(read_file(overlay, problems), _OF_OVERLAY, "the overlay", problems)
    if any(root is None for root in roots) or (overlay and remote is None):
        return None
    whole, *others = (root for root in roots if root is not None)
    for other in others:
        whole = _joined(whole, other, problems)
    return _joined(whole, remote, None) if remote else whole


def _allowed(root: Mapping | None, keys: tuple[str, ...], what: str, problems: Problems) -> Mapping | None:
    for key in root.items if root else ():
        if root and key not in keys:
            problems.add(root.at(key), f"{what} can't have the key {key!r}", f"it may have: {', '.join(keys)}")
    return root


def _joined(first: Mapping, second: Mapping, problems: Problems | None) -> Mapping:
    """Both, the first one winning; with `problems`, an entry that both have is reported there."""
    items: dict[str, Node] = dict(first.items)
    keys = dict(first.keys)
    for key, theirs in second.items.items():
        ours = items.get(key)
        keys.setdefault(key, second.keys[key])
        if ours is None or is_empty(ours):
            items[key] = theirs
        elif is_empty(theirs):
            continue
        elif isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            items[key] = _section(ours, theirs, key, problems)
        elif problems:
            problems.add(second.at(key), f"{key!r} is {described(theirs)}", "write it as a mapping, {name: {…}}")
    return Mapping(items, keys, first.place)


def _section(ours: Mapping, theirs: Mapping, section: str, problems: Problems | None) -> Mapping:
    for name in theirs.items:
        if problems and name in ours.items:
            what = f"{name!r} in {section!r} is defined at {ours.at(name)} too"
            problems.add(theirs.at(name), what, "rename or remove one of them")
    return Mapping(theirs.items | ours.items, theirs.keys | ours.keys, ours.place)


def is_empty(node: Node) -> bool:
    """A key with nothing after it, such as `rules:` with every rule commented out."""
    return isinstance(node, Scalar) and node.value is None
