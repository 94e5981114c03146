"""Swapping in another configuration between two steps; one that is not sound never replaces the one that runs."""

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

from gateway.control.guards import OutputGuards
from gateway.control.health import HealthBoard
from gateway.control.loop import Loop, Swap
from gateway.control.poller import Poller
from gateway.control.safe_list import write_safe_list
from gateway.control.wires import Wires
from gateway.core.errors import ConfigurationError, GatewayError
from gateway.settings.model import Configuration
from rules.engine import Engine
from rules.expression import compile_expression

SWAP_WITHIN_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plant:
    """The parts that follow a configuration."""

    loop: Loop
    guard: OutputGuards
    poller: Poller
    health: HealthBoard
    wires: Wires


class Home(Protocol):
    """Who holds the configuration in force."""

    configuration: Configuration

    def adopt(self, configuration: Configuration) -> None:
        """It is in force: tell everybody who must know."""
        ...


class Reloader:
    """Runs in the side thread: loads, checks, swaps. load: reads the snapshot, raises ConfigurationError."""

    def __init__(self, load: Callable[[], Configuration], plant: Plant, home: Home, safe_list: Path) -> None:
        self._load = load
        self._plant = plant
        self._home = home
        self._safe_list = safe_list

    def reload(self) -> str:
        """Swap the snapshot in; "" or what is wrong with it. Blocks for disk and loop, seconds at most."""
        try:
            configuration = self._load()
            self._apply(configuration)
        except (GatewayError, OSError, TimeoutError) as error:
            _log.error("the old configuration keeps running: %s", error)
            return f"the old configuration keeps running: {error}"
        _log.info("configuration %.12s runs now", configuration.hash)
        return ""

    def _apply(self, configuration: Configuration) -> None:
        before = self._home.configuration
        refuse_moved_outputs(before, configuration)
        engine = build_engine(configuration)
        write_safe_list(self._safe_list, configuration)
        try:
            self._swap(engine, configuration)
        except (GatewayError, TimeoutError):
            write_safe_list(self._safe_list, before)
            raise
        self._home.adopt(configuration)
        self._plant.health.know(configuration.rulebook.points)
        self._plant.wires.learn(configuration.buses)  # outputs are claimed before the poller lets go of old buses
        if not self._plant.guard.configure(configuration.outputs, configuration.buses):
            _log.error("the output guard is slow to take the new outputs over")
        self._plant.poller.apply(configuration)

    def _swap(self, engine: Engine, configuration: Configuration) -> None:
        answers: SimpleQueue[Exception | None] = SimpleQueue()
        decided = threading.Lock()  # whoever gets it first decides: the loop to swap, or we to give up
        wanted = functools.partial(decided.acquire, blocking=False)
        self._plant.loop.put(Swap(engine, shortest_lease_s(configuration), answers.put, wanted))
        try:
            error = answers.get(timeout=SWAP_WITHIN_S)
        except Empty:
            if wanted():
                raise TimeoutError(
                    f"the loop did not take the new engine within {SWAP_WITHIN_S:g} s: see the log"
                ) from None
            error = answers.get()
        if error is not None:
            raise ConfigurationError([f"the engine could not take over: {error}"])


def build_engine(configuration: Configuration) -> Engine:
    """The engine of a configuration. Raises ConfigurationError."""
    policies = [output.policy for output in configuration.outputs]
    try:
        return Engine(configuration.rulebook, policies, configuration.site.language)
    except GatewayError as error:
        raise ConfigurationError([f"a condition does not compile: {error}"]) from error
    except (ValueError, KeyError) as error:
        raise ConfigurationError([f"the rules do not fit together: {error}"]) from error


def interlock_inputs(configuration: Configuration) -> frozenset[str]:
    """The points that control itself reads and that interlocks need."""
    ours = {
        f"{device.name}.{channel.name}"
        for device in configuration.devices
        for channel in device.channels
        if device.process == "control"
    }
    policies = [output.policy for output in configuration.outputs]
    points = {**configuration.rulebook.points, **{policy.point: policy.unit for policy in policies}}
    conditions = [compile_expression(each.condition, points) for each in configuration.rulebook.interlocks]
    return frozenset(point for condition in conditions for point in condition.inputs if point in ours)


def shortest_lease_s(configuration: Configuration) -> float:
    """How soon the loop must renew, seconds; 3 without outputs."""
    return min((output.policy.lease_s for output in configuration.outputs), default=3.0)


def refuse_moved_outputs(before: Configuration, after: Configuration) -> None:
    """A bus that carries outputs can't move to another device while its lines are held. Raises ConfigurationError."""
    moved = [
        bus.name
        for bus in before.buses
        for other in after.buses
        if bus.name == other.name and bus != other and any(output.bus == bus.name for output in before.outputs)
    ]
    if moved:
        raise ConfigurationError([f"bus {', '.join(moved)} carries outputs and has changed: restart control instead"])
