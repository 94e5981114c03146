"""The documents are true: their links lead somewhere, their commands exist, the two languages agree."""

import argparse
import ast
import importlib
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, REPOSITORY, anchor, blocks, command_lines, headings, identity, links, prose

README = REPOSITORY / "README.md"
KOREAN = REPOSITORY / "docs/README.ko.md"
ARCHITECTURE = REPOSITORY / "docs/architecture.md"
GATEWAY_COMMANDS = [line for line in command_lines(README) if line.startswith("gateway ")]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link into the repository has a file at its end, and the heading it names."""
    for target in links(page):
        path, _, fragment = target.partition("#")
        found = (page.parent / path) if path else page
        assert found.exists(), target
        if fragment:
            assert fragment in [anchor(text) for _level, text in headings(found)], target


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_shell_blocks_parse(page: Path) -> None:
    """Every shell block is shell."""
    for text in blocks(page, "sh"):
        subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=True, timeout=10)


def test_the_readme_begins_with_the_two_commands() -> None:
    """The first thing to type is ./run and ./test, and both can be typed."""
    first, second = blocks(README, "sh")[0].splitlines()
    for line, script in ((first, "./run"), (second, "./test")):
        assert line.split()[0] == script
        assert os.access(REPOSITORY / script, os.X_OK)


@pytest.mark.parametrize("line", GATEWAY_COMMANDS)
def test_commands_of_the_readme_exist(line: str) -> None:
    """Each `gateway` command of the README is accepted by that command's own parser."""
    _gateway, command, *words = shlex.split(line)
    module = importlib.import_module(f"gateway.cli.{command}")
    parser = argparse.ArgumentParser(exit_on_error=False)
    module.add_arguments(parser)
    parser.parse_args(words)


def test_make_targets_of_the_documents_exist() -> None:
    """Each `make` target that a document tells of is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    told = {target for page in PAGES for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert told
    assert told <= targets


def test_the_korean_readme_has_the_same_structure() -> None:
    """Both languages have the same headings in the same order, the same commands and the same links."""
    assert [level for level, _text in headings(KOREAN)] == [level for level, _text in headings(README)]
    assert command_lines(KOREAN) == command_lines(README)
    english = {(README.parent / target).resolve() for target in links(README)} - {KOREAN}
    korean = {(KOREAN.parent / target).resolve() for target in links(KOREAN)} - {README}
    assert korean == english


def test_paths_of_the_architecture_exist() -> None:
    """Every file and folder that the architecture page names is there."""
    named = re.findall(r"`([\w./-]+(?:/|\.py|\.md|\.yaml|\.cfg))[:`]", prose(ARCHITECTURE))
    assert len(named) > 20
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_names_of_the_architecture_exist() -> None:
    """Every `file.py:name` of the architecture page is a function, method or class of that file."""
    named = re.findall(r"`([\w./]+\.py):([\w.]+)`", prose(ARCHITECTURE))
    assert len(named) > 20
    assert [f"{path}:{name}" for path, name in named if not is_defined(REPOSITORY / path, name.split("."))] == []


def is_defined(file: Path, names: list[str]) -> bool:
    """Whether the file defines names[0], which defines names[1], and so on."""
    body: list[ast.stmt] = ast.parse(file.read_text()).body if file.exists() else []
    for name in names:
        found = [node for node in body if isinstance(node, DEFINITIONS) and node.name == name]
        if not found:
            return False
        body = found[0].body
    return True


def test_decisions_are_numbered() -> None:
    """The decisions are numbered without a gap and each has a status, a context, a decision and consequences."""
    records = sorted((REPOSITORY / "docs/adr").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text()
        assert text.startswith(f"# {int(record.name[:4])}. ")
        for part in ("**Status**", "**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in text, f"{record.name} has no {part}"
