"""`gateway why`: the story of an output, an alarm, an interlock or a device, newest first, with what decided it."""

import argparse
from typing import Any

from gateway.cli.terminal import ask
from gateway.cli.terminal.story import merged, sentence
from gateway.cli.terminal.words import clock
from gateway.core.errors import Refused

HELP = "tell why an output, alarm or interlock is as it is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("target", metavar="TARGET", help="an output, alarm, interlock or device")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many events (20)")
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Print the events: recent ones from control, older ones from the recorder; of the two, one may be away."""
    try:
        recent, units = _recent(arguments)
    except ConnectionError:
        events, units = _older(arguments), {}
        if not events:
            raise
    else:
        events = merged(recent, _older(arguments) if len(recent) < arguments.limit else [])[: arguments.limit]
    if arguments.json:
        ask.print_json(events)
    elif not events:
        print(f"nothing has happened to {arguments.target} since the gateway started, and nothing older is kept")
    for event in [] if arguments.json else events:
        print(f"{clock(event['time'])}  {sentence(event, units)}")
    return ask.DONE


def _recent(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What control knows, and the units of its points. Raises ConnectionError, or Refused for an unknown target."""
    with ask.control(arguments) as client:
        recent: list[dict[str, Any]] = client.query("why", target=arguments.target)
        units = {row["point"]: row["unit"] for row in client.query("points")}
        if not recent and arguments.target not in {point.rpartition(".")[0] for point in units}:
            subjects = ("outputs", "output"), ("alarms", "alarm"), ("interlocks", "interlock")
            known = [{"name": row[key]} for what, key in subjects for row in client.query(what)]
            ask.pick(known, "name", [arguments.target], "output, alarm, interlock or device")
    return recent, units


def _older(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What the recorder kept; nothing when it does not run."""
    try:
        with ask.recorder(arguments) as client:
            events: list[dict[str, Any]] = client.query("why", target=arguments.target, limit=arguments.limit)
    except (ConnectionError, Refused):
        return []
    return events
