"""A real Mosquitto with users and access rules, and devices being read in threads."""

import subprocess
import threading
from pathlib import Path
from typing import Any

from drivers.buses.mqtt import MqttBroker
from drivers.mqtt import MqttDevice
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError
from tests.uplink.broker import Mosquitto

ACL = """
user freezer
topic readwrite tele/freezer/#
user fryer
topic readwrite tele/fryer/#
user gateway-freezer
topic read tele/freezer/#
user gateway
topic read tele/#
topic read zigbee2mqtt/#
"""
PASSWORDS = {"freezer": "f1", "fryer": "f2", "gateway-freezer": "g1", "gateway": "g2"}


class Site:
    """A broker with users and access rules, and the gateway's end of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        users = directory / "users"
        users.write_text("".join(f"{name}:{word}\n" for name, word in PASSWORDS.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(users)], check=True)
        users.chmod(0o644)
        lines = (f"password_file {users}",)
        self.mosquitto = Mosquitto(directory, *lines, acl=ACL)
        config = directory / "mosquitto.conf"
        config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
        for name, word in PASSWORDS.items():
            (directory / f"{name}.password").write_text(word + "\n")
        self.mosquitto.start()
        self.buses: list[MqttBroker] = []

    def bus(self, username: str = "gateway", password_file: str = "gateway.password", **changes: Any) -> MqttBroker:
        url = f"mqtt://127.0.0.1:{self.mosquitto.port}"
        bus = Bus("broker", "mqtt", url=url, username=username, password_file=password_file)
        self.buses.append(MqttBroker(bus, self.directory))
        return self.buses[-1]

    def publish(self, topic: str, payload: str, user: str = "freezer", *, retain: bool = False) -> None:
        """As the device does it, with its own login."""
        command = [
            "mosquitto_pub",
            "-V",
            "5",
            "-p",
            str(self.mosquitto.port),
            "-u",
            user,
            "-P",
            PASSWORDS[user],
            "-q",
            "1",
        ]
        subprocess.run(
            [*command, "-t", topic, "-m", payload, *(["-r"] if retain else [])], check=False, capture_output=True
        )

    def close(self) -> None:
        for bus in self.buses:
            bus.close()
        self.mosquitto.stop()


def values(samples: Any) -> dict[str, Any]:
    """channel → value."""
    return {sample.channel: sample.value for sample in samples}


class Reading:
    """A read in a thread: what it gave, or why not."""

    def __init__(self, device: MqttDevice) -> None:
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._read, args=(device,), daemon=True)
        self._thread.start()

    def _read(self, device: MqttDevice) -> None:
        try:
            self.outcome = values(device.read())
        except DeviceError as error:
            self.outcome = error

    def wait(self, within_s: float = 8.0) -> Any:
        self._thread.join(within_s)
        assert not self._thread.is_alive(), "the read still waits"
        if isinstance(self.outcome, DeviceError):
            raise self.outcome
        return self.outcome


class Failing(Reading):
    """Reads in a thread until one fails: messages may still be on their way."""

    def _read(self, device: MqttDevice) -> None:
        while not isinstance(self.outcome, DeviceError):
            super()._read(device)
