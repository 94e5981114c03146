"""Keeps child processes running for a person at a terminal: starts, watches, restarts and stops them in order."""

import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

RESTART_FIRST_S = 0.1
RESTART_LAST_S = 5.0
PROVEN_S = 30.0
"""A child that has run this long has shown that it can: its back-off begins anew."""
STOP_WITHIN_S = 5.0
READY_WITHIN_S = 10.0
RESCUE_WITHIN_S = 3.5  # the safe-state program leaves a bus that hangs after 3 s
STANDBY_AGAIN_S = 2.0  # a waiting rescue that ends by itself is not started in a loop
WATCHDOG_S = 3.0
"""The output guard can't outlive a hang of its whole process, so control's watchdog is at most 3 s."""
_TICK_S = 1.0
_NOT_FOR_CHILDREN = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})  # from a service manager, to us

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running. Children are started in the order they are given and stopped in `stop_rank` order.

    on_death: a command that runs at once when the child ended in any way but with exit code 0; the child is started
    again after it. Its output goes to on_death_log, never to a reader that might be stopped. standby: the command waits
    for the end of its standard input: it is started beside the child, not when it counts. ready: the next child is
    started when this is true. log: where the child's output goes; None: to ours. watchdog: a socket path on which the
    child says that it is well, as it would to systemd; silence of WATCHDOG_S after it was ready means it hangs.
    """

    name: str
    command: tuple[str, ...]
    stop_rank: int = 0
    on_death: tuple[str, ...] = ()
    on_death_log: Path = Path("/dev/null")
    standby: bool = False
    ready: Callable[[], bool] = lambda: True
    log: Path | None = None
    watchdog: Path | None = None


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What a person sees of a child. pid is None while it is not running; since_s: time.monotonic()."""

    name: str
    pid: int | None
    restarts: int
    since_s: float


@dataclass(slots=True)
class _Kept:
    """A child and its present process."""

    child: Child
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    backoff_s: float = field(default_factory=lambda: RESTART_FIRST_S)
    due_s: float | None = None  # when to start it again
    rescue: subprocess.Popen[bytes] | None = None  # its `on_death` command, while that may still run
    rescue_until_s: float = 0.0
    standby: subprocess.Popen[bytes] | None = None  # its `on_death` command, waiting
    standby_due_s: float = 0.0
    heard: socket.socket | None = None  # where its watchdog messages arrive
    fed_s: float | None = None  # when it last said that it is well; None before it was ready
    status: ProcessStatus = field(default=ProcessStatus("", None, -1, 0.0))


class Supervisor:
    """Runs in the main thread: the kernel ties the children to the thread that starts them (gateway.local.parent).

    on_tick: called at least once a second. on_hangup: called after a SIGHUP. Neither may block: a death must be
    answered within milliseconds.
    """

    def __init__(
        self,
        children: Sequence[Child],
        environment: Mapping[str, str] = os.environ,
        on_tick: Callable[[], None] = lambda: None,
        on_hangup: Callable[[], None] = lambda: None,
    ) -> None:
        self._kept = {child.name: _Kept(child) for child in children}
        ours = {name: value for name, value in environment.items() if name not in _NOT_FOR_CHILDREN}
        self._environment = {**ours, "KITCHEN_GATEWAY_SUPERVISOR": str(os.getpid())}
        self._on_tick = on_tick
        self._on_hangup = on_hangup
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._stopping = False

    def status(self) -> list[ProcessStatus]:
        """Every child now. Any thread."""
        return [kept.status for kept in list(self._kept.values())]

    def pid(self, name: str) -> int | None:
        """The running process of a child. Any thread."""
        kept = self._kept.get(name)
        return kept.status.pid if kept else None

    def run(self) -> int:
        """Start the children and keep them until SIGINT or SIGTERM, then stop them in order. 0 after a clean stop."""
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)
        handlers = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ)
        try:
            for kept in self._kept.values():
                self._start(kept)
                self._await_ready(kept)
            self._stand_by()
            while not self._stopping:
                self._turn(reader)
            return self._stop_all()
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for end in (reader, writer):
                end.close()
            for kept in self._kept.values():
                _hang_up(kept)
            self._selector.close()

    def add(self, child: Child) -> None:
        """Keep one more child, unless it is kept already. Main thread."""
        if child.name not in self._kept:
            self._kept[child.name] = kept = _Kept(child)
            self._start(kept)

    def stop(self) -> None:
        """End `run` as SIGTERM does. Main thread."""
        self._stopping = True

    def _remember(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _turn(self, reader: socket.socket) -> None:
        self._on_tick()
        for key, _ in self._selector.select(self._rest_s()):
            if key.fileobj is reader:
                reader.recv(4096)
            elif key.fileobj is key.data.heard:
                _hear(key.data)
            else:
                self._died(key.data)
        while self._signals:
            self._act_on(self._signals.pop(0))
        self._stand_by()
        now_s = time.monotonic()
        for kept in list(self._kept.values()):
            _kill_if_silent(kept, now_s)
            if kept.due_s is not None and now_s >= kept.due_s and not self._rescuing(kept):
                self._start(kept)

    def _rest_s(self) -> float:
        if any(kept.rescue is not None and kept.due_s is not None for kept in self._kept.values()):
            return 0.01  # the rescue's end has no descriptor to wait for
        due = [kept.due_s for kept in self._kept.values() if kept.due_s is not None]
        return max(0.0, min([*due, time.monotonic() + _TICK_S]) - time.monotonic())

    def _act_on(self, number: int) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self._stopping = True
        else:
            self._on_hangup()

    def _await_ready(self, kept: _Kept) -> None:
        """Only while starting: nothing that could die badly runs yet."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not kept.child.ready() and not self._signals:
            if time.monotonic() > deadline or kept.process is None or kept.process.poll() is not None:
                _log.error("%s did not get ready within %g s: going on without it", kept.child.name, READY_WITHIN_S)
                return
            time.sleep(0.01)

    def _start(self, kept: _Kept) -> None:
        child = kept.child
        kept.due_s = kept.fed_s = None
        try:
            self._listen(kept)
            kept.process = self._spawn(child)
        except OSError as error:
            _log.error("%s can't be started: %s", child.name, error)
            self._again(kept)
            return
        kept.pidfd = os.pidfd_open(kept.process.pid)
        self._selector.register(kept.pidfd, selectors.EVENT_READ, kept)
        kept.status = ProcessStatus(child.name, kept.process.pid, kept.status.restarts + 1, time.monotonic())
        _log.info("%s runs, pid %d", child.name, kept.process.pid)

    def _listen(self, kept: _Kept) -> None:
        """A fresh socket per life: what a dead child said last must not feed its successor."""
        if kept.child.watchdog is None:
            return
        if kept.heard is not None:
            self._selector.unregister(kept.heard)
            _hang_up(kept)
        kept.child.watchdog.unlink(missing_ok=True)
        kept.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        kept.heard.bind(str(kept.child.watchdog))
        self._selector.register(kept.heard, selectors.EVENT_READ, kept)

    def _spawn(self, child: Child) -> subprocess.Popen[bytes]:
        environment = dict(self._environment)
        if child.watchdog is not None:
            environment |= {"NOTIFY_SOCKET": str(child.watchdog), "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))}
        if child.log is None:
            return self._popen(child.command, None, environment)
        with child.log.open("ab") as log:
            return self._popen(child.command, log, environment)

    def _popen(
        self,
        command: tuple[str, ...],
        output: BinaryIO | None,
        environment: Mapping[str, str],
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """A session of its own keeps the terminal's Ctrl-C from it: we decide in which order they stop."""
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )

    def _died(self, kept: _Kept) -> None:
        """The first thing is to make the kitchen safe; all else can wait."""
        assert kept.process is not None
        code = kept.process.wait()
        if code != 0:
            self._rescue(kept)
        self._forget(kept)
        ran_s = time.monotonic() - kept.status.since_s
        if ran_s >= PROVEN_S:
            kept.backoff_s = RESTART_FIRST_S
        _log.warning("%s ended (%s) after %.1f s: again in %.1f s", kept.child.name, _how(code), ran_s, kept.backoff_s)
        self._again(kept)

    def _rescue(self, kept: _Kept) -> None:
        if not kept.child.on_death:
            return
        kept.rescue_until_s = time.monotonic() + RESCUE_WITHIN_S
        if kept.standby is not None and kept.standby.stdin is not None and kept.standby.poll() is None:
            kept.standby.stdin.close()
            kept.rescue, kept.standby, kept.standby_due_s = kept.standby, None, 0.0
        else:
            kept.rescue = self._on_death(kept.child)

    def _on_death(self, child: Child, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes] | None:
        try:
            with child.on_death_log.open("ab") as log:
                return self._popen(child.on_death, log, self._environment, stdin)
        except OSError as error:
            _log.critical("%s can't be run for the death of %s: %s", child.on_death, child.name, error)
            return None

    def _stand_by(self) -> None:
        """One waiting rescue for each running child that wants one; replaced, not too often, when it ended."""
        now_s = time.monotonic()
        for kept in self._kept.values():
            wanted = kept.child.standby and kept.process is not None and now_s >= kept.standby_due_s
            if wanted and (kept.standby is None or kept.standby.poll() is not None):
                kept.standby = self._on_death(kept.child, subprocess.PIPE)
                kept.standby_due_s = now_s + STANDBY_AGAIN_S

    def _rescuing(self, kept: _Kept) -> bool:
        if kept.rescue is None:
            return False
        code = kept.rescue.poll()
        if code is None and time.monotonic() < kept.rescue_until_s:
            return True
        if code is None:  # control's own start drives its outputs safe as well: better that than nobody
            kept.rescue.kill()
            code = kept.rescue.wait()
        kept.rescue = None
        if code != 0:
            _log.error("making things safe after the death of %s ended with %s", kept.child.name, _how(code))
        return False

    def _again(self, kept: _Kept) -> None:
        kept.due_s = time.monotonic() + kept.backoff_s
        kept.backoff_s = min(kept.backoff_s * 2, RESTART_LAST_S)

    def _forget(self, kept: _Kept) -> None:
        self._selector.unregister(kept.pidfd)
        os.close(kept.pidfd)
        kept.process, kept.pidfd = None, -1
        kept.status = replace(kept.status, pid=None)

    def _stop_all(self) -> int:
        _log.info("stopping")
        for kept in sorted(self._kept.values(), key=lambda kept: kept.child.stop_rank):
            self._end(kept)
        return 0

    def _end(self, kept: _Kept) -> None:
        """SIGTERM, then SIGKILL; what died badly is made safe, and that is waited for."""
        kept.due_s = None
        if kept.process is not None:
            code = _terminated(kept.process)
            _log.info("%s ended (%s)", kept.child.name, _how(code))
            if code != 0:
                self._rescue(kept)
            self._forget(kept)
        if kept.standby is not None:
            kept.standby.kill()
            kept.standby.wait()
        if kept.rescue is not None:
            try:
                kept.rescue.wait(RESCUE_WITHIN_S)
            except subprocess.TimeoutExpired:
                kept.rescue.kill()


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _terminated(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        _log.error("pid %d did not stop within %g s: killed", process.pid, STOP_WITHIN_S)
        process.kill()
        return process.wait()


def _hear(kept: _Kept) -> None:
    assert kept.heard is not None
    try:
        message = kept.heard.recv(4096)
    except BlockingIOError:
        return
    if message.startswith((b"WATCHDOG=1", b"READY=1")):
        kept.fed_s = time.monotonic()


def _kill_if_silent(kept: _Kept, now_s: float) -> None:
    """A process that hangs can't make its outputs safe, nor can its own guard: end it, then its rescue does."""
    if kept.process is not None and kept.fed_s is not None and now_s - kept.fed_s > WATCHDOG_S:
        _log.critical("%s has not said for %g s that it is well: killed", kept.child.name, WATCHDOG_S)
        kept.fed_s = None
        kept.process.kill()


def _hang_up(kept: _Kept) -> None:
    if kept.heard is not None and kept.child.watchdog is not None:
        kept.heard.close()
        kept.heard = None
        kept.child.watchdog.unlink(missing_ok=True)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
