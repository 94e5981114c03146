"""Telling systemd how we are (sd_notify(3)), without ever waiting for it."""

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends to $NOTIFY_SOCKET; does nothing when there is none. Any thread; never blocks, never raises.

    systemd-python's own notify waits for ever when nobody drains the socket; a message that finds no room is
    dropped here instead and counted in `dropped`.
    """

    __slots__ = ("_address", "_socket", "dropped", "watchdog_s")

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if address else None
        self.dropped = 0
        self.watchdog_s = _watchdog_s(environment)
        """How often systemd wants to hear `watchdog()` at the latest, seconds; 0 when it does not watch us."""

    def ready(self) -> None:
        """Started, or finished reloading."""
        self._send("READY=1")

    def watchdog(self) -> None:
        """Still alive; call at half of `watchdog_s`."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("STATUS=" + text.replace("\n", " "))

    def reloading(self) -> None:
        """Reading the configuration again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """On the way out."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Say nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError:
            self.dropped += 1


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """The interval of WATCHDOG_USEC, 0 when it is missing, broken or meant for another process."""
    try:
        if int(environment.get("WATCHDOG_PID", os.getpid())) != os.getpid():
            return 0.0
        return max(0, int(environment.get("WATCHDOG_USEC", "0"))) / 1e6
    except ValueError:
        return 0.0
