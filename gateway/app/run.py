"""Builds and runs `gateway run`: the whole gateway for a person at a terminal."""

import argparse
import logging
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import gateway
from gateway.app.supervisor import Child, ProcessStatus, Supervisor
from gateway.core.errors import AlreadyRunning, ConfigurationError
from gateway.local import lock, logs
from gateway.local.paths import StatePaths
from gateway.settings import snapshot
from gateway.settings.model import Configuration

LOG_LIMIT = 5 * 1024 * 1024
"""A log of the terminal view is put aside when it is longer, bytes."""
PREDECESSOR_S = 5.0
"""How long the processes of a supervisor that was just killed may take to stop."""

DEMO_SITE = "demo-kitchen"
"""The site id of config/kitchen.yaml, whose parts have a whole kitchen around them in the simulator."""
_PYTHON = (sys.executable, "-I", "-m")
_log = logging.getLogger(__name__)


class View(Protocol):
    """Shows the running gateway; lives in a thread of its own."""

    def start(self, processes: Callable[[], list[ProcessStatus]]) -> None:
        """Take over the terminal."""
        ...

    def stop(self) -> None:
        """Give the terminal back."""
        ...


def main(arguments: argparse.Namespace, view: View | None = None) -> int:
    """Run until SIGINT or SIGTERM. arguments: file (or None), state, sim, speed, people, scenario.

    Returns 0 after a clean stop, 1 when it may not or can't start; the reason is on stderr.
    """
    paths = StatePaths(arguments.state)
    try:
        with lock.exclusive(paths.state, "run"):
            _await_predecessors(paths)
            _compile(arguments.file, paths)
            configuration = snapshot.read(paths.snapshot)
            if arguments.sim:
                refuse_real_cloud(configuration)
            return Run(arguments, paths, configuration, view).run()
    except (AlreadyRunning, ConfigurationError, OSError) as error:
        print(f"gateway run: {error}", file=sys.stderr)
        return 1


def refuse_real_cloud(configuration: Configuration) -> None:
    """Simulated readings must not reach a real cloud. Raises ConfigurationError unless the site says they may."""
    cloud = configuration.cloud
    if cloud is None or configuration.allow_sim_with_cloud:
        return
    held = [name for name in ("certificate", "key", "password_file") if getattr(cloud, name)]
    if held:
        problem = f"--sim would send simulated readings to {cloud.url} with real credentials ({', '.join(held)})"
        raise ConfigurationError([f"{problem}: take them out, or say allow_sim_with_cloud: true"])


class Run:
    """One run: which children, what happens once a second and on SIGHUP."""

    def __init__(
        self, arguments: argparse.Namespace, paths: StatePaths, configuration: Configuration, view: View | None
    ) -> None:
        self._file: Path | None = arguments.file
        self._paths = paths
        self._root = str(paths.sim_root.absolute()) if arguments.sim else None
        self._simulator_options = ("--speed", str(arguments.speed), *(("--people",) if arguments.people else ()))
        if arguments.scenario:
            self._simulator_options += ("--scenario", os.path.abspath(arguments.scenario))
        self._view = view
        self._compiling: subprocess.Popen[bytes] | None = None
        self._snapshot_ns = paths.snapshot.stat().st_mtime_ns
        self._terminal = next((number for number in (0, 1, 2) if os.isatty(number)), None)
        paths.log_dir.mkdir(exist_ok=True)
        self._supervisor = Supervisor(self._children(configuration), on_tick=self._tick, on_hangup=self._hangup)

    def run(self) -> int:
        """Until told to stop."""
        if self._view is None:
            journal = logs.configure("run")
            code = self._supervisor.run()
        else:
            with (self._paths.log_dir / "run.log").open("ab") as log:
                journal = logs.configure("run", log.fileno())
                self._view.start(self._supervisor.status)
                try:
                    code = self._supervisor.run()
                finally:
                    self._view.stop()
                    journal.stop()
        journal.stop()
        return code

    def _children(self, configuration: Configuration) -> list[Child]:
        children = [self._control()]
        if self._root is not None and not _simulator_runs(self._root):
            children.insert(0, self._simulator(self._root, configuration))
        children.append(self._process("recorder", 2, *(("--sim",) if self._root else ())))
        if _has_field(configuration):
            children.append(self._field())
        return children

    def _control(self) -> Child:
        simulated = ("--sim", self._root) if self._root else ()
        rescue = safe_state_command(self._paths, self._root)
        child = self._process("control", 0, *simulated, on_death=rescue)
        return replace(child, watchdog=self._paths.state.absolute() / "run.sock")

    def _field(self) -> Child:
        return self._process("field", 1, *(("--sim", self._root) if self._root else ()))

    def _process(self, name: str, stop_rank: int, *options: str, on_death: tuple[str, ...] = ()) -> Child:
        """The recorder stops last of ours, so that it stores the final events."""
        command = (*_PYTHON, "gateway", name, "--state", str(self._paths.state.absolute()), *options)
        log = self._paths.log_dir / "safe-state.log"
        return Child(name, command, stop_rank, on_death, log, standby=bool(on_death), log=self._log_of(name))

    def _simulator(self, root: str, configuration: Configuration) -> Child:
        """The kitchen, or the parts of any other site. It stops last: its log shows how the gateway left the lines."""
        ready = Path(root, "ready")
        ready.unlink(missing_ok=True)
        site = () if configuration.site.id == DEMO_SITE else ("--site", str(self._paths.snapshot.absolute()))
        command = (*_PYTHON, "fake_hw", "--root", root, *site, *self._simulator_options)
        return Child("simulator", command, 3, ready=ready.exists, log=self._log_of("simulator"))

    def _log_of(self, name: str) -> Path | None:
        return None if self._view is None else self._paths.log_dir / f"{name}.log"

    def _tick(self) -> None:
        if self._compiling is not None and (code := self._compiling.poll()) is not None:
            self._compiling = None
            self._compiled(code)
        changed_ns = _changed_ns(self._paths.snapshot)
        if changed_ns and changed_ns != self._snapshot_ns:
            self._snapshot_ns = changed_ns
            self._follow()
        if self._view is not None:
            self._rotate()

    def _hangup(self) -> None:
        """SIGHUP: the terminal has gone, which ends a run, or somebody asks for a reload."""
        if self._terminal is not None and _is_gone(self._terminal):
            self._supervisor.stop()
        elif self._file is None:
            self._compiled(0)
        elif self._compiling is None:
            self._compiling = subprocess.Popen(_compile_command(self._file, self._paths), stdout=subprocess.DEVNULL)

    def _compiled(self, code: int) -> None:
        pid = self._supervisor.pid("control")
        if code != 0:
            _log.error("%s is not good, the old configuration runs on", self._file)
        elif pid is not None:
            os.kill(pid, signal.SIGHUP)

    def _follow(self) -> None:
        """Another configuration may need the field process; one that runs without devices does no harm."""
        try:
            configuration = snapshot.read(self._paths.snapshot)
        except (ConfigurationError, OSError) as error:
            _log.error("%s", error)
            return
        if _has_field(configuration):
            self._supervisor.add(self._field())

    def _rotate(self) -> None:
        for log in self._paths.log_dir.glob("*.log"):
            if log.stat().st_size > LOG_LIMIT:
                threading.Thread(target=put_aside, args=(log,), name="rotate", daemon=True).start()


def put_aside(log: Path) -> None:
    """Keep a copy of a log as `….log.1` and empty it; its writers append, so they just go on."""
    import shutil

    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)


def safe_state_command(paths: StatePaths, root: str | None) -> tuple[str, ...]:
    """Drives every line safe without us. libexec lies beside the package, or where $KITCHEN_GATEWAY_LIBEXEC says."""
    beside = Path(gateway.__file__).parent.parent / "libexec"
    program = str(Path(os.environ.get("KITCHEN_GATEWAY_LIBEXEC", beside), "safe-state"))
    lines = str(paths.safe_state_list.absolute())
    if root is None:
        return (sys.executable, "-I", "-S", program, lines, "--standby")
    return (*_PYTHON, "fake_hw.inject", root, program, lines, "--root", root, "--standby")


def _await_predecessors(paths: StatePaths) -> None:
    """Raises AlreadyRunning when a process of this gateway runs under somebody else."""
    deadline = time.monotonic() + PREDECESSOR_S
    for name in ("control", "field", "recorder"):
        while True:
            try:
                lock.exclusive(paths.state, name).close()
                break
            except AlreadyRunning:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _compile(file: Path | None, paths: StatePaths) -> None:
    """Make the snapshot, in a process of its own: YAML never stays in memory here. Raises ConfigurationError."""
    if file is None:
        if not paths.snapshot.exists():
            raise ConfigurationError([f"{paths.state} holds no configuration yet: name the site's FILE"])
        return
    done = subprocess.run(_compile_command(file, paths), stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise ConfigurationError([f"{file} is not good: nothing was started"])
    paths.source.write_text(f"{file.absolute()}\n", encoding="utf-8")


def _compile_command(file: Path, paths: StatePaths) -> list[str]:
    overlay = ["--overlay", str(paths.overlay)] if paths.overlay.exists() else []
    return [*_PYTHON, "gateway", "check", str(file), "--compile", "--state", str(paths.state), *overlay]


def _simulator_runs(root: str) -> bool:
    from fake_hw.client import command

    try:
        return bool(command(root, "status").get("ok"))
    except (OSError, ValueError):
        return False


def _has_field(configuration: Configuration) -> bool:
    return any(device.process == "field" for device in configuration.devices)


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _is_gone(terminal: int) -> bool:
    try:
        termios.tcgetattr(terminal)
    except termios.error:
        return True
    return False
