"""`python -m fake_hw.preload ROOT PROGRAM ARGS…`: run any program on the simulated machine, a shell for instance."""

import os
import sys
from pathlib import Path

from fake_hw.preload import build, environment


def main() -> None:
    """Become the program. The shim is kept in ROOT."""
    if len(sys.argv) < 3:
        sys.exit("usage: python -m fake_hw.preload ROOT PROGRAM [ARG …]")
    root, program = sys.argv[1:3]
    try:
        os.execvpe(program, sys.argv[2:], environment(build(Path(root)), root))  # noqa: S606  the person's own program, no shell needed
    except (OSError, RuntimeError) as error:
        sys.exit(f"fake_hw.preload: {program}: {error}")


main()
