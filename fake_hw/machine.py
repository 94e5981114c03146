"""A simulated machine: parts placed on buses by the name of their driver, played by one thread.

The counterpart of a site file: what `devices` and `outputs` say from the gateway's end of the wire, `Machine.place`
says from the part's end.
"""

import contextlib
import fcntl
import importlib.util
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fake_hw.buses.lines import LineLog, Lines, bcm2711_lines
from fake_hw.faults import Condition, Probe
from fake_hw.loop import Loop

TICK_S = 0.1
# kind of bus → module in fake_hw.buses; its `create(machine, device)` makes one
_MODULES = {
    "i2c": "i2c",
    "spi": "spi",
    "serial": "pty_port",
    "modbus_rtu": "modbus",
    "modbus_tcp": "modbus",
    "onewire": "onewire",
    "iio": "iio",
    "gpio": "gpio",
    "pwm": "pwm",
    "evdev": "evdev",
    "dht": "dht",
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing a part senses, in the unit of the driver's channel of the same name (a two-state channel: 0 or 1).

    start: the truth at first. noise: standard deviation. drift_per_s: how fast the fault `drift` leaves the truth.
    tolerance: how far a healthy reading may be from the truth (resolution, calibration and noise together).
    """

    start: float
    noise: float = 0.0
    drift_per_s: float = 1.0
    tolerance: float = 1e-6


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where a part sits: what the site file says of its bus and its options (the driver's field names, base units)."""

    kind: str
    device: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    baud: int = 9600


@dataclass(frozen=True, slots=True)
class FakePart:
    """The counterpart of a driver's Spec. Every module of `fake_hw.parts` that stands for a driver has one, `PART`.

    name: the driver's. quantities: wiring → channel name → what is sensed. faults: the kinds this part can have.
    place: (machine, device name, wiring): puts one on its bus.
    """

    name: str
    quantities: Callable[[Wiring], Mapping[str, Quantity]]
    faults: frozenset[str]
    place: Callable[["Machine", str, Wiring], None]


class FakeBus(Protocol):
    """What every simulated bus can do besides taking parts."""

    def sync(self) -> None:
        """Appear, or vanish, as its condition says."""
        ...

    def vanish(self) -> None:
        """Take every node away: the machine ends."""
        ...


class NotSimulated(LookupError):
    """No part stands for this driver here."""


class Machine:
    """Nodes below `root`. strict: released GPIO outputs fall back to inputs (see fake_hw.buses.gpio).

    Raises RuntimeError when another simulator has this root.
    """

    def __init__(self, root: str, *, strict: bool = False, seed: int = 1) -> None:
        os.makedirs(os.path.join(root, "dev"), exist_ok=True)
        self.root = root
        self._lock = _exclusive(root)
        self.strict = strict
        self.loop = Loop()
        self.chance = random.Random(seed)
        self.clock = time.monotonic
        self.conditions: dict[str, Condition] = {}
        self.truths: dict[str, float] = {}
        self.aliases: dict[str, str] = {}  # a bus's node → the name its condition has
        self.steps: list[Callable[[], None]] = []  # what every tick and every change carries to the wires
        self.renewals: list[
            Callable[[], None]
        ] = []  # what a change carries there besides: files that tick by themselves
        self.log = LineLog(os.path.join(root, "lines.jsonl"))
        self.lines = Lines(self.log, bcm2711_lines())
        self._buses: dict[tuple[str, str], Any] = {}
        self._thread: threading.Thread | None = None

    def path(self, node: str) -> str:
        """A node of the machine below the root."""
        return os.path.join(self.root, node.lstrip("/"))

    def bus(self, kind: str, device: str = "") -> Any:
        """The bus of this node, made at the first call; also "pwm", the kernel's PWM controllers."""
        key = (kind, device)
        if key not in self._buses:
            module = importlib.import_module(f"fake_hw.buses.{_MODULES[kind]}")
            self._buses[key] = module.create(self, device)
        return self._buses[key]

    def condition(self, name: str, kinds: frozenset[str] = frozenset()) -> Condition:
        """The condition of a device or bus; the same one for the same name, able to have all the kinds ever named."""
        name = self.aliases.get(name, name)
        known = self.conditions.get(name)
        if known is None:
            known = self.conditions[name] = Condition(name, kinds, self.clock)
        known.kinds |= kinds
        return known

    def probe(self, name: str, channel: str, quantity: Quantity, condition: Condition) -> Probe:
        """A sensing element for `truths["name.channel"]`."""
        point = f"{name}.{channel}"
        self.truths.setdefault(point, quantity.start)
        return Probe(condition, lambda: self.truths[point], quantity.noise, quantity.drift_per_s, self.chance)

    def probes(self, name: str, part: FakePart, wiring: Wiring, condition: Condition) -> dict[str, Probe]:
        """channel → sensing element, for every quantity of the part."""
        quantities = part.quantities(wiring)
        return {channel: self.probe(name, channel, each, condition) for channel, each in quantities.items()}

    def add(self, name: str, bus: FakeBus) -> None:
        """Something else with a node of its own, such as the simulator's command socket."""
        self._buses[(name, "")] = bus

    def place(self, driver: str, name: str, wiring: Wiring) -> FakePart:
        """Put the counterpart of a driver on its bus under this device name. Call it before `start`, or in `do`.

        Raises NotSimulated when there is no such part.
        """
        module = f"fake_hw.parts.{driver}"
        if importlib.util.find_spec(module) is None:
            raise NotSimulated(f"nobody has simulated a {driver} yet: add fake_hw/parts/{driver}.py")
        part: FakePart = importlib.import_module(module).PART
        part.place(self, name, wiring)
        return part

    def apply(self) -> None:
        """Carry everything that has changed to the wires. In the loop's thread, or before `start`."""
        for step in self.steps:
            step()
        for bus in tuple(self._buses.values()):
            bus.sync()

    def changed(self) -> None:
        """Something other than time changed: have it on every wire now. In the loop's thread, or before `start`."""
        self.apply()
        for renew in self.renewals:
            renew()

    def do(self, action: Callable[[], None] = lambda: None) -> None:
        """Run something in the machine's thread, carry the change to the wires, and return when both are done."""
        if self._thread is None or self._thread is threading.current_thread():
            action()
            self.changed()
            return
        done = threading.Event()

        def run() -> None:
            try:
                action()
                self.changed()
            finally:
                done.set()

        self.loop.soon(run)
        if not done.wait(10.0):
            raise RuntimeError("the simulated machine hangs")

    def set(self, **truths: float) -> None:
        """Change truths, written `device__channel=value`, and have them on the wires."""
        self.do(lambda: self.truths.update({key.replace("__", "."): value for key, value in truths.items()}))

    def truth(self, point: str) -> float:
        """What is true now of `name.channel`: of an output's part, what its load does."""
        self.do()  # a part may have to look at its wire first
        return self.truths[point]

    def fault(self, name: str, kind: str, for_s: float = float("inf")) -> None:
        """Inflict a fault, or end it ("none"), and have it on the wires."""
        condition = self.conditions[name]
        self.do(lambda: condition.heal() if kind == "none" else condition.inflict(kind, for_s))

    def plug(self, name: str, plugged: bool) -> None:
        """Pull a device or bus off, or put it back."""
        self.do(lambda: setattr(self.conditions[name], "plugged", plugged))

    def start(self) -> None:
        """Play in a thread of this process; every node is there when this returns."""
        self._appear()
        self._thread = threading.Thread(target=self._play, name="machine", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Play in this thread until `stop`."""
        self._appear()
        self._play()

    def stop(self) -> None:
        """End `start` or `run`; from any thread or signal handler, and harmless when repeated."""
        self.loop.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _appear(self) -> None:
        self.changed()
        self.loop.every(TICK_S, self.apply)
        with open(self.path("ready"), "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")

    def _play(self) -> None:
        try:
            self.loop.run()
        finally:
            self._vanish()

    def _vanish(self) -> None:
        """Take every node away; the log stays."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("ready"))
        for bus in self._buses.values():
            bus.vanish()
        self.log.close()
        self.loop.close()
        os.close(self._lock)


def _exclusive(root: str) -> int:
    """The lock of this root, as a descriptor. Raises RuntimeError when it is taken."""
    descriptor = os.open(os.path.join(root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RuntimeError(f"another simulator already plays {root}: stop it or choose another root") from None
    return descriptor
