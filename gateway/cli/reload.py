"""`gateway reload`: compile the site's file again and swap it in; a bad file changes nothing."""

import argparse
from pathlib import Path

from gateway.cli.terminal import ask
from gateway.core.role import Role
from gateway.local.paths import StatePaths

HELP = "compile the configuration again and swap it in"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the site's file (the one `run` was given)")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Exit 1 with every problem when the file is bad; the old configuration then runs on."""
    paths = StatePaths(arguments.state)
    file = arguments.file or paths.read_source()
    if file is not None:
        from gateway.cli import check

        overlay = paths.overlay if paths.overlay.exists() else None
        compiling = argparse.Namespace(file=file, overlay=overlay, compile=True, state=arguments.state, json=False)
        if check.run(compiling) != 0:
            return ask.FAILED
    return ask.command(arguments, Role.INSTALLER, "reload")
