"""`gateway unshelve`: let a shelved alarm speak again."""

import argparse

from gateway.cli.terminal import ask
from gateway.core.role import Role

HELP = "let a shelved alarm speak again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("alarm", metavar="ALARM")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when control refuses."""
    return ask.command(arguments, Role.OPERATOR, "unshelve", arguments.alarm)
