"""Asking control or the recorder on behalf of a person, with the exit codes that scripts rely on."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError, Refused
from gateway.core.role import Role
from gateway.local.client import Client, Connection
from gateway.local.paths import StatePaths

DONE, FAILED, USAGE, NOBODY = 0, 1, 2, 3
TIMEOUT_S = 5.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that asks."""
    parser.add_argument("--state", type=Path, default=Path(".state"), metavar="DIR", help="state directory (./.state)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def control(arguments: argparse.Namespace, role: Role = Role.VIEWER) -> Client:
    """A connection to control. Raises ConnectionError or Refused."""
    return Client(Connection(StatePaths(arguments.state).control_sock, "gateway", role, TIMEOUT_S))


def recorder(arguments: argparse.Namespace) -> Client:
    """A connection to the recorder, as a viewer. Raises ConnectionError or Refused."""
    return Client(Connection(StatePaths(arguments.state).recorder_sock, "gateway", Role.VIEWER, TIMEOUT_S))


def answering(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a command's `run`: an error becomes one line and its exit code."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            return work(arguments)
        except BrokenPipeError:  # of our own output; a process that hangs up is told as ConnectionError itself
            raise
        except ConnectionError as error:
            return _fail(arguments, NOBODY, f"{error}; start it with ./run, or name its directory with --state")
        except (GatewayError, OSError) as error:
            return _fail(arguments, FAILED, str(error))
        except ValueError as error:
            return _fail(arguments, USAGE, str(error))

    return run


def command(arguments: argparse.Namespace, role: Role, verb: str, target: str = "", **fields: Any) -> int:
    """Give control a command as the least role that may, and print what it says."""
    with control(arguments, role) as client:
        answer = client.command(verb, target, **fields)
    if arguments.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(answer["message"] or ("done" if answer["ok"] else "refused"), file=None if answer["ok"] else sys.stderr)
    return DONE if answer["ok"] else FAILED


def pick(rows: Sequence[dict[str, Any]], key: str, names: Sequence[str], what: str) -> list[dict[str, Any]]:
    """The rows with these names, all without names; a group like `walkin_air` or `gateway` picks all its points.

    Raises Refused for a name that picks nothing, with the closest one.
    """
    if not names:
        return list(rows)
    picked = []
    for name in names:
        found = [row for row in rows if row[key] == name or str(row[key]).startswith((f"{name}.", f"{name}/"))]
        if not found:
            raise Refused(_no_such(name, [str(row[key]) for row in rows], what))
        picked += found
    return picked


def print_json(value: object) -> None:
    """For scripts: one document, indented for people who look nevertheless."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _no_such(name: str, known: list[str], what: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"there is no {what} {name!r}: " + (f"did you mean {close[0]}?" if close else "the list without names it")


def _fail(arguments: argparse.Namespace, code: int, message: str) -> int:
    if getattr(arguments, "json", False):
        print(json.dumps({"ok": False, "message": message}, ensure_ascii=False))
    else:
        print(f"gateway: {message}", file=sys.stderr)
    return code
