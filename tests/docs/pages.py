"""Markdown pages taken apart for the tests: headings, code blocks, links."""

import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def identity(page: Path) -> str:
    """A page's path in the repository."""
    return str(page.relative_to(REPOSITORY))


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text())


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks in that language."""
    return [text for kind, text in FENCE.findall(page.read_text()) if kind == language]


def headings(page: Path) -> list[tuple[int, str]]:
    """(level, text) of each heading."""
    return [(len(marks), text) for marks, text in re.findall(r"^(#+) (.+)$", prose(page), re.MULTILINE)]


def links(page: Path) -> Iterator[str]:
    """The targets of links and pictures that point into the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchor(text: str) -> str:
    """The anchor a heading gets: lower case, punctuation gone, spaces become hyphens."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def command_lines(page: Path) -> list[str]:
    """The lines of the page's shell blocks, comments stripped."""
    lines = (re.sub(r"(^|\s+)#.*", "", line) for text in blocks(page, "sh") for line in text.splitlines())
    return [line for line in lines if line]
