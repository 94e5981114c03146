"""`gateway run`: what it refuses, what it starts, and that Ctrl-C at a terminal ends it cleanly."""

import argparse
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.app import run as running
from gateway.app.run import Run, main, put_aside, refuse_real_cloud, safe_state_command
from gateway.core.errors import AlreadyRunning, ConfigurationError
from gateway.local.lock import exclusive
from gateway.local.paths import StatePaths
from gateway.settings import snapshot
from gateway.settings.compiler import compile_files
from gateway.settings.model import Cloud, Configuration

KITCHEN = Path(__file__).parents[2] / "config" / "kitchen.yaml"


@pytest.fixture
def paths() -> Iterator[StatePaths]:
    folder = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
    found = StatePaths(folder)
    found.create()
    yield found
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def kitchen() -> Configuration:
    return compile_files(KITCHEN)


def arguments(paths: StatePaths, **changes: Any) -> argparse.Namespace:
    """What the command line makes of `gateway run --sim`."""
    typed: dict[str, Any] = {"file": None, "state": paths.state, "sim": True, "speed": 2.0, "people": False}
    typed["scenario"] = None
    return argparse.Namespace(**{**typed, **changes})


def commands(paths: StatePaths, kitchen: Configuration, **changes: Any) -> dict[str, Any]:
    """name → child, as Run would start them."""
    snapshot.write(paths.snapshot, kitchen)
    return {child.name: child for child in Run(arguments(paths, **changes), paths, kitchen, None)._children(kitchen)}


def test_a_simulated_run_starts_the_simulator_first_and_ours_in_isolation(
    paths: StatePaths, kitchen: Configuration
) -> None:
    """Simulator, control, recorder, field: each `python -I -m …`; control stops first, the simulator last."""
    children = commands(paths, kitchen)
    assert list(children) == ["simulator", "control", "recorder", "field"]
    assert sorted(children, key=lambda name: children[name].stop_rank) == ["control", "field", "recorder", "simulator"]
    root = str(paths.sim_root)
    assert children["control"].command[1:] == (
        "-I",
        "-m",
        "gateway",
        "control",
        "--state",
        str(paths.state),
        "--sim",
        root,
    )
    assert children["recorder"].command[-1] == "--sim"
    assert children["simulator"].command[-2:] == ("--speed", "2.0")
    assert children["control"].on_death == safe_state_command(paths, root)
    assert children["field"].on_death == ()


def test_a_real_run_has_no_simulator_and_no_field_without_devices(paths: StatePaths, kitchen: Configuration) -> None:
    """On real wires nothing says --sim; a configuration without field devices needs no field process."""
    wired = replace(kitchen, devices=tuple(each for each in kitchen.devices if each.process == "control"))
    children = commands(paths, wired, sim=False)
    assert list(children) == ["control", "recorder"]
    assert not any("--sim" in child.command for child in children.values())
    rescue = children["control"].on_death
    assert rescue[1:3] == ("-I", "-S"), "the safe-state program needs nothing, not even our packages"
    assert rescue[3:] == (str(KITCHEN.parents[1] / "libexec" / "safe-state"), str(paths.safe_state_list), "--standby")


def test_the_safe_state_program_may_lie_elsewhere(paths: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation names its libexec; under --sim the program runs on the simulated wires."""
    monkeypatch.setenv("KITCHEN_GATEWAY_LIBEXEC", "/usr/lib/kitchen-gateway")
    command = safe_state_command(paths, "/root/of/sim")
    assert "/usr/lib/kitchen-gateway/safe-state" in command
    assert command[3:5] == ("fake_hw.inject", "/root/of/sim")
    assert command[-3:] == ("--root", "/root/of/sim", "--standby")


def test_simulated_readings_never_meet_a_real_cloud(kitchen: Configuration) -> None:
    """--sim with credentials is refused unless the site allows it; without credentials it is fine."""
    cloud = Cloud("mqtts://cloud.example:8883", "acme", "g1")
    for held in (replace(cloud, certificate="c"), replace(cloud, key="k"), replace(cloud, password_file="p")):
        real = replace(kitchen, cloud=held)
        with pytest.raises(ConfigurationError, match=r"real credentials .*allow_sim_with_cloud: true"):
            refuse_real_cloud(real)
        refuse_real_cloud(replace(real, allow_sim_with_cloud=True))
    refuse_real_cloud(kitchen)
    refuse_real_cloud(replace(kitchen, cloud=None))


def test_a_run_with_real_credentials_is_refused_before_anything_starts(
    paths: StatePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gateway run --sim` with a password file ends with 1 and the cure; no simulator appears."""
    file = tmp_path / "kitchen.yaml"
    file.write_text(KITCHEN.read_text().replace("commands: true", "commands: true, username: u, password_file: secret"))
    assert main(arguments(paths, file=file)) == 1
    assert "allow_sim_with_cloud: true" in capsys.readouterr().err
    assert not paths.sim_root.exists()


def test_an_invalid_file_never_starts(paths: StatePaths, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its problems are shown with their lines, the exit code is 1, and no snapshot appears."""
    file = tmp_path / "kitchen.yaml"
    file.write_text(KITCHEN.read_text().replace("driver: sht4x", "driver: sht5x", 1))
    assert main(arguments(paths, file=file)) == 1
    told = capfd.readouterr().err
    assert "kitchen.yaml:" in told
    assert "sht4x" in told
    assert "nothing was started" in told
    assert not paths.snapshot.exists()
    assert not paths.sim_root.exists()


def test_without_any_configuration_it_says_what_to_do(paths: StatePaths, capsys: pytest.CaptureFixture[str]) -> None:
    """No FILE and nothing compiled: exit code 1 with the cure."""
    assert main(arguments(paths)) == 1
    assert "name the site's FILE" in capsys.readouterr().err


@pytest.mark.parametrize("process", ["run", "control", "field", "recorder"])
def test_a_second_gateway_on_the_same_state_is_refused(
    process: str, paths: StatePaths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the state directory is named; nothing is started beside it."""
    monkeypatch.setattr(running, "PREDECESSOR_S", 0.0)
    with exclusive(paths.state, process):
        assert main(arguments(paths, file=KITCHEN)) == 1
    assert f"gateway {process} already runs on {paths.state} (pid {os.getpid()})" in capsys.readouterr().err
    assert not paths.snapshot.exists()


def test_the_processes_of_a_killed_supervisor_are_waited_for(paths: StatePaths) -> None:
    """Children that are still making their outputs safe are given a moment."""
    holder = exclusive(paths.state, "control")
    asked = []

    def let_go(_: float) -> None:
        asked.append(1)
        holder.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.app.run.time.sleep", let_go)
        running._await_predecessors(paths)
    assert asked == [1]
    with exclusive(paths.state, "control"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "PREDECESSOR_S", 0.0)
        with pytest.raises(AlreadyRunning):
            running._await_predecessors(paths)


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    """The log is emptied in place, so that its writer goes on; what it held is kept once."""
    log = tmp_path / "control.log"
    with log.open("ab") as writer:
        writer.write(b"old\n")
        writer.flush()
        put_aside(log)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "control.log.1").read_bytes() == b"old\n"


def test_ctrl_c_at_a_terminal_ends_a_run_cleanly(paths: StatePaths) -> None:
    """The view shows the kitchen; Ctrl-C typed there ends all with 0, every line safe, the terminal restored."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 160, 0, 0))
    words = [sys.executable, "-m", "gateway", "run", str(KITCHEN), "--state", str(paths.state), "--sim"]
    line = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    supervisor = subprocess.Popen(
        [sys.executable, "-c", line, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        assert b"\x1b[?1049h" in _read_until(terminal, b"walkin_core")
        os.write(terminal, b"\x03")
        _read_until(terminal, b"\x1b[?1049l")
        assert supervisor.wait(15) == 0
    finally:
        os.close(terminal)  # hangs up, which ends a run as well
        supervisor.wait(15)
    levels = {row["line"]: row["level"] for row in map(json.loads, (paths.sim_root / "lines.jsonl").open())}
    safe = {"GPIO17": 0, "GPIO22": 0, "GPIO23": 0, "GPIO24": 0, "GPIO25": 0, "GPIO27": 0, "GPIO18": 0, "GPIO10": 1}
    assert {line: levels[line] for line in safe} == safe
    assert "control runs, pid" in (paths.log_dir / "run.log").read_text()
    assert (paths.log_dir / "control.log").stat().st_size > 0


def _read_until(terminal: int, mark: bytes, within_s: float = 20.0) -> bytes:
    """What the terminal shows, up to the mark."""
    os.set_blocking(terminal, False)
    seen, deadline = b"", time.monotonic() + within_s
    while mark not in seen:
        assert time.monotonic() < deadline, seen[-2000:]
        try:
            seen += os.read(terminal, 65536)
        except BlockingIOError:
            time.sleep(0.01)
    return seen
