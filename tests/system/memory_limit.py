"""An honest death by lack of memory: the kernel's own out-of-memory killer, through a memory control group."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.system.kitchen import wait_for

TOO_LITTLE = 64 * 1024


@contextmanager
def starved(pid: int) -> Iterator[Path]:
    """From now on the process gets next to no new memory. Gives the file whose `oom_kill` line counts the kills.

    Version 2 of the kernel's interface or 1, whichever has the memory controller; where neither is mounted it is
    mounted for the time being. Wants root. Raises OSError when the process or the controller is not there.
    """
    with _controller() as (top, version):
        group = top / f"kitchen-gateway-{pid}"
        group.mkdir()
        try:
            (group / ("memory.max" if version == 2 else "memory.limit_in_bytes")).write_text(str(TOO_LITTLE))
            (group / "cgroup.procs").write_text(str(pid))
            yield group / ("memory.events" if version == 2 else "memory.oom_control")
        finally:
            wait_for("the group is empty: its process has been reaped", lambda: _removed(group))


def _removed(group: Path) -> bool:
    """Remove the group; a process that lived through it is let go. Raises OSError while a dead one is not reaped."""
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            (group.parent / "cgroup.procs").write_text(pid)
    group.rmdir()
    return True


def kills(events: Path) -> int:
    """How often the out-of-memory killer came."""
    rows = [row.split() for row in events.read_text().splitlines()]
    return next(int(row[1]) for row in rows if row[0] == "oom_kill")


@contextmanager
def _controller() -> Iterator[tuple[Path, int]]:
    """(the top of the memory controller's tree, the interface's version)."""
    for row in Path("/proc/mounts").read_text().splitlines():
        _what, place, kind, options, *_ = row.split()
        if kind == "cgroup" and "memory" in options.split(",") and os.access(place, os.W_OK):
            yield Path(place), 1
            return
        if kind == "cgroup2" and _has_memory(Path(place)):
            yield Path(place), 2
            return
    place = tempfile.mkdtemp(prefix="kg-memory-")
    subprocess.run(["mount", "-t", "cgroup2", "none", place], check=True)
    try:
        if not _has_memory(Path(place)):
            raise OSError("no memory controller here: neither version 1 mounted nor version 2 with `memory`")
        yield Path(place), 2
    finally:
        subprocess.run(["umount", "-l", place], check=False)
        os.rmdir(place)


def _has_memory(top: Path) -> bool:
    """Whether groups below `top` are limited in memory; asks the kernel for it."""
    if "memory" not in (top / "cgroup.controllers").read_text().split():
        return False
    try:
        (top / "cgroup.subtree_control").write_text("+memory")
    except OSError:  # read-only, or a container's own top that holds processes
        return False
    return True
