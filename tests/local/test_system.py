"""Clock, lock, paths and sd_notify: what every process needs of the operating system."""

import errno
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.core.errors import AlreadyRunning
from gateway.local.clock import SystemClock
from gateway.local.lock import exclusive
from gateway.local.notify import Notifier
from gateway.local.paths import StatePaths


def test_the_clock_is_boottime_and_labels_wall_time() -> None:
    """`now_ns` is CLOCK_BOOTTIME; the wall clock is in ms; the boot id is 32 hex digits."""
    clock = SystemClock()
    assert abs(clock.now_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < 1_000_000_000
    assert abs(clock.wall().ms - time.time() * 1000) < 1000
    assert re.fullmatch("[0-9a-f]{32}", clock.boot_id)


def test_trust_is_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """`trusted` agrees with adjtimex as the kernel reports it to another program, and is asked once per 10 s."""
    answer = subprocess.run(
        [sys.executable, "-c", "import ctypes; print(ctypes.CDLL(None).ntp_adjtime(ctypes.create_string_buffer(512)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    clock = SystemClock()
    assert clock.wall().trusted is (int(answer.stdout) not in (-1, 5))
    monkeypatch.setattr("gateway.local.clock._synchronised", lambda: pytest.fail("asked again too soon"))
    clock.wall()


def test_an_unwilling_kernel_means_no_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where adjtimex does not exist or is forbidden the clock is not trusted, and nothing else fails."""
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert SystemClock().wall().trusted is False


def test_paths_are_below_the_state_directory_and_made_on_demand(folder: Path) -> None:
    """Looking at a path creates nothing; `create` makes the directories, also twice."""
    paths = StatePaths(folder / "state")
    assert not paths.snapshot.parent.exists()
    paths.create()
    paths.create()
    for path in (paths.snapshot, paths.control_state, paths.safe_state_list, paths.control_sock):
        assert path.parent.is_dir()
    assert paths.database_dir.is_dir()


def test_a_second_process_is_refused_by_name_and_pid(folder: Path) -> None:
    """The lock names the process that holds it, and is free again when that process is gone, however it ends."""
    program = (
        "import sys, pathlib; from gateway.local.lock import exclusive\n"
        "lock = exclusive(pathlib.Path(sys.argv[1]), 'control'); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(AlreadyRunning, match=rf"control already runs on {folder} \(pid {holder.pid}\)"):
        exclusive(folder, "control")
    exclusive(folder, "recorder").close()
    holder.kill()
    holder.communicate()
    with exclusive(folder, "control"):
        assert StatePaths(folder).lock("control").read_text() == f"{os.getpid()}\n"
    exclusive(folder, "control").close()


def test_a_lock_is_not_followed_through_a_link(folder: Path) -> None:
    """A link planted in the state directory does not make us truncate what it points to."""
    (folder / "precious").write_text("data")
    (folder / "control.lock").symlink_to(folder / "precious")
    with pytest.raises(OSError, match="symbolic"):
        exclusive(folder, "control")
    assert (folder / "precious").read_text() == "data"


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(abstract: bool, folder: Path) -> None:
    """Each message arrives as sd_notify(3) writes it, on a path and on an abstract address."""
    address = f"@kg-notify-{os.getpid()}" if abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(5)
        systemd.bind("\0" + address[1:] if abstract else address)
        notifier = Notifier({"NOTIFY_SOCKET": address})
        notifier.ready()
        notifier.watchdog()
        notifier.status("two\nlines")
        notifier.reloading()
        notifier.stopping()
        heard = [systemd.recv(200).decode() for _ in range(5)]
        notifier.close()
    assert heard[:3] == ["READY=1", "WATCHDOG=1", "STATUS=two lines"]
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", heard[3])
    assert heard[4] == "STOPPING=1"


def test_a_systemd_that_does_not_drain_never_holds_us(folder: Path) -> None:
    """A full socket, a missing one and none at all cost nothing: messages are dropped and counted."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(folder / "notify")})
        for _ in range(5000):
            notifier.watchdog()
        assert notifier.dropped > 0
    notifier.watchdog()
    Notifier({}).ready()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_interval_is_ours_only(environment: dict[str, str], expected: float) -> None:
    """The interval counts when it is meant for this process."""
    assert Notifier(environment).watchdog_s == expected


def test_a_full_disk_is_no_reason_not_to_hold_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the pid for the message to a second process is missing then."""

    def full(*_rest: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with exclusive(tmp_path, "control"), pytest.raises(AlreadyRunning, match="unknown"):
        exclusive(tmp_path, "control")
