"""Builds and runs `gateway field`, the process for devices that may hang, grab signals or need the network."""

import argparse
import contextlib
import functools
import signal
import sys
from pathlib import Path

from drivers.buses import open_bus
from gateway.core.errors import DeviceError, GatewayError
from gateway.field.worker import FieldLink
from gateway.local import lock, logs
from gateway.local.clock import SystemClock
from gateway.local.notify import Notifier
from gateway.local.paths import StatePaths, credentials_directory
from gateway.settings import snapshot
from gateway.settings.model import Bus, Configuration


def main(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT. arguments: state (directory), sim (device tree of the simulator, or None).

    Returns 0 after a clean stop, 1 when it may not or can't start; the reason is on stderr.
    """
    state, root = Path(arguments.state), arguments.sim
    journal = logs.configure("field")
    try:
        with lock.exclusive(state, "field"):
            if root is not None:
                from fake_hw import inject  # only ever in a simulated run

                inject.install(root)
            _run(StatePaths(state), root or "/")
    except (GatewayError, OSError) as error:
        print(f"gateway field: {error}", file=sys.stderr)
        return 1
    journal.stop()
    return 0


def _run(paths: StatePaths, root: str) -> None:
    def open_wire(bus: Bus) -> object:
        if bus.type == "mqtt":
            from drivers.buses.mqtt import MqttBroker

            return MqttBroker(bus, credentials_directory(paths.state))
        return open_bus(bus, root)

    load = functools.partial(snapshot.read, paths.snapshot)
    _import_libraries(load())
    link = FieldLink(paths.control_sock, load, open_wire, SystemClock())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: link.stop())
    notifier = Notifier()
    link.beat = notifier.watchdog
    notifier.ready()
    link.run()
    notifier.stopping()


def _import_libraries(configuration: Configuration) -> None:
    """Import here what sets signal handlers when it is imported: only the main thread may, and ours come after."""
    if any(bus.type == "dht" for bus in configuration.buses):
        from drivers.buses.dht import DhtBoard

        with contextlib.suppress(DeviceError):  # each read will say what is missing
            DhtBoard().prepare()
