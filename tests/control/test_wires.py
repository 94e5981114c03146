"""The wires of control: parts behind a multiplexer are opened on their channel."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace

import pytest

from drivers.buses import open_bus
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from gateway.control.wires import Wires
from gateway.core.driver import Bus, Driver
from gateway.core.reading import Sample
from gateway.settings.model import Device, Mux


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Two sensors with one address behind one mux, 3 °C at channel 1 and 8 °C at channel 2."""
    root = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    made = Machine(root)
    undo = install(root)
    made.place("tca9548a", "mux", Wiring("i2c", "/dev/i2c-1", {"address": 0x70}))
    for channel, truth in ((1, 3.0), (2, 8.0)):
        made.place("sht4x", f"air{channel}", Wiring("i2c", f"/dev/i2c-1 mux 0x70 channel {channel}", {"address": 0x44}))
        made.truths[f"air{channel}.temperature"] = truth
    made.start()
    yield made
    undo()
    made.stop()
    shutil.rmtree(root, ignore_errors=True)


def read_of(driver: Driver) -> float:
    """The first sample's value."""
    (first, *_) = driver.read()
    assert isinstance(first, Sample)
    return first.value


def test_two_sensors_with_one_address_are_two_devices(machine: Machine) -> None:
    """The key `mux` of a device reaches its driver: each reads its own sensor."""
    wires = Wires(lambda bus: open_bus(bus, machine.root))
    wires.configure((Bus("sensors", "i2c", "/dev/i2c-1"),))
    drivers = [
        wires.device(
            Device(
                f"air{channel}",
                "sht4x",
                "sensors",
                "control",
                "polled",
                1.0,
                1.0,
                {"address": 0x44},
                (),
                mux=Mux(0x70, channel),
            )
        )
        for channel in (1, 2)
    ]
    for _ in range(2):
        assert [round(read_of(driver)) for driver in drivers] == [3, 8]
    wires.close()


def test_a_line_that_is_reopened_stays_one_line() -> None:
    """An output keeps what it was given, and devices get the same again: two handles would shut each other out."""
    handles: list[Handle] = []

    def opened(_bus: Bus) -> Handle:
        handles.append(Handle())
        return handles[-1]

    wires = Wires(opened)
    wires.configure((Bus("sensors", "i2c", "/dev/i2c-1"),))
    device = Device("air", "sht4x", "sensors", "control", "polled", 1.0, 1.0, {"address": 0x44}, ())
    wires.device(device)
    wires.reopen("sensors")
    wires.device(device)
    assert [handle.closed for handle in handles] == [1]


def test_a_bus_that_is_learnt_replaces_its_namesake_and_closes_nothing() -> None:
    """Between two configurations an output is claimed on the new bus, never on the old one of the same name."""
    opened: list[tuple[str, Handle]] = []

    def opener(bus: Bus) -> Handle:
        opened.append((bus.device, Handle()))
        return opened[-1][1]

    wires = Wires(opener)
    old, new, other = (Bus("board", "i2c", "/dev/i2c-1"), Bus("board", "i2c", "/dev/i2c-3"), Bus("more", "i2c", "/x"))
    air = Device("air", "sht4x", "board", "control", "polled", 1.0, 1.0, {"address": 0x44}, ())
    wires.configure((old, other))
    wires.device(air)
    wires.learn((new,))
    wires.device(air)
    wires.device(replace(air, bus="more"))
    assert [(device, handle.closed) for device, handle in opened] == [
        ("/dev/i2c-1", 0),
        ("/dev/i2c-3", 0),
        ("/x", 0),
    ]
    wires.configure((new,))
    assert [handle.closed for _, handle in opened] == [1, 0, 1]


class Handle:
    """A bus that counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
