"""Adapters that are pulled out and put back fifty times, some in the middle of a request."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers.buses import open_bus
from drivers.decoding import modbus_pdu as pdu
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from gateway.core.driver import Bus, BusKind
from gateway.core.errors import DeviceError

TIMES = 50
PARTS: dict[BusKind, tuple[str, str, dict[str, Any]]] = {
    "i2c": ("sht4x", "/dev/i2c-3", {"address": 0x44}),
    "spi": ("max31855", "/dev/spidev0.0", {}),
    "serial": ("barcode", "/dev/serial/by-id/usb-scanner", {}),
    "evdev": ("barcode", "/dev/input/by-id/usb-scanner-event-kbd", {}),
    "modbus_rtu": ("sdm120", "/dev/serial/by-id/usb-RS485", {"unit": 1}),
    "modbus_tcp": ("sdm120", "tcp://192.168.1.50:502", {"unit": 1}),
}
USES: dict[BusKind, Callable[[Any], object]] = {
    "i2c": lambda bus: bus.transfer(0x44, b"\x89"),
    "spi": lambda bus: bus.transfer(bytes(4), mode=0, speed_hz=1_000_000),
    "serial": lambda bus: bus.read(1, 0.01),
    "evdev": lambda bus: bus.keys(0.01),
    "modbus_rtu": lambda bus: bus.request(1, pdu.read("input", 0, 2), 0.1),
    "modbus_tcp": lambda bus: bus.request(1, pdu.read("input", 0, 2), 0.1),
}


@pytest.fixture
def machine(root: str) -> Iterator[Machine]:
    """A machine that the test places one part on."""
    made = Machine(root)
    undo = install(root)
    yield made
    undo()
    made.stop()


def open_descriptors() -> int:
    """Those of this process."""
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", PARTS)
def test_an_adapter_that_comes_and_goes_costs_nothing(machine: Machine, kind: BusKind) -> None:
    """Every loss is a DeviceError with a cure, and neither descriptors nor threads add up."""
    part, node, options = PARTS[kind]
    machine.place(part, "part", Wiring(kind, node, options))
    machine.start()
    bus: Any = open_bus(Bus("b", kind, node, url=node, baud=115200), machine.root)
    use = USES[kind]
    counts = []
    for number in range(TIMES):
        settled(use, bus)
        if number % 2:
            machine.plug(node, False)
        else:
            puller = threading.Timer(0.003, machine.plug, (node, False))
            puller.start()
            settled(use, bus)
            puller.join()
        settled(use, bus)
        counts.append((open_descriptors(), threading.active_count()))
        machine.plug(node, True)
    bus.close()
    assert max(counts[-10:]) <= max(counts[:10])


def settled(use: Callable[[Any], object], bus: Any) -> None:
    """Use the bus: an answer or a DeviceError with a cure, nothing else."""
    said = "an answer: good"
    try:
        use(bus)
    except DeviceError as error:
        said = str(error)
    assert ": " in said, "a cure is missing"
