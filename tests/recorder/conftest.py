"""Short directories, ready-made files, and a disk that can really be full."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.record import Lane
from gateway.recorder.outbox import Outbox
from tests.recorder.fakes import is_root, new_file, short_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def outbox(directory: Path) -> Iterator[Outbox]:
    """An open telemetry file with a budget of 2 MiB."""
    new_file(directory, Lane.TELEMETRY)
    box = Outbox(directory, Lane.TELEMETRY, 2 << 20)
    box.open()
    yield box
    box.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 24 MiB, all of it usable by the test."""
    with short_directory() as path:
        if not is_root():
            yield path  # the test runs in a namespace of its own, see below
            return
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)], check=True)
        try:
            yield path
        finally:
            subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Only root may mount: anyone else runs such a test as root of a user namespace."""
    if "small_disk" not in pyfuncitem.fixturenames or is_root():
        return None
    inside = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
    ]
    root = pyfuncitem.config.rootpath
    done = subprocess.run([*inside, pyfuncitem.nodeid], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return True
