"""`gateway check`: is a site's configuration good, and what is in it? With --compile the gateway will run it."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.settings.model import Configuration

HELP = "check a site's configuration file; compile it for the gateway"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the site's file, e.g. config/kitchen.yaml")
    parser.add_argument("--overlay", type=Path, metavar="FILE", help="the cloud's part; what the site says wins")
    parser.add_argument("--compile", action="store_true", help="when all is well, write the snapshot the gateway runs")
    parser.add_argument("--state", type=Path, default=Path(".state"), metavar="DIR", help="state directory (./.state)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print every problem (exit 1), or what the configuration holds (exit 0). Opens no hardware."""
    from gateway.core.errors import ConfigurationError
    from gateway.settings.compiler import compile_files

    try:
        configuration = compile_files(arguments.file, arguments.overlay)
    except ConfigurationError as error:
        return _refuse(error.problems, as_json=arguments.json)
    if arguments.compile:
        from gateway.local.paths import StatePaths
        from gateway.settings import snapshot

        target = StatePaths(arguments.state).snapshot
        try:
            snapshot.write(target, configuration)
        except OSError as error:
            problem = f"{target}: the snapshot can't be written ({error}); check the directory and the disk"
            return _refuse([problem], as_json=arguments.json)
    summary = summarised(configuration)
    if arguments.json:
        print(json.dumps({"ok": True, "problems": [], **summary}))
    else:
        print(f"{arguments.file}: good")
        print("\n".join(f"  {name:<11} {value}" for name, value in summary.items()))
    return 0


def summarised(configuration: "Configuration") -> dict[str, Any]:
    """How much of everything a configuration holds, and its hash."""
    rulebook = configuration.rulebook
    return {
        "site": configuration.site.id,
        "devices": len(configuration.devices),
        "points": len(rulebook.points),
        "outputs": len(configuration.outputs),
        "interlocks": len(rulebook.interlocks),
        "alarms": len(rulebook.alarms),
        "rules": len(rulebook.rules),
        "hash": configuration.hash,
    }


def _refuse(problems: list[str], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": False, "problems": problems}))
    else:
        print("\n".join(problems), file=sys.stderr)
        word = "problem" if len(problems) == 1 else "problems"
        print(f"{len(problems)} {word}: nothing was changed", file=sys.stderr)
    return 1
