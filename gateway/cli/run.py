"""`gateway run`: the whole gateway at a terminal, real or simulated; Ctrl-C stops it and leaves every output safe."""

import argparse
import sys
from pathlib import Path

HELP = "run the whole gateway here, with --sim on a simulated kitchen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="the site's file; else the last one compiled"
    )
    parser.add_argument("--state", type=Path, default=Path(".state"), metavar="DIR", help="state directory (./.state)")
    parser.add_argument("--sim", action="store_true", help="on simulated parts instead of real wires")
    parser.add_argument("--plain", action="store_true", help="log lines instead of the view")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="simulated physics X times as fast")
    parser.add_argument("--scenario", metavar="FILE", help="play this scenario on the simulated parts")
    parser.add_argument("--people", action="store_true", help="somebody opens the simulated doors now and then")


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM; exit 1 when it may not or can't start."""
    from gateway.app.run import main

    if arguments.plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return main(arguments)
    from gateway.cli.terminal.view import TerminalView

    return main(arguments, TerminalView(arguments.state))
