"""`gateway outbox`: what is kept for the cloud; captured = delivered + pending + expired + dropped + rejected."""

import argparse

from gateway.cli.terminal import ask
from gateway.cli.terminal.messages import site_words
from gateway.cli.terminal.table import print_table

HELP = "show what is captured, delivered and pending per class"
COUNTS = ("captured", "delivered", "pending", "expired", "dropped", "rejected")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    ask.add_options(parser)


@ask.answering
def run(arguments: argparse.Namespace) -> int:
    """Print the accounts of the recorder."""
    with ask.recorder(arguments) as client:
        outbox = client.query("outbox")
    if arguments.json:
        ask.print_json(outbox)
        return ask.DONE
    words = site_words(arguments.state)
    rows = [(name, *(str(counts.get(key, "")) for key in COUNTS)) for name, counts in outbox["classes"].items()]
    print_table([words("class"), *COUNTS], rows)
    for part in ("uplink", "store"):
        facts = ", ".join(f"{key} {value}" for key, value in (outbox.get(part) or {}).items())
        print(f"{part}: {facts}")
    return ask.DONE
