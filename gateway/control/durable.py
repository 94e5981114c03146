"""What survives kill -9 and power cuts: the engine's state, kept by a side thread so that control waits for no disk."""

import contextlib
import json
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from gateway.core.clock import Clock
from gateway.core.command import Command

WITHIN_NS = 2_000_000_000
"""How long a command that must be saved first may wait for the disk."""
RETRY_S = 1.0
_GATHER_S = 0.002  # the output guard is driving now and needs the interpreter

Done = Callable[[str], None]
"""Told once how a save ended: "" when it is on the disk, otherwise what went wrong."""
_log = logging.getLogger(__name__)


class DamagedState(ValueError):
    """The state file is not what was written."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a state file holds. intents: commands that were promised and may not have been carried out."""

    state: dict[str, Any]
    intents: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class _Wait:
    """Somebody who waits for generation `number` to be on the disk."""

    number: int
    until_ns: int
    done: Done


class StateKeeper:
    """Writes the newest state to one file, atomically; what is overtaken while the disk is slow is never written.

    `offer`, `intend` and `fulfilled` may be called from any thread and never block; `done` runs in the keeper's or
    the overseer's thread. `check` is for the overseer: it ends waits that the disk has not served within 2 s.
    """

    def __init__(self, path: Path, clock: Clock, write: Callable[[Path, bytes], None] | None = None) -> None:
        self.path = path
        self._write = write or write_atomically
        self._clock = clock
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {}
        self._intents: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._written = 0
        self._waits: list[_Wait] = []
        self._problem = ""
        self._began_ns = 0  # when the write under way began, 0 when none is
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="state-keeper", daemon=True)

    def start(self, state: dict[str, Any]) -> None:
        """Begin with what the engine holds now."""
        self._state = state
        self._thread.start()

    def alive(self) -> bool:
        """Whether the thread exists (it may well be waiting for a disk)."""
        return self._thread.is_alive()

    @property
    def ok(self) -> bool:
        """Whether the last write succeeded and none is taking longer than 2 s."""
        began_ns = self._began_ns
        return not self._problem and (not began_ns or self._clock.now_ns() - began_ns < WITHIN_NS)

    def offer(self, state: dict[str, Any]) -> None:
        """The engine's newest state; older ones not yet written are dropped."""
        with self._lock:
            self._state = state
            self._number += 1
        self._wake.put(True)

    def intend(self, intent: object, command: Command, done: Done) -> None:
        """Put down that a command is about to be carried out; `done("")` once that is on the disk, or the fault.

        intent: names it for `fulfilled`, which must be called in either case.
        """
        with self._lock:
            self._intents[id(intent)] = asdict(command)
            self._await_next(done)

    def fulfilled(self, intent: object, done: Done) -> None:
        """The command was carried out or given up, and its state offered; `done` once that is on the disk."""
        with self._lock:
            self._intents.pop(id(intent), None)
            self._await_next(done)

    def _await_next(self, done: Done) -> None:
        """A new generation that somebody waits for. Under the lock."""
        self._number += 1
        self._waits.append(_Wait(self._number, self._clock.now_ns() + WITHIN_NS, done))
        self._wake.put(True)

    def check(self, now_ns: int) -> None:
        """Tell those who have waited too long that the disk does not take it."""
        with self._lock:
            late = [wait for wait in self._waits if now_ns >= wait.until_ns]
            self._waits = [wait for wait in self._waits if now_ns < wait.until_ns]
        for wait in late:
            limit_s = WITHIN_NS / 1e9
            wait.done(self._problem or f"{self.path} was not written within {limit_s:g} s: check the disk")

    def stop(self, timeout_s: float = 1.0) -> bool:
        """Write what is left; waits at most `timeout_s`. False when the disk did not take it."""
        self._wake.put(False)
        self._thread.join(timeout_s)
        return self._written == self._number

    def _run(self) -> None:
        going = True
        while going:
            try:
                going = self._wake.get(timeout=RETRY_S if self._problem else None)
                time.sleep(_GATHER_S)
            except Empty:
                going = True
            if self._written != self._number or self._problem:
                self._save()
            self._release()

    def _save(self) -> None:
        with self._lock:
            number = self._number
            document = {"state": self._state, "intents": list(self._intents.values())}
        self._began_ns = self._clock.now_ns()
        try:
            self._write(self.path, pack(document))
        except (OSError, ValueError) as error:
            self._failed(f"{self.path} can't be written: {error}")
        else:
            self._written = number
            if self._problem:
                _log.info("%s can be written again", self.path)
            self._problem = ""
        finally:
            self._began_ns = 0

    def _failed(self, problem: str) -> None:
        if not self._problem:
            _log.error("%s", problem)
        self._problem = problem
        with self._lock:
            failed, self._waits = self._waits, []
        for wait in failed:
            wait.done(problem)

    def _release(self) -> None:
        """Tell everybody whose generation is on the disk."""
        with self._lock:
            served = [wait for wait in self._waits if wait.number <= self._written]
            self._waits = [wait for wait in self._waits if wait.number > self._written]
        for wait in served:
            wait.done("")


def pack(document: dict[str, Any]) -> bytes:
    """The bytes of a state file: one line of JSON, one line with its CRC-32."""
    line = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    return line + b"crc32 %08x\n" % zlib.crc32(line)


def unpack(data: bytes) -> Saved:
    """What was saved. Raises DamagedState."""
    line, newline, seal = data.partition(b"\n")
    if seal != b"crc32 %08x\n" % zlib.crc32(line + newline):
        raise DamagedState("its checksum is wrong")
    try:
        document = json.loads(line)
        return Saved(document["state"], tuple(document["intents"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedState(f"it is not a saved state ({error})") from None


def load(path: Path) -> Saved | None:
    """The last saved state, None when there is none. A damaged file is kept aside and raises DamagedState."""
    try:
        return unpack(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedState(f"{path} can't be read: {error}") from None
    except DamagedState as error:
        aside = path.with_suffix(".damaged")
        with contextlib.suppress(OSError):
            os.replace(path, aside)
        raise DamagedState(f"{path} is damaged, {error}; kept as {aside.name}, starting from defaults") from None


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file so that after a power cut it is the old or the new one. Blocks for the disk. Raises OSError."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(fresh, path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
