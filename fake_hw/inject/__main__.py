"""`python -m fake_hw.inject ROOT PROGRAM ARGS…`: run a Python program on the simulated machine.

PROGRAM is a file, or `-m MODULE`.
"""

import runpy
import sys

from fake_hw.inject import install


def main() -> None:
    """Install and hand over."""
    if len(sys.argv) < 3:
        sys.exit("usage: python -m fake_hw.inject ROOT PROGRAM|-m MODULE [ARG …]")
    root, program = sys.argv[1:3]
    install(root)
    if program == "-m":
        sys.argv = sys.argv[3:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = sys.argv[2:]
        runpy.run_path(program, run_name="__main__")


main()
