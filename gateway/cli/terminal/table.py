"""Tables for a terminal: aligned also with Korean text, coloured only where a person looks."""

import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_COLOURS = {"good": "32", "warn": "33", "bad": "31", "dim": "2"}


class Cell(NamedTuple):
    """Text of a table with a tone: good, warn, bad or dim."""

    text: str
    tone: str = ""


Row = Sequence[Cell | str]


def table(heads: Sequence[str], rows: Sequence[Row], *, colour: bool = False) -> str:
    """Columns of equal width. Control characters in the text are shown, not obeyed."""
    cells = [[_cell(content) for content in row] for row in (heads, *rows)]
    widths = [max(width(cell.text) for cell in column) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = [cell.text + " " * (size - width(cell.text)) for cell, size in zip(row, widths, strict=True)]
        if colour:
            padded = [_paint(text, cell.tone) for text, cell in zip(padded, row, strict=True)]
        lines.append("  ".join(padded).rstrip())
    if colour:
        lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
    return "\n".join(lines)


def print_table(heads: Sequence[str], rows: Sequence[Row]) -> None:
    """To stdout, with colours when that is a terminal and $NO_COLOR does not forbid them."""
    print(table(heads, rows, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))


def width(text: str) -> int:
    """Columns of a terminal that a text takes: Korean letters take two."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _cell(content: Cell | str) -> Cell:
    cell = Cell(content) if isinstance(content, str) else content
    return Cell("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cell.text), cell.tone)


def _paint(text: str, tone: str) -> str:
    return f"\x1b[{_COLOURS[tone]}m{text}\x1b[0m" if tone in _COLOURS else text
