"""`gateway shelve`: silence an alarm for a limited time, with a reason."""

import argparse

from gateway.cli.terminal import ask, words
from gateway.core.role import Role

HELP = "silence an alarm for a limited time"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("alarm", metavar="ALARM")
    parser.add_argument("--for", dest="hold", required=True, metavar="TIME", help='e.g. "30 min"')
    parser.add_argument("--reason", required=True, metavar="TEXT", help="for the audit")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when control refuses."""
    for_s = words.seconds(arguments.hold)
    return ask.command(arguments, Role.OPERATOR, "shelve", arguments.alarm, for_s=for_s, reason=arguments.reason)
