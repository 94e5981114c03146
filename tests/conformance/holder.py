"""A program that claims one output through the production bus, says so, and holds it until it dies: ROOT CHIP LINE."""

import sys

from drivers.buses.digital import GpioChip


def main() -> None:
    """Hold the line at its active level until standard input ends."""
    root, device, line = sys.argv[1:]
    output = GpioChip(device, root).output(int(line), active_low=False, initial=True)
    print("held", output.level(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
