"""`gateway alarms`: what needs somebody's attention now."""

import argparse

from gateway.cli.terminal import ask
from gateway.cli.terminal.messages import site_words
from gateway.cli.terminal.table import Cell, print_table
from gateway.cli.terminal.words import age_s, duration

HELP = "show alarms that are not normal (--all: every alarm)"
TONES = {"urgent": "bad", "high": "bad", "medium": "warn"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("alarms", nargs="*", metavar="ALARM", help="these alarms, whatever their state")
    parser.add_argument("--all", action="store_true", help="those that are normal, too")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Print the alarms. Exit 1 when a name picks nothing."""
    with ask.control(arguments) as client:
        rows = ask.pick(client.query("alarms"), "alarm", arguments.alarms, "alarm")
    if not (arguments.all or arguments.alarms):
        rows = [row for row in rows if row["state"] != "NORM"]
    if arguments.json:
        ask.print_json(rows)
        return ask.DONE
    words = site_words(arguments.state)
    if not rows:
        print(words("no alarms"))
        return ask.DONE
    print_table(
        [words(head) for head in ("alarm", "state", "priority", "since", "text")],
        [
            (
                row["alarm"],
                Cell(words(row["state"]), TONES.get(row["priority"], "") if row["active"] else ""),
                words(row["priority"]),
                duration(age_s(row["since"])),
                row["text"],
            )
            for row in rows
        ],
    )
    return ask.DONE
