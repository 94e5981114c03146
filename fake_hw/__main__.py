"""`python -m fake_hw --root DIR`: the simulated kitchen as a process of its own."""

import argparse
import os
import signal
import sys

from fake_hw.commands import Commands
from fake_hw.machine import Machine


def main() -> int:
    """Play until told to stop (`stop`, SIGINT, SIGTERM). Exit code 1: root, site or scenario can't be had."""
    options = _parser().parse_args()
    try:
        machine, commands = _built(options)
        if options.scenario:
            commands.play(options.scenario, options.speed)
    except (RuntimeError, OSError, ValueError, LookupError) as error:
        print(f"fake_hw: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: machine.stop())
    if options.die_with_parent:
        parent = os.getppid()
        machine.loop.every(0.5, lambda: None if os.getppid() == parent else machine.stop())
    machine.run()
    return 0


def _built(options: argparse.Namespace) -> tuple[Machine, Commands]:
    """The parts of a site, or the kitchen. Imports only what is played."""
    if options.site:
        from fake_hw.bench import Bench

        bench = Bench(options.root, options.site, strict=options.strict_gpiod, seed=options.seed)
        for missing in bench.missing:
            print(f"fake_hw: {missing}", file=sys.stderr)
        return bench.machine, bench.commands
    from fake_hw.simulator import Simulator

    kitchen = Simulator(
        options.root, strict=options.strict_gpiod, speed=options.speed, seed=options.seed, people=options.people
    )
    return kitchen.machine, kitchen.commands


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fake_hw", description="A whole kitchen on simulated wires.")
    parser.add_argument("--root", required=True, help="directory that plays the machine's / (created)")
    parser.add_argument("--site", default="", metavar="SNAPSHOT", help="the parts of this compiled site, no kitchen")
    parser.add_argument("--scenario", default="", metavar="FILE", help="YAML of commands and their times")
    parser.add_argument("--strict-gpiod", action="store_true", help="released outputs fall back to their pull")
    parser.add_argument("--speed", type=float, default=1.0, help="physical seconds per second (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="of noise and people (default 1)")
    people = parser.add_mutually_exclusive_group()
    people.add_argument("--people", action="store_true", help="somebody opens doors now and then")
    people.add_argument("--quiet", dest="people", action="store_false", help="nobody does (default)")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the starting process ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
