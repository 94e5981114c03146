"""A machine in this process, and programs with the shim preloaded that find it."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_hw.machine import Machine
from fake_hw.preload import build, environment

REPOSITORY = Path(__file__).resolve().parents[3]
PI_4B = bytes.fromhex("00c03115")  # revision code c03115


class Program:
    """A running program of `programs`, spoken to by lines."""

    def __init__(self, name: str, surroundings: dict[str, str], directory: str) -> None:
        self._heard = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fake_hw.preload.programs", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**surroundings, "LG_WD": directory},
            cwd=REPOSITORY,
            bufsize=0,
        )

    def hear(self, within_s: float = 20.0) -> Any:
        """The next thing it says."""
        assert self.process.stdout is not None
        while b"\n" not in self._heard:
            readable, _, _ = select.select([self.process.stdout], [], [], within_s)
            assert readable, "the program says nothing"
            got = self.process.stdout.read(65536)
            assert got, f"the program ended, exit code {self.process.wait(10)}"
            self._heard += got
        line, _, self._heard = self._heard.partition(b"\n")
        return json.loads(line)

    def tell(self) -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    def end(self) -> None:
        """Kill it, if it is still there."""
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="session")
def shim() -> Path:
    """The compiled shim, kept with the environment the tests run in."""
    return build(Path(sys.prefix))


@pytest.fixture
def root() -> Iterator[str]:
    """A short directory that plays the machine's /."""
    directory = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    os.makedirs(f"{directory}/proc/device-tree/system")
    Path(directory, "proc/device-tree/system/linux,revision").write_bytes(PI_4B)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def machine(root: str) -> Iterator[Machine]:
    """A machine with a GPIO chip and an I2C adapter; a test places parts and starts it."""
    machine = Machine(root)
    machine.bus("gpio", "/dev/gpiochip0")
    machine.bus("i2c", "/dev/i2c-1")
    yield machine
    machine.stop()


@pytest.fixture
def run(shim: Path, root: str) -> Iterator[Callable[[str], Program]]:
    """Starts a program of `programs` on the machine."""
    running: list[Program] = []

    def start(name: str) -> Program:
        running.append(Program(name, environment(shim, root), root))
        return running[-1]

    yield start
    for program in running:
        program.end()
