"""Builds and runs `gateway control`, the process that holds the pins."""

import argparse
import functools
import gc
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gateway
from drivers import registry
from drivers.buses import open_bus
from gateway.control import durable, realtime, views
from gateway.control.commands import Commands, Simulate
from gateway.control.durable import StateKeeper
from gateway.control.guards import OutputGuards
from gateway.control.handler import ControlHandler, Intake
from gateway.control.health import HealthBoard
from gateway.control.loop import Happened, Loop, Stop
from gateway.control.poller import Poller
from gateway.control.recent import RecentEvents
from gateway.control.reload import Plant, Reloader, build_engine, interlock_inputs, shortest_lease_s
from gateway.control.ring import Ring
from gateway.control.safe_list import write_safe_list
from gateway.control.side import SideThread
from gateway.control.watchdog import Watchdog
from gateway.control.wires import Wires
from gateway.core.errors import ConfigurationError, GatewayError
from gateway.core.event import Event, EventClass
from gateway.core.reading import Value
from gateway.local import lock, logs
from gateway.local.clock import SystemClock
from gateway.local.notify import Notifier
from gateway.local.paths import StatePaths
from gateway.local.polling import Overseer
from gateway.local.server import Server
from gateway.settings import snapshot
from gateway.settings.health import bus_point
from gateway.settings.model import Bus, Configuration
from rules.engine import Engine

LAST_RECORDS_S = 1.0
"""How long a stopping control waits for the recorder to take its last events."""
LOOK_FIRST_S = 0.5
"""How long the first decision waits for what the interlocks need."""
SETTLED_NS = 5_000_000_000
"""By then everything lazy has been imported, and the heap can be frozen for good."""

_log = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT. arguments: state (directory), sim (device tree of the simulator, or None).

    Returns 0 after a clean stop, 1 when it may not or can't start; the reason is on stderr.
    """
    state, root = Path(arguments.state), arguments.sim
    journal = logs.configure("control")
    try:
        with lock.exclusive(state, "control"):
            configuration = load_snapshot(StatePaths(state), sim=root is not None)
            if root is not None:
                from fake_hw import inject  # only ever in a simulated run

                inject.install(root)
            Process(StatePaths(state), configuration, root, journal).run()
    except (GatewayError, OSError) as error:
        print(f"gateway control: {error}", file=sys.stderr)
        return 1
    return 0


def load_snapshot(paths: StatePaths, *, sim: bool) -> Configuration:
    """The compiled configuration. Raises ConfigurationError, also for a simulated run with real cloud credentials."""
    configuration = snapshot.read(paths.snapshot)
    cloud = configuration.cloud
    secret = cloud is not None and (cloud.key or cloud.password_file or cloud.certificate)
    if sim and secret and not configuration.allow_sim_with_cloud:
        problem = "this configuration holds real cloud credentials: simulated readings must not reach that cloud"
        raise ConfigurationError([f"{problem}; take them out, or say allow_sim_with_cloud: true"])
    return configuration


class Process:
    """All parts of control, wired up; also what the handler asks about them."""

    def __init__(self, paths: StatePaths, configuration: Configuration, root: str | None, journal: logs.Logs) -> None:
        realtime.prefer_this_process()
        self._paths = paths
        self._sim = root is not None
        self._journal = journal
        self._clock = clock = SystemClock()
        self.configuration = configuration
        self._notifier = Notifier()
        self._watchdog = Watchdog(self._notifier.watchdog)
        self._recent = RecentEvents()
        self._ring = Ring(clock, remember=self._recent.remember)
        self._keeper = StateKeeper(paths.control_state, clock)
        self._side = SideThread()
        self._wires = Wires(functools.partial(_open, root or "/"))
        self._wires.configure(configuration.buses)
        self._guard = OutputGuards(self._wires.output, self._tell, clock)
        engine = build_engine(configuration)
        self._beginning = self._restore(engine)
        lease_s = shortest_lease_s(configuration)
        self._loop = Loop(
            engine, self._guard, self._ring, self._keeper, clock=clock, lease_s=lease_s, fed=self._watchdog.step
        )
        self._poller = Poller(self._wires, self._loop.put, self._tell, clock)
        self._health = HealthBoard(configuration.rulebook.points, self._probe, self._loop.put)
        plant = Plant(self._loop, self._guard, self._poller, self._health, self._wires)
        load = functools.partial(load_snapshot, paths, sim=self._sim)
        self._reloader = Reloader(load, plant, self, paths.safe_state_list)
        self._server = Server(paths.control_sock, self._handler(root), configuration.access)
        self._ring.wake = self._server.wake
        checks = [self._poller.check, self._guard.check, self._health.check, self._keeper.check, self._settle]
        self._overseer = Overseer(clock, checks)
        self._watch()
        self._freeze_ns = clock.now_ns() + SETTLED_NS

    def _handler(self, root: str | None) -> ControlHandler:
        commands = Commands(
            put=self._loop.put,
            keeper=self._keeper,
            side=self._side,
            clock=self._clock,
            reload=self._reload,
            simulate=None if root is None else _simulator(root),
        )
        intake = Intake(self._poller.heard, self._poller.heard_events, self._heard)
        return ControlHandler(
            self, self._ring, self._recent, commands=commands, intake=intake, clock=self._clock, sim=self._sim
        )

    def _watch(self) -> None:
        self._watchdog.watch(
            {
                "output guard": self._guard.alive,
                "bus workers": self._poller.alive,
                "overseer": self._overseer.alive,
                "ring": self._ring.alive,
                "state keeper": self._keeper.alive,
                "local server": self._server.alive,
            }
        )

    def run(self) -> None:
        """Start everything, step until a signal says stop, leave every output safe."""
        devices, outputs = self.configuration.devices, self.configuration.outputs
        for name in {device.driver for device in devices} | {output.driver for output in outputs}:
            registry.load(name)
        self._start()
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, lambda _number, _frame: self._side.submit(self._on_hangup))
        gc.collect()
        gc.freeze()
        self._notifier.ready()
        try:
            self._loop.run(interlock_inputs(self.configuration), LOOK_FIRST_S)
        finally:
            self._stop()

    def _start(self) -> None:
        write_safe_list(self._paths.safe_state_list, self.configuration)
        if not self._guard.start(self.configuration.outputs, self.configuration.buses):
            _log.error("the output guard has not claimed its lines yet and goes on trying")
        self._ring.start()
        self._keeper.start(self._loop.engine.state())
        self._side.start()
        self._tell(Event(EventClass.SYSTEM, "control", "started", self._clock.now_ns(), self._beginning))
        self._poller.apply(self.configuration)
        self._overseer.start()
        self._server.start()
        kind = "simulated" if self._sim else "real"
        _log.info("run %s on %s hardware, configuration %.12s", self._ring.run, kind, self.configuration.hash)

    def _stop(self) -> None:
        """Outputs first; then what has to be kept."""
        self._notifier.stopping()
        safe = self._guard.stop()
        state_saved_ns = self._clock.now_ns()
        self._overseer.stop()
        self._poller.stop()
        data = {"outputs_safe": safe, "configuration": self.configuration.hash}
        self._ring.add((), (Event(EventClass.SYSTEM, "control", "stopped", state_saved_ns, data),))
        self._keeper.offer(self._loop.engine.state())
        self._ring.flush(LAST_RECORDS_S)
        self._keeper.stop()
        deadline = time.monotonic() + LAST_RECORDS_S
        while self._connected("recorder") and not self._ring.empty and time.monotonic() < deadline:
            time.sleep(0.01)
        self._server.stop()
        self._wires.close()
        _log.info("stopped; every output is %s", "safe" if safe else "NOT known to be safe")
        self._journal.stop()

    def _restore(self, engine: Engine) -> dict[str, Any]:
        """Take the saved state over; what the `started` event says about it."""
        told: dict[str, Any] = {"version": gateway.__version__, "configuration": self.configuration.hash}
        try:
            saved = durable.load(self._paths.control_state)
        except durable.DamagedState as error:
            _log.error("%s", error)
            return {**told, "state": "damaged", "message": str(error)}
        if saved is None:
            return {**told, "state": "new"}
        engine.restore(saved.state, self._clock.now_ns())
        interrupted = [f"{intent.get('verb')} {intent.get('target')}" for intent in saved.intents]
        if interrupted:
            _log.warning("interrupted before it was carried out, so it has to be asked for again: %s", interrupted)
        return {**told, "state": "restored", "interrupted": interrupted}

    # what others ask of the running process

    @property
    def engine(self) -> Engine:
        """The engine in force, for its published views."""
        return self._loop.engine

    def driven(self) -> dict[str, Value | None]:
        """The level on each output's line; None when it could not be driven."""
        return self._guard.driven

    def condition(self) -> dict[str, Any]:
        """The inner health, for the query `health`."""
        return {
            "loop": {"steps": self._loop.steps, "slowest_ms": round(self._loop.slowest_ns / 1e6, 3)},
            "buses": dict(self._poller.buses()),
            "state_ok": self._keeper.ok,
            "log_dropped": self._journal.dropped,
            "outputs_alive": self._guard.alive(),
            "modules": len(sys.modules),
            "forbidden_modules": views.forbidden_modules(),
        }

    def adopt(self, configuration: Configuration) -> None:
        """Another configuration is in force."""
        self.configuration = configuration
        self._server.access = configuration.access
        self._server.wake()
        data = {"configuration": configuration.hash}
        self._tell(Event(EventClass.SYSTEM, "control", "configured", self._clock.now_ns(), data))

    def _reload(self) -> str:
        self._notifier.reloading()
        problem = self._reloader.reload()
        if not problem:
            self._freeze_ns = self._clock.now_ns() + SETTLED_NS
        self._notifier.ready()
        return problem

    def _heard(self, process: str, points: dict[str, object]) -> None:
        self._health.heard(process, points, self._clock.now_ns())

    def _tell(self, event: Event) -> None:
        self._loop.put(Happened(event))

    def _connected(self, process: str) -> bool:
        return self._loop.engine.points[f"gateway/{process}.connected"].value is True

    def _probe(self) -> dict[str, Value]:
        return {
            "gateway/control.ring_fill": round(100 * self._ring.fill, 1),
            "gateway/control.log_dropped": self._journal.dropped,
            "gateway/control.state_ok": self._keeper.ok,
            "gateway/control.outputs_ok": self._guard.ok,
            **{bus_point(name): works for name, works in self._poller.buses().items()},
        }

    def _settle(self, now_ns: int) -> None:
        """Once everything lazy is loaded: from now on a full collection has little to look at."""
        if self._freeze_ns and now_ns >= self._freeze_ns:
            self._freeze_ns = 0
            gc.collect()
            gc.freeze()

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._loop.put(Stop())

    def _on_hangup(self) -> None:
        problem = self._reload()
        data = {"message": problem} if problem else {}
        what = "reload_refused" if problem else "reloaded"
        self._tell(Event(EventClass.SYSTEM, "configuration", what, self._clock.now_ns(), data))


def _open(root: str, bus: Bus) -> object:
    return open_bus(bus, root)


def _simulator(root: str) -> Simulate:
    def simulate(line: str) -> dict[str, Any]:
        from fake_hw import client  # only ever in a simulated run

        return client.command(root, line, timeout_s=2.0)

    return simulate
