"""A whole gateway on the simulated kitchen, as a person would run it: real processes, a real broker, real signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from fake_hw import client as simulator
from gateway.local.client import Client, Connection

REPOSITORY = Path(__file__).resolve().parents[2]
KITCHEN = REPOSITORY / "config" / "kitchen.yaml"
T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], T | None], within_s: float = 15.0) -> T:
    """Poll `probe` until it returns something true; fail with `what` and the last answer or error otherwise."""
    deadline = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            answer = probe()
            if answer:
                return answer
            last = answer
        except (OSError, LookupError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {within_s} s; last seen: {last!r}")


def free_port() -> int:
    """A loopback TCP port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A real Mosquitto on loopback, and an independent durable subscriber that writes what it gets to a file."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._received = directory / "received.jsonl"
        self._received.touch()
        self._configuration = directory / "mosquitto.conf"
        self._configuration.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {directory}/\nautosave_interval 1\nuser root\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._subscriber: subprocess.Popen[bytes] | None = None
        self._output = self._received.open("ab")

    def start(self) -> None:
        """Start the broker and its subscriber; returns when the subscriber is subscribed."""
        self._process = subprocess.Popen(
            [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(self._configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for("the broker listens", self._listens)
        self._subscriber = subprocess.Popen(
            [
                *("mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-V", "5", "-q", "1"),
                *("-i", "independent", "-c", "-x", "3600", "-t", "kg/v1/#", "-t", "probe", "-F", "%j"),
            ],
            stdout=self._output,
        )
        mark = f"probe-{time.monotonic_ns()}"
        wait_for("the subscriber hears", lambda: self._hears(mark))

    def _listens(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
            return True

    def _hears(self, mark: str) -> bool:
        subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-t", "probe", "-m", mark], check=False
        )
        time.sleep(0.05)
        return mark.encode() in self._received.read_bytes()

    def stop(self) -> None:
        """End the broker; the subscriber goes on trying and keeps its session."""
        for process in (self._subscriber, self._process):
            if process is not None:
                process.terminate()
                process.wait(10)
        self._process = self._subscriber = None

    def messages(self, leaf: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """(topic, payload) of everything received so far whose topic contains `leaf`."""
        for line in self._received.read_bytes().splitlines():
            try:
                envelope = json.loads(line)
            except ValueError:
                continue  # the line being written now
            topic, payload = envelope["topic"], envelope["payload"]
            if topic != "probe" and leaf in topic:
                yield topic, json.loads(payload) if isinstance(payload, str) else payload

    def numbers(self, lane: str) -> dict[str, list[int]]:
        """run → every record number received in that lane, in order of arrival, resends included."""
        seen: dict[str, list[int]] = {}
        for _topic, payload in self.messages():
            if payload.get("lane") == lane:
                first = payload["n"]
                seen.setdefault(payload["run"], []).extend(range(first, first + len(payload["r"])))
        return seen


class Kitchen:
    """One running gateway with its own state directory. Use it as a context manager."""

    def __init__(
        self,
        broker: Broker | None = None,
        edit: Callable[[str], str] = str,
        state: Path | None = None,
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        sim: bool = True,
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
        self.state = state or self.home / "s"
        port = broker.port if broker else free_port()
        text = KITCHEN.read_text().replace("mqtt://127.0.0.1:1883", f"mqtt://127.0.0.1:{port}")
        self.file = self.home / "kitchen.yaml"
        self.file.write_text(edit(text))
        self.arguments = ("--sim", *arguments) if sim else arguments
        self.environment = {**os.environ, **(environment or {})}
        self.run: subprocess.Popen[bytes] | None = None
        self.log = self.home / "run.log"

    def start(self) -> Kitchen:
        """Start `gateway run --sim --plain` (without --sim: on this machine's wires); returns when control answers."""
        self.run = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway", "run", str(self.file)),
                *("--state", str(self.state), "--plain", *self.arguments),
            ],
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            env=self.environment,
        )
        wait_for("control answers", self.points, 20.0)
        return self

    def stop(self) -> int:
        """Ctrl-C, and the exit status of `gateway run`."""
        assert self.run is not None
        self.run.send_signal(signal.SIGINT)
        return self.run.wait(20)

    def __enter__(self) -> Kitchen:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.run is not None and self.run.poll() is None:
            self.run.send_signal(signal.SIGCONT)
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.run.kill()
        for name in ("control", "field", "recorder", "simulator"):
            for pid in self.pids(name):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)

    # what is there

    def pids(self, process: str) -> list[int]:
        """The processes of this kitchen that run `control`, `field`, `recorder` or `simulator`."""
        mark = b"fake_hw" if process == "simulator" else process.encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if mark in words and any(word.startswith(str(self.state).encode()) for word in words):
                    found.append(int(entry.name))
        return found

    def pid(self, process: str) -> int:
        """The one process of that name, once it is there."""
        return wait_for(f"one {process} process", lambda: self.pids(process))[0]

    def ask(self, socket_name: str = "control", role: str = "installer") -> Client:
        """A client of one of the two sockets."""
        return Client(Connection(self.state / f"{socket_name}.sock", "test", role))

    def query(self, what: str, socket_name: str = "control", **arguments: Any) -> Any:
        """One question, one answer, a connection of its own."""
        client = self.ask(socket_name, "viewer")
        try:
            return client.query(what, **arguments)
        finally:
            client.close()

    def command(self, verb: str, target: str, role: str = "installer", **fields: Any) -> dict[str, Any]:
        """One command and its response."""
        client = self.ask(role=role)
        try:
            return client.command(verb, target, **fields)
        finally:
            client.close()

    def points(self) -> dict[str, dict[str, Any]]:
        """point → its row."""
        return {row["point"]: row for row in self.query("points")}

    def point(self, name: str) -> dict[str, Any]:
        """One point's row."""
        return self.points()[name]

    def output(self, name: str) -> dict[str, Any]:
        """One output's row."""
        return next(row for row in self.query("outputs") if row["output"] == name)

    def alarm(self, name: str) -> dict[str, Any]:
        """One alarm's row."""
        return next(row for row in self.query("alarms") if row["alarm"] == name)

    def interlock(self, name: str) -> dict[str, Any]:
        """One interlock's row."""
        return next(row for row in self.query("interlocks") if row["interlock"] == name)

    def accounts(self) -> dict[str, dict[str, int]]:
        """class → its account in the recorder."""
        classes: dict[str, dict[str, int]] = self.query("outbox", "recorder")["classes"]
        return classes

    def fresh(self, point: str, since: str, quality: str = "Good") -> bool:
        """Whether the point has a newer reading than `since`, of that quality."""
        row = self.point(point)
        return bool(row["time"] > since and row["quality"] == quality)

    def successor(self, process: str, of: int) -> list[int]:
        """The processes of that name that are not `of`."""
        return [pid for pid in self.pids(process) if pid != of]

    # what is done to it

    def sim(self, words: str) -> dict[str, Any]:
        """A command to the simulator itself."""
        return simulator.command(str(self.state / "sim"), words)

    def lines(self) -> list[dict[str, Any]]:
        """Every level change so far, from the simulator's log."""
        rows = (self.state / "sim" / "lines.jsonl").read_text().splitlines()
        return [json.loads(row) for row in rows if row.endswith("}")]

    def gateway(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command line of this kitchen, as a person types it."""
        return subprocess.run(
            [sys.executable, "-m", "gateway", *words, "--state", str(self.state)],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            cwd=REPOSITORY,
        )
