"""Builds and runs `gateway recorder`, the process that keeps and forwards."""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from gateway.core.errors import AlreadyRunning, ConfigurationError
from gateway.core.record import Lane
from gateway.local import lock, logs
from gateway.local.clock import SystemClock
from gateway.local.notify import Notifier
from gateway.local.paths import StatePaths, credentials_directory
from gateway.local.server import Server
from gateway.recorder.intake import Intake
from gateway.recorder.keeper import Keeper
from gateway.recorder.link import Link
from gateway.recorder.outgoing import Outgoing
from gateway.recorder.questions import Questions
from gateway.recorder.store import Store
from gateway.settings import snapshot
from gateway.settings.model import Configuration
from gateway.uplink.broker import Broker
from gateway.uplink.conversation import Site
from gateway.uplink.topics import Topics
from gateway.uplink.uplink import Uplink

LOOK_S = 1.0
_log = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT. arguments: state (directory), sim (whether this is a simulated run).

    Returns 0 after a clean stop, 1 when it may not or can't start; the reason is on stderr.
    """
    paths = StatePaths(Path(arguments.state))
    journal = logs.configure("recorder")
    try:
        with lock.exclusive(paths.state, "recorder"):
            Process(paths, snapshot.read(paths.snapshot), sim=bool(arguments.sim)).run()
    except (AlreadyRunning, ConfigurationError, OSError) as error:
        print(f"gateway recorder: {error}", file=sys.stderr)
        return 1
    journal.stop()
    return 0


class Process:
    """All parts of the recorder, wired up. Its own thread only looks after the others."""

    def __init__(self, paths: StatePaths, configuration: Configuration, *, sim: bool) -> None:
        self._paths = paths
        self._sim = sim
        self._clock = SystemClock()
        self._notifier = Notifier()
        self._configuration = configuration
        self._announced = configuration.hash  # the hash that control last told
        self._refused = ""
        self._store = Store(paths.database_dir, configuration.store)
        self._intake = Intake()
        self._outgoing = Outgoing(paths.database_dir)
        self._link = Link(paths.control_sock, self._intake, self._health, self._greeted)
        self._keeper = Keeper(
            self._store,
            self._intake,
            self._outgoing,
            clock=self._clock,
            acknowledge=self._link.acknowledge,
            commit_s=configuration.store.commit_s,
        )
        self._uplink: Uplink | None = None
        questions = Questions(
            paths.database_dir,
            hello=self._hello,
            outbox=self._outbox,
            health=self._condition,
            now_ms=lambda: self._clock.wall().ms,
        )
        self._server = Server(paths.recorder_sock, questions, configuration.access)
        self._woken = threading.Event()
        self._stopping = False

    def run(self) -> None:
        """Start everything, look after it until a signal says stop, commit what waits. Raises OSError."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        self._server.start()
        self._keeper.start()
        self._link.start(self._keeper)
        self._connect()
        self._notifier.ready()
        while not self._stopping:
            self._woken.wait(LOOK_S)
            self._woken.clear()
            self._look_after()
        self._stop()

    def _stop(self) -> None:
        """The uplink first: its last acknowledgements ride in the last commit; control hears of that at the end."""
        self._notifier.stopping()
        if self._uplink is not None:
            self._uplink.stop()
        self._keeper.stop()
        self._link.stop()
        self._server.stop()
        _log.info("stopped")

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._stopping = True
        self._woken.set()

    def _look_after(self) -> None:
        if self._announced != self._configuration.hash:
            self._adopt()
        elif self._uplink is not None and self._uplink.sim != self._sim:
            self._connect()
        if self._uplink is not None and not self._uplink.alive():
            _log.error("the uplink's thread has stopped: it gets a new one")
            self._uplink = None
            self._connect()
        if self._keeper.alive() and self._link.alive() and self._server.alive():
            self._notifier.watchdog()

    def _adopt(self) -> None:
        """Take over the snapshot that control has announced. Budgets count from the next start."""
        try:
            configuration = snapshot.read(self._paths.snapshot)
        except ConfigurationError as error:
            _log.error("the new configuration can't be read, the old one stays: %s", error)
            self._announced = self._configuration.hash
            return
        self._announced = configuration.hash
        self._configuration = configuration
        self._keeper.commit_s = configuration.store.commit_s
        self._server.access = configuration.access
        self._connect()

    def _connect(self) -> None:
        """Have the uplink that the configuration asks for: none, the running one told the news, or another one."""
        site = self._site()
        if self._uplink is not None:
            if site is not None and site.broker == self._uplink.broker:
                self._uplink.configure(site)
                return
            self._uplink.stop()
            self._uplink = None
        if site is not None:
            self._uplink = Uplink(site, self._outgoing, self._link.command, self._clock)
            self._outgoing.wake = self._uplink.wake
            self._uplink.start()

    def _site(self) -> Site | None:
        """What to connect to; None without a broker, and when simulated data must not go there."""
        configuration, cloud = self._configuration, self._configuration.cloud
        self._refused = ""
        if cloud is None:
            return None
        topics = Topics(cloud.tenant, configuration.site.id, cloud.gateway)
        broker = Broker(cloud, topics, credentials_directory(self._paths.state))
        if self._sim and broker.has_real_credentials and not configuration.allow_sim_with_cloud:
            self._refused = "simulated readings must not reach a real cloud: say allow_sim_with_cloud: true to let them"
            _log.error("%s is not connected: %s", cloud.url, self._refused)
            return None
        return Site(configuration, broker, self._sim)

    # what the parts tell each other; called from their threads

    def _greeted(self, hello: dict[str, Any]) -> None:
        """Control said hello, or has a new configuration."""
        self._announced = str(hello.get("configuration", self._announced))
        self._sim = self._sim or hello.get("sim") is True
        self._woken.set()

    def _health(self) -> dict[str, Any]:
        uplink = self._uplink
        health: dict[str, Any] = {
            "uplink_connected": uplink is not None and uplink.connected,
            "backlog": sum(account["pending"] for account in self._outgoing.summary().values()),
        }
        if not self._keeper.known:
            return health
        return health | {"store_ok": self._keeper.ok, "disk_ok": self._keeper.disk_ok}

    def _hello(self) -> dict[str, Any]:
        return {
            "process": "recorder",
            "run": self._outgoing.generation(Lane.EVENTS),
            "boot": self._clock.boot_id,
            "sim": self._sim,
            "configuration": self._configuration.hash,
        }

    def _outbox(self) -> dict[str, Any]:
        uplink = self._uplink
        idle = {"connected": False, "problem": self._refused or "no broker is configured"}
        return {
            "classes": self._outgoing.summary(),
            "uplink": idle if uplink is None else uplink.summary(),
            "store": {"ok": self._keeper.ok, "problem": self._keeper.problem},
        }

    def _condition(self) -> dict[str, Any]:
        forbidden = {"sqlite_utils", "smbus2", "gpiozero", "yaml", "serial"}
        return {
            **self._health(),
            "control_connected": self._link.connected,
            "modules": len(sys.modules),
            "forbidden_modules": sorted(forbidden & sys.modules.keys()),
        }
