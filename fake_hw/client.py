"""Speaking to the simulator, and reading what it has noted."""

import json
import os
import socket
from typing import Any

from fake_hw.node import connect

_LINE_MAX = 16 << 20


def command(root: str, text: str, timeout_s: float = 2.0) -> dict[str, Any]:
    """Send one command line; the answer has `ok` and `message`. Raises OSError when no simulator answers in time."""
    with connect(os.path.join(root, "sim.sock"), socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(json.dumps({"command": text}).encode() + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline(_LINE_MAX)
    if not line.endswith(b"\n"):
        raise ConnectionResetError(f"the simulator at {root} hung up without an answer to {text!r}")
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise ValueError(f"the simulator at {root} answered {line[:80]!r}, which is no object")
    return answer


def levels(root: str, timeout_s: float = 2.0) -> dict[str, int]:
    """The physical level of every wired line, by name."""
    found: dict[str, int] = command(root, "levels", timeout_s)["levels"]
    return found


def read_log(root: str) -> list[dict[str, Any]]:
    """Every transition so far, oldest first; also after the simulator has ended. A torn last line is left out."""
    with open(os.path.join(root, "lines.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]
