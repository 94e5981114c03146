"""`python bench/store.py`: what keeping costs. Bytes to the disk per reading, rows per second, how a backlog drains.

Bytes are write_bytes of /proc/self/io: pages this process made the kernel write, on the disk below --dir; of them the
ring of delivered rows, kept as history, is a part.
"""

import argparse
import json
import random
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.core.record import Batch, Lane, Outcome, RecordClass, Settlement, Stored
from gateway.local.clock import SystemClock
from gateway.recorder.outbox import Outbox
from gateway.recorder.outgoing import Outgoing
from gateway.recorder.store import Store
from gateway.settings.model import Cloud, Configuration, Site
from gateway.settings.model import Store as StoreSettings
from gateway.uplink import conversation
from gateway.uplink.broker import Broker
from gateway.uplink.topics import Topics
from gateway.uplink.uplink import Uplink
from rules.definition import Rulebook

READINGS = 17
"""Readings in one second's batch at 1,000 per minute."""


def main() -> int:
    """Measure and print, one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="on the disk to measure (/var/tmp)")
    parser.add_argument("--commits", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of backlog to drain")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, float] = {}
    for name, measure in _measures(arguments):
        with tempfile.TemporaryDirectory(dir=arguments.dir) as directory:
            results |= {f"{name}: {key}": value for key, value in measure(Path(directory)).items()}
    if arguments.json:
        print(json.dumps(results, indent=1))
    for key, value in {} if arguments.json else results.items():
        print(f"{key:<58} {value:>14,.1f}")
    return 0


def _measures(arguments: argparse.Namespace) -> list[tuple[str, Callable[[Path], dict[str, float]]]]:
    def bytes_of(rows: int) -> Callable[[Path], dict[str, float]]:
        return lambda directory: measure_bytes(directory, arguments.commits, rows)

    return [
        ("1 s commits", bytes_of(READINGS)),
        ("5 s commits", bytes_of(5 * READINGS)),
        ("10 s commits", bytes_of(10 * READINGS)),
        ("full speed", lambda directory: measure_speed(directory, arguments.rows)),
        ("drain", lambda directory: measure_drain(directory, arguments.rows)),
    ]


def measure_bytes(directory: Path, commits: int, rows: int) -> dict[str, float]:
    """Steady state: one batch per commit, the one before delivered."""
    store, outbox = _opened(directory)
    number, before = 1, store.keep(Lane.TELEMETRY, [batch(1, rows)])
    outbox.warm()
    cpu_s = written = 0.0
    for turn in range(commits + 1000):
        if turn == 1000:  # the log is in use, the first checkpoint done
            cpu_s, written = _cpu_s(), _written()
        number += rows
        stored = store.keep(Lane.TELEMETRY, [batch(number, rows)], _delivered(before))
        before = stored
    readings = commits * rows
    result = {"bytes/reading": (_written() - written) / readings, "bytes/commit": (_written() - written) / commits}
    result["CPU us/reading"] = (_cpu_s() - cpu_s) / readings * 1e6
    store.close()
    return result


def measure_speed(directory: Path, rows: int) -> dict[str, float]:
    """Groups of 64 batches of 100 readings, as after a reconnect to control."""
    store, _ = _opened(directory)
    groups = [[batch(1 + (group * 64 + i) * 100, 100) for i in range(64)] for group in range(max(1, rows // 640))]
    began_s = time.perf_counter()
    for group in groups:
        store.keep(Lane.TELEMETRY, group)
    took_s = time.perf_counter() - began_s
    store.close()
    return {"rows/s": len(groups) * 64 / took_s, "readings/s": len(groups) * 6400 / took_s}


def measure_drain(directory: Path, rows: int) -> dict[str, float]:
    """A backlog of one-second batches through our client and a local Mosquitto, until all is booked."""
    store, outbox = _opened(directory)
    for start in range(0, rows, 500):
        store.keep(Lane.TELEMETRY, [batch(1 + row * READINGS, READINGS) for row in range(start, start + 500)])
    outgoing = Outgoing(directory)
    outgoing.opened(outbox.ledger)
    with _Mosquitto(directory) as port:
        uplink = _uplink(outgoing, port, directory)
        cpu_s, began_s = _cpu_s(), time.perf_counter()
        uplink.start()
        waiter = threading.Event()
        booked = 0
        while booked < rows and time.perf_counter() - began_s < 120:
            waiter.wait(0.05)
            outcomes = outgoing.unbooked(Lane.TELEMETRY)
            if outcomes:
                store.keep(Lane.TELEMETRY, (), outcomes)
                outgoing.booked(Lane.TELEMETRY, outcomes)
                booked += len(outcomes)
        took_s, cpu_s = time.perf_counter() - began_s, _cpu_s() - cpu_s
        uplink.stop()
    store.close()
    readings = booked * READINGS
    return {"messages/s": booked / took_s, "readings/s": readings / took_s, "CPU us/reading": cpu_s / readings * 1e6}


def batch(first: int, rows: int) -> Batch:
    """A batch as control makes it: some twenty series with two decimals."""
    body = json.dumps(
        [
            {"d": f"device_{i % 20}", "m": "temperature", "t": i * 58, "v": round(random.gauss(10, 5), 2)}
            for i in range(rows)
        ],
        separators=(",", ":"),
    )
    return Batch(
        "ab" * 8, Lane.TELEMETRY, RecordClass.TELEMETRY, first, rows, "cd" * 16, 4_227_529 + first,
        1_795_470_000_123 + first, True, True, body.encode(),
    )  # fmt: skip


def _opened(directory: Path) -> tuple[Store, Outbox]:
    store = Store(directory, StoreSettings())
    store.open()
    return store, store.outboxes[Lane.TELEMETRY]


def _delivered(stored: list[Stored]) -> list[Settlement]:
    return [Settlement(item, Outcome.DELIVERED) for item in stored]


def _written() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _uplink(outgoing: Outgoing, port: int, directory: Path) -> Uplink:
    cloud = Cloud(url=f"mqtt://127.0.0.1:{port}", tenant="bench", gateway="bench")
    configuration = Configuration(1, Site("bench"), (), (), (), Rulebook({}, (), (), ()), cloud=cloud)
    site = conversation.Site(configuration, Broker(cloud, Topics("bench", "bench", "bench"), directory), True)
    return Uplink(site, outgoing, lambda _fields, _answer: None, SystemClock())


class _Mosquitto:
    """A broker and a subscriber that swallows."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        config = self._directory / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        config.chmod(0o644)
        self._directory.chmod(0o755)
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._processes.append(subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], **quiet))
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        swallow = ["mosquitto_sub", "-V", "5", "-q", "0", "-p", str(port), "-t", "kg/#"]
        self._processes.append(subprocess.Popen(swallow, **quiet))
        time.sleep(0.5)
        return port

    def __exit__(self, *_reason: object) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
