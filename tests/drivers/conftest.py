"""A simulated machine in this process, and waiting with a deadline."""

import select
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers import registry
from drivers.buses import open_bus
from drivers.pages import sample_options
from fake_hw import client
from fake_hw.inject import install
from fake_hw.machine import Machine
from fake_hw.simulator import Simulator
from gateway.core.driver import Bus, BusKind
from tests.drivers.wire import Wire


@pytest.fixture
def root() -> Iterator[str]:
    """A short directory that plays the machine's /."""
    directory = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def kitchen(root: str) -> Iterator[Simulator]:
    """The simulated kitchen; this process finds its device nodes below `root`."""
    simulator = Simulator(root)
    simulator.start()
    undo = install(root)
    yield simulator
    undo()
    simulator.stop()
    for module in ("adafruit_dht", "board", "digitalio", "microcontroller", "pulseio"):
        sys.modules.pop(module, None)  # they belong to this machine's root


@pytest.fixture
def tell(kitchen: Simulator) -> Callable[[str], dict[str, Any]]:
    """Sends the simulator a command that must succeed."""

    def send(text: str) -> dict[str, Any]:
        answer = client.command(kitchen.root, text)
        assert answer["ok"], answer
        return answer

    return send


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition with a deadline."""

    def wait(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            select.select([], [], [], 0.005)

    return wait


METERS = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_METERS-if00-port0"
SCALES = "/dev/serial/by-id/usb-Prolific_USB-Serial_SCALE-if00-port0"
DEVICES: dict[BusKind, str] = {
    "i2c": "/dev/i2c-1",
    "gpio": "/dev/gpiochip0",
    "onewire": "",
    "dht": "",
    "serial": SCALES,
    "modbus_rtu": METERS,
}


@pytest.fixture
def device(kitchen: Simulator) -> Iterator[Callable[..., Any]]:
    """Opens a driver as its sample says, on the production bus, with some options changed."""
    opened: list[Any] = []

    def make(driver: str, **changes: Any) -> Any:
        spec = registry.load(driver)
        kind = next(each for each in spec.buses if each in DEVICES)  # the kitchen has no IIO driver
        bus = open_bus(Bus("bus", kind, DEVICES[kind]), kitchen.root)
        opened.append(bus)
        sample = sample_options(spec)
        return spec.open(bus, type(sample)(**{**{n: getattr(sample, n) for n in sample.__slots__}, **changes}))

    yield make
    for bus in opened:
        bus.close()


@pytest.fixture
def wire(root: str) -> Iterator[Wire]:
    """An empty machine; `wire.place(driver)` puts that driver's part on it."""
    machine = Machine(root)
    undo = install(root)
    made = Wire(machine)
    yield made
    made.close()
    undo()
    machine.stop()
