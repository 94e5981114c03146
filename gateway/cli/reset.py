"""`gateway reset`: release a latched interlock or alarm; works only when its cause is gone."""

import argparse

from gateway.cli.terminal import ask
from gateway.core.role import Role

HELP = "release a latched interlock or alarm whose cause is gone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("target", metavar="INTERLOCK|ALARM")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when control refuses."""
    return ask.command(arguments, Role.INSTALLER, "reset", arguments.target)
