"""`gateway health`: how the gateway itself is: ring, loop, buses, peers."""

import argparse
import json

from gateway.cli.terminal import ask

HELP = "show how the gateway itself is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Print control's health and, when it answers, the recorder's accounts."""
    with ask.control(arguments) as client:
        health = {**client.hello, **client.query("health")}
    for noise in ("kind", "protocol", "role", "credentials"):
        health.pop(noise, None)
    if arguments.json:
        ask.print_json(health)
        return ask.DONE
    for name, value in health.items():
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        print(f"{name}:" if parts else f"{name}: {value}")
        for key, part in parts:
            print(f"  {key}: {part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)}")
    return ask.DONE
