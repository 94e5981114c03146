"""`gateway bypass`: put an interlock out of effect for a limited time, where its configuration allows that."""

import argparse

from gateway.cli.terminal import ask, words
from gateway.core.role import Role

HELP = "put an interlock out of effect for a limited time"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("interlock", metavar="INTERLOCK")
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--for", dest="hold", metavar="TIME", help='e.g. "10 min"')
    when.add_argument("--end", dest="hold", action="store_const", const="0 s", help="end a bypass now")
    parser.add_argument("--reason", default="", metavar="TEXT", help="for the audit; mandatory with --for")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when control refuses."""
    for_s = words.seconds(arguments.hold)
    return ask.command(arguments, Role.INSTALLER, "bypass", arguments.interlock, for_s=for_s, reason=arguments.reason)
