"""A real Mosquitto on a free loopback port, an independent subscriber, and a source that lives in memory."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gateway.core.record import Lane, Outcome, RecordClass, Stored
from gateway.core.spans import Spans
from gateway.settings.model import Cloud
from tests.recorder.fakes import eventually

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin")
ROOT = "kg/v1/demo/demo-site/kitchen-01"


class Heard(NamedTuple):
    """One message as the subscriber saw it."""

    topic: str
    retain: bool
    payload: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.payload)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """Can be stopped and started again on the same port."""

    def __init__(self, directory: Path, *lines: str, acl: str = "", port: int = 0) -> None:
        assert MOSQUITTO, "the tests need Mosquitto: ./test installs it (apt install mosquitto mosquitto-clients)"
        self.port = port or free_port()
        self._config = directory / "mosquitto.conf"
        settings = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true"]
        settings += [
            "persistence false",
            "max_queued_messages 100000",
            "log_dest file " + str(directory / "mosquitto.log"),
        ]
        if acl:
            (directory / "acl").write_text(acl)
            (directory / "acl").chmod(0o644)
            settings.append(f"acl_file {directory / 'acl'}")
        self._config.write_text("\n".join([*settings, *lines, ""]))
        directory.chmod(0o777)  # mosquitto gives up root
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Mosquitto":
        assert MOSQUITTO
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        eventually(self._answers)
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def cloud(self, **changes: Any) -> Cloud:
        return Cloud(**{"url": f"mqtt://127.0.0.1:{self.port}", "tenant": "demo", "gateway": "kitchen-01"} | changes)


class Subscriber:
    """mosquitto_sub as a process of its own; not written by us. With a name, the broker queues for it while away."""

    def __init__(self, port: int, topic: str = "kg/#", name: str = "") -> None:
        session = ["-i", name, "-c", "-x", "3600"] if name else []
        command = [
            "stdbuf",
            "-oL",
            "mosquitto_sub",
            "-V",
            "5",
            "-p",
            str(port),
            "-q",
            "1",
            "-F",
            "%t\t%r\t%p",
            "-t",
            topic,
            *session,
        ]
        self._process = subprocess.Popen([*command, "-d"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._heard: list[Heard] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self._ready.wait(5), "mosquitto_sub did not subscribe"

    def heard(self, leaf: str = "") -> list[Heard]:
        """What came below this leaf of our tree so far."""
        return [heard for heard in self._heard if heard.topic.startswith(f"{ROOT}/{leaf}")]

    def numbers(self, leaf: str) -> list[tuple[str, int]]:
        """(run, number) of every record heard below a leaf, in order of arrival."""
        return [
            (heard.value["run"], heard.value["n"] + i)
            for heard in self.heard(leaf)
            for i in range(len(heard.value["r"]))
        ]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join(2)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"Subscribed"):
                self._ready.set()
            parts = line.rstrip(b"\n").split(b"\t", 2)
            if len(parts) == 3:
                self._heard.append(Heard(parts[0].decode(), parts[1] == b"1", parts[2]))


@contextmanager
def broker(directory: Path, *lines: str, acl: str = "") -> Iterator[Mosquitto]:
    made = Mosquitto(directory, *lines, acl=acl).start()
    try:
        yield made
    finally:
        made.stop()


class MemorySource:
    """The outbox as the uplink sees it, without a disk."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: dict[Lane, dict[int, Stored]] = {lane: {} for lane in Lane}
        self.outcomes: dict[tuple[Lane, int], Outcome] = {}
        self.epochs = dict.fromkeys(Lane, "epoch")
        self.queue: list[Stored] = []
        self.wants_live = False
        self.fetches = 0

    def put(self, stored: Stored, live: bool = False) -> None:
        with self.lock:
            self.rows[stored.batch.lane][stored.row] = stored
            if live and self.wants_live:
                self.queue.append(stored)

    def generation(self, lane: Lane) -> str:
        return self.epochs[lane]

    def settled(self, lane: Lane) -> Spans:
        with self.lock:
            return Spans((row, row) for where, row in self.outcomes if where is lane)

    def pending(self, lane: Lane, start: int, before: int, kinds: Collection[RecordClass]) -> list[Stored]:
        with self.lock:
            self.fetches += 1
            found = [
                stored
                for row, stored in sorted(self.rows[lane].items())
                if start <= row < before and stored.batch.kind in kinds
            ]
            return found[:64]

    def live(self) -> Stored | None:
        with self.lock:
            return self.queue.pop(0) if self.queue else None

    def live_floor(self) -> int:
        with self.lock:
            return self.queue[0].row if self.queue else 1 << 62

    def go_live(self, wanted: bool) -> None:
        with self.lock:
            self.wants_live = wanted
            self.queue.clear()

    def settle(self, stored: Stored, outcome: Outcome) -> None:
        with self.lock:
            self.outcomes[stored.batch.lane, stored.row] = outcome

    def summary(self) -> dict[str, Any]:
        return {"telemetry": {"captured": len(self.rows[Lane.TELEMETRY])}}

    def delivered(self, lane: Lane) -> set[int]:
        with self.lock:
            return {row for (where, row), outcome in self.outcomes.items() if where is lane and outcome == "delivered"}
