"""`gateway control`: the process that holds the pins and decides."""

import argparse
from pathlib import Path

HELP = "run the process that holds the pins"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--state", type=Path, default=Path(".state"), metavar="DIR", help="state directory (./.state)")
    parser.add_argument("--sim", metavar="ROOT", help="use the simulated wires below this directory")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM."""
    from gateway.app.control import main

    code: int = main(arguments)
    return code
