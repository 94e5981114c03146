"""YAML to a tree: the scalars of YAML 1.2's core schema, places, and bounds that hold."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import yaml_reader
from gateway.settings.problems import Problems
from gateway.settings.tree import Mapping, Scalar, Sequence, plain
from gateway.settings.yaml_reader import MAX_BYTES, read_bytes, read_file, scalar_value
from tests.settings.parts import KITCHEN


def tree(text: str) -> Mapping:
    problems = Problems()
    root = read_bytes(text.encode(), "site.yaml", problems)
    assert problems.texts() == []
    assert root is not None
    return root


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, text) for text in ("on", "off", "yes", "no", "On", "y", "n", "tRUE", "12:30", "1:2:3", "GPIO17")),
        *(
            (text, text)
            for text in ("28-00000a1b2c3d", "1_000", "0b11", "1.2.3", "2026-11-24", "0x", "-", "+", ".", "e5")
        ),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("0o17", 15),
        ("0x44", 68),
        ("-12", -12),
        ("1.5", 1.5),
        ("-.5e3", -500.0),
        ("5.", 5.0),
        ("-.inf", float("-inf")),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    """`on`, `12:30` and `010` keep their meaning; only true and false are two-state by themselves."""
    found = scalar_value(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_scalars_are_text() -> None:
    """A quoted scalar is text whatever stands in it."""
    assert plain(tree("a: '1'\nb: \"true\"\nc: ''\n")) == {"a": "1", "b": "true", "c": ""}


def test_every_key_and_value_knows_its_place() -> None:
    """Keys and values carry line and column from 1, in block and in flow style, behind wide characters too."""
    root = tree("site:\n  name: 데모\n  a: {데: 1, b: [x, 'y']}\n")
    site = root.items["site"]
    assert isinstance(site, Mapping)
    assert (root.at("site").line, root.at("site").column) == (1, 1)
    inner = site.items["a"]
    assert isinstance(inner, Mapping)
    assert (inner.at("b").line, inner.at("b").column) == (3, 13)
    items = inner.items["b"]
    assert isinstance(items, Sequence)
    last = items.items[1]
    assert isinstance(last, Scalar)
    assert (last.place.line, last.place.column) == (3, 20)
    assert last.start is not None
    assert last.start.column == 21


def test_aliases_stand_for_their_anchor() -> None:
    """An alias is the node it names, so a site may write a repeated block once."""
    assert plain(tree("a: &x {k: [1, 2]}\nb: *x\n")) == {"a": {"k": [1, 2]}, "b": {"k": [1, 2]}}


def test_a_byte_order_mark_is_passed_over() -> None:
    """An editor on Windows may put a byte order mark at the start."""
    assert plain(tree("\ufeffa: 1\n")) == {"a": 1}


def test_an_anchor_cannot_hold_itself() -> None:
    """A node that would contain itself is refused, not followed."""
    problems = Problems()
    read_bytes(b"a: &x [*x]\n", "site.yaml", problems)
    assert problems.texts() == ["site.yaml:1: alias *x stands for nothing; set its &anchor before it"]


def test_a_file_larger_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    """A huge file is refused by its size, without being parsed."""
    path = tmp_path / "site.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    problems = Problems()
    assert read_file(path, problems) is None
    assert "larger than 1 MiB" in problems.texts()[0]


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 200_000,
        "a: " + "{a: " * 100_000,
        "- " * 200_000,
        "a: [" + "x, " * 300_000,
        "a: &a [" + "x," * 999 + "]\nb: [" + "*a," * 200_000 + "]",
        "".join(f"{'k' * 20}{n}: 1\n" for n in range(40_000)),
        "? " * 300_000,
        "a: '" + "x" * 1_000_000 + "'",
        "a: " + "9" * 1_000_000,
        "&a " * 300_000,
    ],
    ids=["flow", "maps", "dashes", "list", "aliases", "keys", "questions", "text", "digits", "anchors"],
)
def test_hostile_files_end_quickly(text: str) -> None:
    """Whatever a file of the largest size holds, reading it ends within seconds and in words."""
    problems = Problems()
    began = time.monotonic()
    read_bytes(text.encode(), "site.yaml", problems)
    assert time.monotonic() - began < 5
    assert all(len(problem) < 1000 for problem in problems.texts())


def test_without_the_c_library_the_meaning_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without libyaml reads the same tree with the same places."""
    text = KITCHEN.read_text(encoding="utf-8")
    fast = tree(text)
    monkeypatch.setattr(yaml_reader, "_LOADER", yaml.SafeLoader)
    assert tree(text) == fast


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a directory or a path with a NUL is a problem with a place, not a crash."""
    for path in (tmp_path / "absent.yaml", tmp_path, Path("a\0b")):
        problems = Problems()
        assert read_file(path, problems) is None
        assert len(problems.texts()) == 1
