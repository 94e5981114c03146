"""Tier T1 keeps to the same cases."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fake_hw.preload import build, environment

HERE = Path(__file__).parent


def test_the_preload_shim_passes_every_case() -> None:
    """The simulator's chip behaves the same behind the C library's calls as behind Python's."""
    root = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    surroundings = environment(build(Path(sys.prefix)), root, {**os.environ, "KG_BOARD": "preload"})
    surroundings.pop("PYTEST_XDIST_WORKER", None)
    cases = sorted(str(path) for path in HERE.glob("test_gpio_*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *cases]
    done = subprocess.run(
        command, cwd=HERE.parents[1], env=surroundings, capture_output=True, text=True, timeout=50, check=False
    )
    shutil.rmtree(root, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
