"""Devices on a broker through the gateway's own processes: field listens, control judges."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.role import Role
from gateway.local.client import Client, Connection
from gateway.local.paths import StatePaths
from gateway.settings import snapshot
from gateway.settings.compiler import compile_files
from tests.system.kitchen import REPOSITORY, wait_for
from tests.uplink.broker import Mosquitto

SITE = """
version: 1
site: {{id: cold-store}}
buses:
  broker: {{type: mqtt, url: "mqtt://127.0.0.1:{port}"}}
devices:
  freezer:
    driver: mqtt
    every: 200 ms
    topic: tele/freezer/SENSOR
    stale_after: 2 s
    availability: {{topic: tele/freezer/LWT}}
    channels: {{temperature: {{path: DS18B20.Temperature, unit: Cel}}}}
  {second}: {{driver: mqtt, every: 200 ms, topic: hood/power, stale_after: 1 h, channels: {{power: {{unit: W}}}}}}
"""


class ColdStore:
    """A broker, and the gateway's processes that listen to it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
        self.paths = StatePaths(self.home / "s")
        self.paths.state.mkdir()
        (self.home / "broker").mkdir()
        self.mosquitto = Mosquitto(self.home / "broker").start()
        self.compile("hood")
        self.processes = [self.start(name) for name in ("control", "field")]
        wait_for("control answers", lambda: self.point("freezer.temperature"))

    def compile(self, second: str) -> None:
        file = self.home / "site.yaml"
        file.write_text(SITE.format(port=self.mosquitto.port, second=second))
        snapshot.write(self.paths.snapshot, compile_files(file))

    def start(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gateway", name, "--state", str(self.paths.state), "--sim", str(self.home)]
        return subprocess.Popen(
            command, stdout=(self.home / "log").open("ab"), stderr=subprocess.STDOUT, cwd=REPOSITORY
        )

    def point(self, name: str) -> dict[str, Any]:
        with Client(Connection(self.paths.control_sock, "test")) as client:
            return next(dict(row) for row in client.query("points") if row["point"] == name)

    def publish(self, topic: str, payload: str, *options: str) -> None:
        port = str(self.mosquitto.port)
        subprocess.run(["mosquitto_pub", "-p", port, "-t", topic, "-m", payload, "-q", "1", *options], check=True)

    def reload(self) -> None:
        with Client(Connection(self.paths.control_sock, "test", Role.INSTALLER)) as client:
            assert client.command("reload")["ok"]

    def connections(self) -> int:
        """How many connections to the broker stand, as the kernel counts them."""
        wanted = f"0100007F:{self.mosquitto.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[2] == wanted and row[3] == "01" for row in rows)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(10)
        self.mosquitto.stop()
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture
def store() -> Iterator[ColdStore]:
    store = ColdStore()
    yield store
    store.close()


def heard(store: ColdStore) -> bool:
    """Whether a message that is published now becomes the point's value."""
    store.publish("tele/freezer/SENSOR", '{"DS18B20":{"Temperature":-18.5}}')
    time.sleep(0.1)
    point = store.point("freezer.temperature")
    return bool(point["quality"] == "Good" and point["value"] == -18.5)


def test_a_device_on_the_broker_is_a_point_like_any_other(store: ColdStore) -> None:
    """Good while it speaks, BadTimeout after its time, BadNotConnected by its will and without a broker."""
    wait_for("the freezer is heard", lambda: heard(store))
    wait_for("its silence is told", lambda: store.point("freezer.temperature")["reason"] == "BadTimeout")
    wait_for("the freezer is heard again", lambda: heard(store))
    store.publish("tele/freezer/LWT", "Offline", "-r")
    wait_for("it is away", lambda: "away" in store.point("freezer.temperature")["detail"])
    store.publish("tele/freezer/LWT", "Online", "-r")
    wait_for("it is back", lambda: heard(store))
    store.mosquitto.stop()
    wait_for("the broker is away", lambda: store.point("freezer.temperature")["reason"] == "BadNotConnected")
    store.mosquitto.start()
    wait_for("the broker is back", lambda: heard(store))


def test_a_reload_and_a_stop_leave_nothing_behind(store: ColdStore) -> None:
    """A read that waits for an hour holds up neither; of the old connections none stays."""
    wait_for("the freezer is heard", lambda: heard(store))
    wait_for("both devices share a connection", lambda: store.connections() == 1)
    store.compile("fan")
    began_s = time.monotonic()
    store.reload()
    wait_for("the new configuration is in force", lambda: store.point("fan.power"))
    wait_for("the freezer is heard under it", lambda: heard(store))
    assert time.monotonic() - began_s < 5.0
    wait_for("one connection is left", lambda: store.connections() == 1)
    field = store.processes[1]
    field.send_signal(signal.SIGTERM)
    assert field.wait(4.0) == 0
    wait_for("no connection is left", lambda: store.connections() == 0)
