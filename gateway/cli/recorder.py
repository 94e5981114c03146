"""`gateway recorder`: the process that keeps and forwards."""

import argparse
from pathlib import Path

HELP = "run the process that keeps and forwards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--state", type=Path, default=Path(".state"), metavar="DIR", help="state directory (./.state)")
    parser.add_argument("--sim", action="store_true", help="this is a simulated run")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM."""
    from gateway.app.recorder import main

    code: int = main(arguments)
    return code
