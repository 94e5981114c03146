"""`gateway COMMAND …`: finds the command's module in gateway.cli and imports only that."""

import argparse
import os
import pkgutil
import sys
from importlib import import_module
from types import ModuleType

import gateway


def main(words: list[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 refused or failed, 2 wrong usage, 3 nobody answers."""
    words = sys.argv[1:] if words is None else words
    _die_with_supervisor()
    name = words[0] if words else ""
    if name in command_names():
        return _run(name, words[1:])
    return _no_command(words)


def command_names() -> list[str]:
    """Every command: the modules of gateway.cli (not its packages), without importing them."""
    package = import_module("gateway.cli")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg)


def load(name: str) -> ModuleType:
    """A command's module: HELP, add_arguments(parser), run(arguments) → exit code."""
    return import_module(f"gateway.cli.{name}")


def _run(name: str, words: list[str]) -> int:
    command = load(name)
    parser = argparse.ArgumentParser(prog=f"gateway {name}", description=command.__doc__)
    command.add_arguments(parser)
    arguments = parser.parse_args(words)
    try:
        code: int = command.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe, `head` for one, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _no_command(words: list[str]) -> int:
    """`--help`, `--version`, nothing, or a word that is no command."""
    parser = argparse.ArgumentParser(
        prog="gateway",
        description="The edge gateway for commercial kitchens.",
        epilog="gateway COMMAND --help tells more about each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gateway {gateway.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    if not words or words[0] in ("-h", "--help"):
        for name in command_names():
            commands.add_parser(name, help=load(name).HELP)
        parser.print_help()
        return 0 if words else 2
    if words[0].startswith("-"):
        parser.parse_args(words[:1])
    import difflib

    close = difflib.get_close_matches(words[0], command_names(), 1)
    hint = f"did you mean {close[0]}?" if close else "gateway --help lists them"
    print(f"gateway: there is no command {words[0]!r}: {hint}", file=sys.stderr)
    return 2


def _die_with_supervisor() -> None:
    """A process that `gateway run` has started stops with it, also when it is killed."""
    if "KITCHEN_GATEWAY_SUPERVISOR" in os.environ:
        from gateway.local.parent import stop_with_parent

        stop_with_parent(int(os.environ.pop("KITCHEN_GATEWAY_SUPERVISOR")))


if __name__ == "__main__":
    sys.exit(main())
