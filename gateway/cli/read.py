"""`gateway read`: what the gateway knows of every point, or of some."""

import argparse

from gateway.cli.terminal import ask
from gateway.cli.terminal.messages import site_words
from gateway.cli.terminal.table import Cell, print_table
from gateway.cli.terminal.words import age_s, duration, point_value

HELP = "show points with value, unit, quality and age"
TONES = {"Good": "good", "Uncertain": "warn", "Bad": "bad"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "points", nargs="*", metavar="POINT", help="device.channel, a device, or `gateway`; all without"
    )
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Print the points. Exit 1 when a name picks nothing."""
    with ask.control(arguments) as client:
        rows = ask.pick(client.query("points"), "point", arguments.points, "point")
    if arguments.json:
        ask.print_json(rows)
        return ask.DONE
    words = site_words(arguments.state)
    print_table(
        [words(head) for head in ("point", "value", "quality", "age", "detail")],
        [
            (
                row["point"],
                point_value(row, words),
                Cell(_quality(row, words(row["quality"])), TONES.get(row["quality"], "")),
                duration(age_s(row["time"])),
                Cell(row.get("detail", ""), "dim"),
            )
            for row in rows
        ],
    )
    return ask.DONE


def _quality(row: dict[str, str], quality: str) -> str:
    return quality if row["reason"] == "Good" else f"{quality} ({row['reason']})"
