"""`gateway history`: the kept readings of one point, newest last."""

import argparse
from datetime import UTC, datetime
from typing import Any

from gateway.cli.terminal import ask
from gateway.cli.terminal.messages import site_words
from gateway.cli.terminal.table import Cell, print_table
from gateway.cli.terminal.words import clock, seconds, shown

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
        [(clock(_time(row)), shown(row["value"], "", words), _quality(row)) for row in rows],
    )
    return ask.DONE


def _time(row: dict[str, Any]) -> str:
    return str(row["time"]) if "time" in row else datetime.fromtimestamp(row["ts"] / 1000, UTC).isoformat()


def _quality(row: dict[str, Any]) -> Cell:
    reason = str(row.get("reason", "Good"))
    return Cell(reason, "bad" if reason.startswith("Bad") else "warn" if reason.startswith("Uncertain") else "")
