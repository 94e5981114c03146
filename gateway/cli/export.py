"""`gateway export`: everything that is kept, as a SQLite or CSV file; works with the recorder running or not."""

import argparse
import sqlite3
import sys
import time
from pathlib import Path

from gateway.cli.terminal import ask
from gateway.cli.terminal.words import seconds
from gateway.local.paths import StatePaths

HELP = "write the kept readings and events to a new .db or .csv file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "target", type=Path, metavar="FILE", help="a new file: .db (readings, events) or .csv (readings)"
    )
    parser.add_argument("--since", default="", metavar="TIME", help='how far back, e.g. "7 d" (everything)')
    ask.add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file and say how much is in it."""
    from gateway.recorder.export import export

    try:
        since_ms = round((time.time() - seconds(arguments.since)) * 1000) if arguments.since else 0
        done = export(StatePaths(arguments.state).database_dir, arguments.target, since_ms)
    except (OSError, ValueError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return ask.FAILED
    if arguments.json:
        ask.print_json({"readings": done.readings, "events": done.events, "file": str(arguments.target)})
    else:
        print(f"{arguments.target}: {done.readings} readings, {done.events} events")
    return ask.DONE
