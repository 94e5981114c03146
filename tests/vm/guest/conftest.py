"""The test machine's hardware: modules loaded, nodes waited for."""

import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 10.0


def load(*modules: str) -> None:
    """Load kernel modules; repeating does nothing."""
    subprocess.run(["modprobe", "-a", *modules], check=True)


def load_with(module: str, parameter: str) -> None:
    """Load one module with a parameter."""
    subprocess.run(["modprobe", module, parameter], check=True)


def wait_until(condition: Callable[[], object]) -> None:
    """Return when it has come true."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def i2c_adapters(name: str) -> list[str]:
    """The nodes of the adapters whose name begins so."""
    nodes = []
    for path in Path("/sys/bus/i2c/devices").glob("i2c-*/name"):
        with contextlib.suppress(OSError):  # it left while we looked
            if path.read_text().startswith(name):
                nodes.append(f"/dev/{path.parent.name}")
    return sorted(nodes)
