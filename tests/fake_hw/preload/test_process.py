"""What a process is to the simulated machine: descriptors, children, threads, its death, what it sees around it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_hw.machine import Machine
from fake_hw.preload import build, environment
from tests.fake_hw.preload import programs
from tests.fake_hw.preload.conftest import REPOSITORY, Program
from tests.fake_hw.preload.test_wires import with_memory

Run = Callable[[str], Program]


def transitions(machine: Machine, line: int) -> list[tuple[int, str, int]]:
    """(level, why, pid) of each transition of a line."""
    rows = [row for row in machine.log.recent if row["line"] == f"GPIO{line}"]
    return [(row["level"], row["why"], row["pid"]) for row in rows]


@pytest.mark.parametrize(("strict", "level"), [(False, 1), (True, 0)])
def test_death_releases_lines_children_do_not(strict: bool, level: int, root: str, run: Run) -> None:
    """Children that close their copies leave the line alone; a SIGKILL of the holder releases it; the log says so."""
    machine = Machine(root, strict=strict)
    machine.bus("gpio", "/dev/gpiochip0")
    machine.start()
    holder = run("hold")
    assert holder.hear() == 1
    pid = holder.process.pid
    assert transitions(machine, programs.RELAY) == [(1, "claim", pid)]
    holder.process.send_signal(signal.SIGKILL)
    holder.process.wait(10)
    machine.do()
    machine.do()
    assert transitions(machine, programs.RELAY)[1:] == [(level, "release", pid)]
    machine.stop()


def test_a_reused_number_is_not_mistaken(machine: Machine, run: Run) -> None:
    """A descriptor closed by close_range() is no node any more, whatever gets its number."""
    machine.start()
    assert run("reuse").hear() == [256, True, "errno 25", 1]


def test_threads_share_a_descriptor_and_a_hang_stays_on_its_bus(machine: Machine, run: Run) -> None:
    """Answers are never mixed up between threads, and an adapter that hangs for its second delays no GPIO call."""
    with_memory(machine)
    program = run("threads")
    assert program.hear() == []
    machine.fault("memory", "hang")
    program.tell()
    assert program.hear() is True
    assert program.hear() == "errno 110"


def test_what_a_program_sees(machine: Machine, run: Run, root: str) -> None:
    """Nodes are character devices with numbers, absent ones absent; sysfs and serial links lead below the root."""
    for directory in ("dev/serial/by-id", "sys/bus/w1/devices/28-1", "sys/bus/iio/devices"):
        os.makedirs(f"{root}/{directory}")
    os.symlink("/dev/ptmx", f"{root}/dev/serial/by-id/probe")
    os.symlink("errno:110", f"{root}/sys/bus/iio/devices/broken")
    Path(root, "sys/bus/w1/devices/28-1/temperature").write_text("21062\n")
    machine.start()
    assert run("looks").hear() == {
        "chip": [True, 254, True],
        "adapter": [89, 1],
        "exists": [True, False, True, False],
        "absent": "errno 2",
        "serial": "/dev/ptmx",
        "iio": [["broken"], "errno 110"],
        "probe": "21062\n",
        "own": "/dev/null",
    }


def test_a_program_outlives_its_simulator(machine: Machine, run: Run) -> None:
    """When the simulated machine ends, requests and adapters that are open fail with ENODEV and nodes are gone."""
    machine.start()
    program = run("outlive")
    assert program.hear() == "ready"
    machine.stop()
    program.tell()
    assert program.hear() == ["errno 19", "errno 19", "errno 19", "errno 2"]


def test_a_deep_root_works(shim: Path, root: str) -> None:
    """A root whose sockets have paths longer than the kernel's 107 bytes works just the same."""
    deep = f"{root}/{'d' * 60}/{'e' * 60}"
    machine = Machine(deep)
    machine.bus("gpio", "/dev/gpiochip0")
    machine.start()
    program = Program("light_careless", environment(shim, deep), root)
    try:
        assert program.hear() == "ready"
    finally:
        program.end()
        machine.stop()


def test_without_a_root_nothing_is_replaced(shim: Path) -> None:
    """The shim without KG_SHIM_ROOT is the C library: this machine's own nodes, or none."""
    surroundings = {**os.environ, "LD_PRELOAD": str(shim)}
    code = "import os; print(os.path.exists('/dev/gpiochip0'), open('/proc/self/comm').read())"
    done = subprocess.run([sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(os.path.exists("/dev/gpiochip0")))
    assert done.stderr == ""


def test_any_program_runs_on_the_machine(machine: Machine, root: str) -> None:
    """`python -m fake_hw.preload ROOT PROGRAM` hands over to it, a shell and its children included."""
    machine.start()
    done = subprocess.run(
        [sys.executable, "-m", "fake_hw.preload", root, "sh", "-c", "test -c /dev/gpiochip0 && ls /dev/i2c-1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert done.stdout == "/dev/i2c-1\n"
    assert [each for each in os.listdir(root) if each.startswith("kg-shim-")]


def test_a_compiler_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler the message says what to install; the compiler's own words are passed on."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="install gcc"):
        build(tmp_path)
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'shim.c:1: a complaint' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(RuntimeError, match="a complaint"):
        build(tmp_path)
    assert not list(tmp_path.glob("*.so"))
