"""`gateway set`: take an output into your own hands for a limited time (slot 8; interlocks still overrule you)."""

import argparse
import math

from gateway.cli.terminal import ask, words
from gateway.core.role import Role

HELP = "switch an output by hand for a limited time"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("output", metavar="OUTPUT")
    parser.add_argument("value", metavar="on|off|LEVEL", type=_value, help="LEVEL: 0 to 100 %% of an analog output")
    parser.add_argument("--for", dest="hold", required=True, metavar="TIME", help='e.g. "10 min", at most 24 h')
    parser.add_argument("--reason", default="", metavar="TEXT", help="for the audit")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when control accepted it, also when something stronger holds the output (the message says so)."""
    for_s = words.seconds(arguments.hold)
    return ask.command(
        arguments, Role.OPERATOR, "set", arguments.output, value=arguments.value, for_s=for_s, reason=arguments.reason
    )


def _value(text: str) -> bool | float:
    if text in ("on", "off"):
        return text == "on"
    try:
        level = float(text.removesuffix("%"))
    except ValueError:
        level = math.nan
    if not math.isfinite(level):
        raise argparse.ArgumentTypeError(f"{text!r} is not on, off or a level such as 40%")
    return level
