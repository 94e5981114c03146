"""`gateway interlocks`: what protects the kitchen, and what of it has acted."""

import argparse
from typing import Any

from gateway.cli.terminal import ask
from gateway.cli.terminal.messages import Words, site_words
from gateway.cli.terminal.table import Cell, print_table

HELP = "show interlocks: clear, tripped, latched or bypassed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("interlocks", nargs="*", metavar="INTERLOCK", help="some interlocks; all without")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Print the interlocks. Exit 1 when a name picks nothing."""
    with ask.control(arguments) as client:
        rows = ask.pick(client.query("interlocks"), "interlock", arguments.interlocks, "interlock")
    if arguments.json:
        ask.print_json(rows)
        return ask.DONE
    words = site_words(arguments.state)
    heads = [words(head) for head in ("interlock", "state", "reason")]
    print_table(heads, [(row["interlock"], _state(row, words), row["reason"] or "") for row in rows])
    return ask.DONE


def _state(row: dict[str, Any], words: Words) -> Cell:
    if row["bypassed_until"]:
        return Cell(words("bypassed"), "warn")
    if not row["tripped"]:
        return Cell(words("clear"), "good")
    return Cell(words("latched" if row["latched"] and not row["cause"] else "tripped"), "bad")
