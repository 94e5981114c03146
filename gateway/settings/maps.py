"""A device's `map`: a file beside the site file with more of the entry's keys, such as a part's Modbus registers."""

import re
from pathlib import Path

from gateway.settings.problems import Problems, shown
from gateway.settings.tree import Mapping, Scalar
from gateway.settings.yaml_reader import read_file

FILE = r"([A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*\.ya?ml"
FILE_HELP = "a YAML file with more of these keys, here or in a folder beside this one, e.g. modbus/oven.yaml"


def with_map(node: Mapping, problems: Problems) -> Mapping | None:
    """The entry with the keys of the file it names, each still knowing where it stands; its own keys win.

    None when there is no such file or it can't be read (it is in `problems`).
    """
    written = node.items.get("map")
    if not isinstance(written, Scalar):
        return node  # none, or a shape that the reader of the entry reports
    if re.fullmatch(FILE, written.text) is None:
        problems.add(written.place, f"'map': {shown(written.text)} has the wrong form", f"expected: {FILE_HELP}")
        return None
    path = Path(written.place.file).parent / written.text
    if not path.is_file():
        problems.add(written.place, f"there is no file {shown(written.text)} beside this one", "correct its name")
        return None
    more = read_file(path, problems)
    return None if more is None else Mapping(more.items | node.items, more.keys | node.keys, node.place)
