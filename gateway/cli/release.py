"""`gateway release`: give an output that was set by hand back to the gateway."""

import argparse

from gateway.cli.terminal import ask
from gateway.core.role import Role

HELP = "give an output back to the gateway"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("output", metavar="OUTPUT")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when control refuses."""
    return ask.command(arguments, Role.OPERATOR, "release", arguments.output)
