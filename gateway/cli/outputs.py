"""`gateway outputs`: what each output is commanded to, which slot holds it and why."""

import argparse

from gateway.cli.terminal import ask
from gateway.cli.terminal.messages import Words, site_words
from gateway.cli.terminal.table import Cell, print_table
from gateway.cli.terminal.words import age_s, duration, output_value

HELP = "show outputs with the slot that holds them and why"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("outputs", nargs="*", metavar="OUTPUT", help="some outputs; all without")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Print the outputs. Exit 1 when a name picks nothing."""
    with ask.control(arguments) as client:
        rows = ask.pick(client.query("outputs"), "output", arguments.outputs, "output")
    if arguments.json:
        ask.print_json(rows)
        return ask.DONE
    words = site_words(arguments.state)
    print_table(
        [words(head) for head in ("output", "value", "line", "held by", "since", "reason")],
        [
            (
                row["output"],
                output_value(row["value"], words),
                _line(row["value"], row["driven"], words),
                slot(row),
                duration(age_s(row["since"])),
                row["reason"],
            )
            for row in rows
        ],
    )
    return ask.DONE


def slot(row: dict[str, object]) -> str:
    """`3 equipment_trip`; slot 0 is nobody, the safe value holds."""
    return f"{row['slot']} {row['slot_name']}" if row["slot"] else str(row["slot_name"])


def _line(value: object, driven: object, words: Words) -> Cell:
    """The level on the line; it must be what was decided."""
    if driven is None:
        return Cell(words("unknown"), "warn")
    return Cell(output_value(driven, words), "" if driven == value else "bad")
