"""Every driver under every fault its part can have: flagged within the deadline, and never a wrong Good value."""

import importlib
import queue
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from drivers import pages, registry
from drivers.buses import open_bus
from fake_hw.buses import i2c as fake_i2c
from fake_hw.inject import install
from fake_hw.machine import FakePart, Machine, Quantity, Wiring
from gateway.control.readings import ReadingMaker
from gateway.core.driver import Bus, BusKind, Spec
from gateway.core.errors import DeviceError
from gateway.core.quality import Quality
from gateway.core.reading import Reading, Sample
from gateway.local.clock import SystemClock
from gateway.local.polling import BusWorker, Outcome, Overseer, PolledDevice
from gateway.settings.model import Device

LATE_S = 0.5
"""How much later than the deadline a flag may come on a machine that is busy with other tests."""
POLLS = 3
SETTLED_S = 6.0
"""How long a load may need whose level is a part of the time."""
VALUE_FAULTS = {"frozen", "drift"}
"""The element itself lies: its bytes are right, so no driver can know."""
DAMAGING = {"flip", "garbage", "crc", "short", "echo"}
MANY_S = 0.6
NODES: dict[BusKind, str] = {
    "i2c": "/dev/i2c-{}",
    "spi": "/dev/spidev{}.0",
    "serial": "/dev/serial/by-id/usb-PART-{}",
    "modbus_rtu": "/dev/serial/by-id/usb-RS485-{}",
    "evdev": "/dev/input/by-id/usb-SCANNER-{}-event-kbd",
}
"""Kinds of bus of which each fault gets one of its own, so that all are tried at once; of the others there is one."""
SHARED: dict[BusKind, str] = {"gpio": "/dev/gpiochip0"}
OF_THE_NETWORK = {"mqtt"}
"""Drivers whose other end is a broker: tests/drivers/test_mqtt.py breaks a real one."""
POLLED = [spec for spec in map(registry.load, registry.known()) if spec.direction == "polled"]
INPUTS = [spec for spec in map(registry.load, registry.known()) if spec.direction == "input"]


def part_of(spec: Spec) -> FakePart:
    """The driver's counterpart; its absence is this test's failure."""
    part: FakePart = importlib.import_module(f"fake_hw.parts.{spec.name}").PART
    return part


def cases() -> list[Any]:
    """(driver, kind of bus) of everything that is polled."""
    return [
        pytest.param(spec, kind, id=f"{spec.name}-{kind}")
        for spec in POLLED
        for kind in spec.buses
        if kind not in OF_THE_NETWORK and kind != "modbus_tcp"
    ]


class Rig:
    """One part on a simulated wire, polled by the worker and judged by the reading maker that control uses."""

    def __init__(self, machine: Machine, spec: Spec, kind: BusKind, number: int, fault: str) -> None:
        self.spec, self.kind, self.fault = spec, kind, fault
        self.name = f"part_{number}"
        self.options = pages.sample_options(spec)
        self.machine = machine
        device = NODES.get(kind, SHARED.get(kind, "")).format(number)
        plain = {name: getattr(self.options, name) for name in self.options.__slots__}
        wiring = Wiring(kind, device, plain)
        self.quantities = machine.place(spec.name, self.name, wiring).quantities(wiring)
        self.channels = spec.channels(self.options)
        self._maker = ReadingMaker(
            (Device(self.name, spec.name, "bus", "control", "polled", 1.0, 1.0, {}, tuple(self.channels)),)
        )
        self._bus = open_bus(Bus("bus", kind, device), machine.root)

    def inflict(self) -> None:
        """Let the fault begin."""
        if self.fault == "unplugged":
            self.machine.plug(self.name, False)
        elif self.fault:
            self.machine.fault(self.name, self.fault)

    def readings(self) -> list[Reading]:
        """The readings of some polls, each of which must have its outcome within the deadline."""
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        deadline_s = self.spec.deadline_of(self.options)
        device = PolledDevice(
            self.name,
            round(self.spec.min_every_s * 1e9),
            round(deadline_s * 1e9),
            lambda: self.spec.open(self._bus, self.options),
        )
        clock = SystemClock()
        worker = BusWorker("bus", (device,), outcomes.put, clock)
        overseer = Overseer(clock, (worker.check,))
        worker.start()
        overseer.start()
        try:
            wait_s = self.spec.min_every_s + deadline_s + LATE_S
            polls = POLLS if self.spec.min_every_s <= 0.5 else 1
            seen = [outcomes.get(timeout=wait_s) for _ in range(polls)]
        finally:
            worker.stop(0.0)
            overseer.stop()
        if self.fault in DAMAGING:
            seen += self._many()
        return [reading for outcome in seen for reading in self._maker.make(outcome)]

    def _many(self) -> Iterator[Outcome]:
        """What reads in quick succession gave: damage is random, and one lucky bit must not get through."""
        end_s, driver = time.monotonic() + MANY_S, None
        while time.monotonic() < end_s:
            try:
                driver = driver or self.spec.open(self._bus, self.options)
                samples = tuple(each for each in driver.read() if isinstance(each, Sample))
            except DeviceError:
                driver = None  # as the worker does
            else:
                yield Outcome(self.name, 0, samples)

    def wrong(self, readings: list[Reading]) -> list[Reading]:
        """The readings that must not be."""
        if not self.fault:
            return [each for each in readings if each.quality is Quality.BAD or not self._is_honest(each)]
        if self.fault == "unplugged" and self.kind != "gpio":
            return [each for each in readings if each.quality is not Quality.BAD]
        return [each for each in readings if not self._is_honest(each)]

    def _is_honest(self, reading: Reading) -> bool:
        """A value that counts as Good is the truth; where the wire can't show the fault, it is at least possible."""
        channel = next(each for each in self.channels if reading.point == f"{self.name}.{each.name}")
        quantity = self.quantities.get(channel.name)
        if quantity is None or reading.quality is Quality.BAD:
            return True
        if self.fault in self.spec.undetected or self.fault in VALUE_FAULTS:
            inside = channel.is_binary or channel.low <= float(reading.value or 0) <= channel.high
            return inside or reading.quality is not Quality.GOOD
        if reading.quality is Quality.UNCERTAIN and self.fault:
            return True
        return is_right(reading, self.machine.truths[reading.point], quantity)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine to place parts on; stopped afterwards."""
    root = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    monkeypatch.setattr(fake_i2c, "ADAPTER_TIMEOUT_S", 0.2)  # the kernel's second, shortened: many cases wait for it
    made = Machine(root, seed=7)
    undo = install(root)
    yield made
    undo()
    made.stop()
    shutil.rmtree(root, ignore_errors=True)
    for module in ("adafruit_dht", "board", "digitalio", "microcontroller", "pulseio"):
        sys.modules.pop(module, None)  # they belong to this machine's root


def is_right(reading: Reading, truth: float, quantity: Quantity) -> bool:
    """Whether a value is what the part senses, as far as part and resolution allow."""
    return reading.value is not None and abs(float(reading.value) - truth) <= quantity.tolerance


@pytest.mark.parametrize(("spec", "kind"), cases())
def test_no_fault_gives_a_wrong_good_value(machine: Machine, spec: Spec, kind: BusKind) -> None:
    """Healthy parts are right; broken ones are flagged in time, but for what the driver's page calls undetected."""
    faults = ("", "unplugged", *sorted(part_of(spec).faults))
    if kind not in NODES:
        rig = Rig(machine, spec, kind, 0, "")
        machine.start()
        assert {fault: rig.wrong(tried(rig, fault)) for fault in faults} == {fault: [] for fault in faults}
        return
    rigs = {fault: Rig(machine, spec, kind, number, fault) for number, fault in enumerate(faults)}
    machine.start()
    for rig in rigs.values():
        rig.inflict()
    with ThreadPoolExecutor(len(rigs)) as pool:
        readings = dict(zip(rigs, pool.map(Rig.readings, rigs.values()), strict=True))
    assert {fault: rig.wrong(readings[fault]) for fault, rig in rigs.items()} == {fault: [] for fault in faults}


def tried(rig: Rig, fault: str) -> list[Reading]:
    """One fault after the other, where all share one bus: what was read meanwhile."""
    rig.fault = fault
    rig.inflict()
    readings = rig.readings()
    rig.machine.fault(rig.name, "none")
    rig.machine.plug(rig.name, True)
    return readings


@pytest.mark.parametrize("spec", INPUTS, ids=lambda spec: spec.name)
def test_an_input_is_right_through_bounce_and_says_when_its_chip_is_gone(machine: Machine, spec: Spec) -> None:
    """Each change is told once, however the contact bounces; without its chip the level is an error, not a level."""
    options = pages.sample_options(spec)
    wiring = Wiring("gpio", SHARED["gpio"], {name: getattr(options, name) for name in options.__slots__})
    (channel,) = machine.place(spec.name, "input", wiring).quantities(wiring)
    machine.start()
    bus: Any = open_bus(Bus("header", "gpio", SHARED["gpio"]), machine.root)
    line, told = spec.open(bus, options), queue.SimpleQueue[bool]()
    line.watch(lambda active, _: told.put(active))
    for fault in ("none", "bounce"):
        machine.fault("input", fault)
        for truth in (True, False):
            machine.set(**{f"input__{channel}": float(truth)})
            assert told.get(timeout=5) is truth
            assert line.is_active() is truth
    with pytest.raises(queue.Empty):
        told.get(timeout=0.1)
    machine.plug(SHARED["gpio"], False)
    with pytest.raises(DeviceError):
        line.is_active()
    machine.plug(SHARED["gpio"], True)
    assert line.is_active() is False
    bus.close()


def test_every_driver_is_held_to_it() -> None:
    """Nothing is polled without a counterpart that can break."""
    held = {str(case.values[0].name) for case in cases()} | OF_THE_NETWORK
    assert held >= {spec.name for spec in POLLED}
    for spec in POLLED:
        if spec.name not in OF_THE_NETWORK:
            part = part_of(spec)
            assert part.name == spec.name
            assert part.faults, f"{spec.name}: its part can't break"
            assert not set(spec.undetected) - part.faults, f"{spec.name}: undetected names what its part can't have"


class Driven:
    """An output's part on a simulated wire, and its driver above, as the guard uses it."""

    def __init__(self, machine: Machine, spec: Spec) -> None:
        self.machine = machine
        self.spec = spec
        self.options = pages.sample_options(spec)
        self.device = NODES.get(spec.bus, SHARED.get(spec.bus, "")).format(1)
        plain = {name: getattr(self.options, name) for name in self.options.__slots__}
        machine.place(spec.name, "part", Wiring(spec.bus, self.device, plain))
        machine.start()
        (channel,) = spec.channels(self.options)
        self._point, self._is_binary = f"part.{channel.name}", channel.is_binary
        self.off: float | bool = False if channel.is_binary else 0.0
        self.on: float | bool = True if channel.is_binary else 60.0
        self._bus = open_bus(Bus("bus", spec.bus, self.device), machine.root)
        self.handle: Any = None
        self._due_ns = 0

    @property
    def breaks(self) -> str:
        """What is pulled out: the part, or the chip that its line belongs to."""
        return SHARED.get(self.spec.bus, "part")

    def claim(self, safe: object) -> None:
        self.handle = self.spec.open(self._bus, self.options, safe)

    def load(self) -> float | bool:
        """What the load does."""
        truth = self.machine.truth(self._point)
        return truth > 0.5 if self._is_binary else truth

    def put(self, level: object) -> None:
        """As the guard does it: drive, read back, let the handle do what it does by itself."""
        self.handle.drive(level)
        assert self.handle.level() == pytest.approx(level, abs=0.5)
        self._due_ns = 0
        self._serve()

    def comes_to(self, level: float | bool) -> bool:
        """Whether the load does this: at once, or where a level is a part of the time as the mean of a few periods."""
        give_up = time.monotonic() + (0.0 if self._is_binary else SETTLED_S)
        while not (right := self.load() == pytest.approx(level, abs=2.0)) and time.monotonic() < give_up:
            self._serve()
            time.sleep(0.001)
        return right

    def _serve(self) -> None:
        service, now_ns = getattr(self.handle, "service", None), SystemClock().now_ns()
        if service is not None and now_ns >= self._due_ns:
            self._due_ns = service(now_ns)
            assert self._due_ns > now_ns

    def close(self) -> None:
        self._bus.close()


def outputs() -> list[Any]:
    """Every driver of an output."""
    specs = [spec for spec in map(registry.load, registry.known()) if spec.direction == "output"]
    return [pytest.param(spec, id=spec.name) for spec in specs]


@pytest.fixture
def driven(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Driven]:
    """The part of one output driver."""
    made = Driven(machine, request.param)
    yield made
    made.close()


each_output = pytest.mark.parametrize("driven", outputs(), indirect=True)


@each_output
def test_what_is_driven_appears_at_the_load_and_reads_back(driven: Driven) -> None:
    """Claiming at safe energises nothing; on and off reach the load."""
    driven.claim(driven.off)
    assert driven.load() == driven.off
    for level in (driven.on, driven.off, driven.on):
        driven.put(level)
        assert driven.comes_to(level)


@each_output
def test_an_output_claimed_on_a_part_that_was_left_on_is_safe(driven: Driven) -> None:
    """A control that died left it on: its successor's claim makes it safe."""
    driven.claim(driven.off)
    driven.put(driven.on)
    close = getattr(driven.handle, "close", None)
    if close is not None:
        close()
    driven.claim(driven.off)
    assert driven.comes_to(driven.off)


@each_output
def test_an_output_that_is_unplugged_says_so_and_is_driven_again(driven: Driven) -> None:
    """An error within the deadline, never a level; plugged in again it is driven to what is wanted."""
    driven.claim(driven.off)
    driven.put(driven.on)
    driven.machine.plug(driven.breaks, False)
    for attempt in (lambda: driven.handle.drive(driven.on), driven.handle.level):
        began = time.monotonic()
        with pytest.raises(OSError, match=r"\w"):
            attempt()
        assert time.monotonic() - began < driven.spec.deadline_of(driven.options) + LATE_S
    driven.machine.plug(driven.breaks, True)
    driven.put(driven.on)
    assert driven.comes_to(driven.on)


@each_output
def test_a_healthy_looking_read_back_is_the_truth_under_every_fault(driven: Driven) -> None:
    """What is read back without an error is what the part does, but for what the driver's page calls undetected."""
    part = part_of(driven.spec)
    assert part.name == driven.spec.name
    assert not set(driven.spec.undetected) - part.faults
    driven.claim(driven.off)
    wrong: list[str] = []
    for fault in sorted(part.faults - set(driven.spec.undetected)):
        for level in (driven.on, driven.off):
            driven.machine.fault("part", fault)
            began = time.monotonic()
            try:
                driven.put(level)
            except OSError:
                right = True
                took_s = time.monotonic() - began
            else:
                took_s = time.monotonic() - began
                right = driven.comes_to(level)
            in_time = took_s < 2 * driven.spec.deadline_of(driven.options) + LATE_S
            driven.machine.fault("part", "none")
            wrong += [] if right and in_time else [f"{fault}: {level}, {right=}, {in_time=}"]
    assert wrong == []


def test_every_output_says_how_it_is_made_safe() -> None:
    """The safe-state program must know each kind of output."""
    bus = Bus("bus", "gpio", "/dev/NODE")
    for case in outputs():
        spec: Spec = case.values[0]
        options = pages.sample_options(spec)
        safe = False if spec.channels(options)[0].is_binary else 0.0
        lines = spec.safe_state(bus, options, safe)
        assert lines
        assert all(line.split()[0] in {"gpio", "i2c", "modbus", "file"} and "\n" not in line for line in lines)
