"""`gateway history`: the kept readings of one point, newest last."""

import argparse

from gateway.cli.read import TONES
from gateway.cli.terminal import ask
from gateway.cli.terminal.messages import site_words
from gateway.cli.terminal.table import Cell, print_table
from gateway.cli.terminal.words import clock, point_value, seconds

HELP = "show the kept readings of one point"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("point", metavar="POINT", help="device.channel")
    parser.add_argument("--since", default="1 h", metavar="TIME", help='how far back, e.g. "10 min" (1 h)')
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="at most the newest N (100)")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Print the readings the recorder kept."""
    since_s = seconds(arguments.since)
    with ask.recorder(arguments) as client:
        rows = client.query("history", point=arguments.point, since_s=since_s, limit=arguments.limit)
    if arguments.json:
        ask.print_json(rows)
        return ask.DONE
    words = site_words(arguments.state)
    print_table(
        [words(head) for head in ("time", "value", "quality")],
        [
            (
                clock(row["time"]),
                point_value({**row, "unit": ""}, words),
                Cell(row["reason"], TONES.get(row["quality"], "")),
            )
            for row in rows
        ],
    )
    return ask.DONE
