"""`python -m fake_hw --root DIR`: the simulated kitchen as a process of its own."""

import argparse
import os
import signal
import sys

from fake_hw.simulator import Simulator


def main() -> int:
    """Play until told to stop (`stop`, SIGINT, SIGTERM). Exit code 1: the root is taken or cannot be written."""
    options = _parser().parse_args()
    try:
        simulator = Simulator(
            options.root,
            strict=options.strict_gpiod,
            speed=options.speed,
            seed=options.seed,
            people=options.people,
        )
    except (RuntimeError, OSError) as error:
        print(f"fake_hw: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: simulator.stop())
    if options.die_with_parent:
        parent = os.getppid()
        simulator.loop.every(0.5, lambda: None if os.getppid() == parent else simulator.stop())
    simulator.run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fake_hw", description="A whole kitchen on simulated wires.")
    parser.add_argument("--root", required=True, help="directory that plays the machine's / (created)")
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
