"""The gateway as on a real machine, without --sim: the shim below its processes leads to the simulator's wires."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fake_hw.preload import build, environment
from tests.system.kitchen import REPOSITORY, Broker, Kitchen, wait_for


def without_dht22(text: str) -> str:
    """The site without its DHT22: the library that reads it looks for a Pi's own registers, where no shim reaches."""
    return re.sub(r"\n  dry_store_(wire|air):.*", "", text)


@contextmanager
def wired(
    *,
    strict: bool = False,
    broker: Broker | None = None,
    edit: Callable[[str], str] = str,
) -> Iterator[Kitchen]:
    """A kitchen that is not started, and its simulator, a process of its own, running.

    strict: see `--strict-gpiod`. edit: changes the site, which has no DHT22 here.
    """
    kitchen = Kitchen(broker, edit=lambda text: edit(without_dht22(text)), sim=False)
    root = kitchen.state / "sim"
    root.mkdir(parents=True)
    kitchen.environment = environment(build(Path(sys.prefix)), str(root))
    options = ("--strict-gpiod",) if strict else ()
    simulator = subprocess.Popen([sys.executable, "-m", "fake_hw", "--root", str(root), *options], cwd=REPOSITORY)
    try:
        wait_for("the simulator is ready", (root / "ready").exists)
        yield kitchen
    finally:
        kitchen.__exit__()
        simulator.wait(10)
