"""`gateway sim`: drive the simulated kitchen, e.g. `gateway sim gas_leak on` or `gateway sim unplug walkin_air`.

`gateway sim devices` lists what can be unplugged; docs/simulation.md has every command.
"""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from gateway.cli.terminal import ask
from gateway.core.role import Role
from gateway.local.paths import StatePaths

HELP = "drive the simulated kitchen, e.g. `gas_leak on`"
LOOKING = frozenset({"levels", "log", "status", "devices"})
"""What changes nothing is asked of the simulator itself: it still answers when control is dead."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("words", nargs="+", metavar="WORD", help="the simulator's command")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Exit 1 when the simulator does not know the command, or this is no simulated run."""
    line = " ".join(arguments.words)
    if arguments.words[0] not in LOOKING:
        return ask.command(arguments, Role.INSTALLER, "sim", line)
    from fake_hw.client import command

    root = StatePaths(arguments.state).sim_root
    try:
        answer = command(str(root), line, ask.TIMEOUT_S)
    except OSError as error:
        raise ConnectionError(f"no simulator answers at {root} ({error})") from error
    if arguments.json:
        ask.print_json(answer)
    else:
        print(answer.get("message", ""), file=None if answer.get("ok") else sys.stderr)
        for change in answer.get("log", ()):
            print(_line(change))
    return ask.DONE if answer.get("ok") else ask.FAILED


def _line(change: Mapping[str, Any]) -> str:
    """A transition: seconds since boot, the line, its new level, and who did it why."""
    time_s, line, level = change["t_ns"] / 1e9, change["line"], change["level"]
    return f"{time_s:14.6f} s  {line:<6}  {level}  {change['why']} (pid {change['pid']})"
