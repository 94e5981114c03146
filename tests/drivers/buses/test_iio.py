"""The kernel's IIO devices as a tree of files."""

import errno
import os
from collections.abc import Iterator

import pytest

from drivers.buses import open_bus
from drivers.buses.iio import IioDevices
from fake_hw.buses.iio import Device
from fake_hw.inject import install
from fake_hw.machine import Machine
from gateway.core.driver import Bus
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected


@pytest.fixture
def shown() -> dict[str, str | int]:
    """What the tested device's attributes are at present."""
    return {"in_temp_input": "21500\n"}


@pytest.fixture
def machine(root: str, shown: dict[str, str | int]) -> Iterator[Machine]:
    """Three devices: two of one name, told apart by their labels."""
    made = Machine(root)
    tree = made.bus("iio")
    tree.attach(Device("dht11@4", lambda: shown))
    tree.attach(Device("hx711", lambda: {"raw": "left"}, "left"))
    tree.attach(Device("hx711", lambda: {"raw": "right"}, "right"))
    made.start()
    undo = install(root)
    yield made
    undo()
    made.stop()


@pytest.fixture
def bus(machine: Machine) -> IioDevices:
    opened = open_bus(Bus("b", "iio"), machine.root)
    assert isinstance(opened, IioDevices)
    return opened


@pytest.mark.parametrize("name", ["dht11@4", "dht11"])
def test_a_device_is_found_by_its_name(bus: IioDevices, name: str) -> None:
    """Also without the unit address, which depends on the kernel's age."""
    assert bus.read(name, "in_temp_input") == "21500\n"


def test_equal_names_are_told_apart_by_label(bus: IioDevices) -> None:
    """Nothing is guessed: an ambiguous name is refused, with the cure."""
    assert [bus.read(label, "raw") for label in ("left", "right")] == ["left", "right"]
    with pytest.raises(NotConnected, match="2 kernel devices are called hx711: give each a label"):
        bus.read("hx711", "raw")


def test_an_absent_device_is_named_with_those_there(bus: IioDevices) -> None:
    """The error shows what the kernel has; so does a missing attribute."""
    with pytest.raises(NotConnected, match=r"device is called bme280 \(there are: dht11@4, hx711 left, hx711 r"):
        bus.read("bme280", "in_temp_input")
    with pytest.raises(NotConnected, match="there is no in_pressure_input of dht11"):
        bus.read("dht11", "in_pressure_input")


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.ETIMEDOUT, DeviceTimeout, "was silent"),
        (errno.EIO, DeviceError, "disturbed"),
        (errno.EAGAIN, DeviceError, "less often"),
    ],
)
def test_the_kernels_errors_are_told_apart(
    machine: Machine, bus: IioDevices, shown: dict[str, str | int], code: int, kind: type[DeviceError], words: str
) -> None:
    """A silent part, a disturbed one and one that is asked too soon; and a value again afterwards."""
    shown["in_temp_input"] = code
    machine.do()
    with pytest.raises(kind, match=words) as caught:
        bus.read("dht11", "in_temp_input")
    assert type(caught.value) is kind
    shown["in_temp_input"] = "-3000\n"
    machine.do()
    assert bus.read("dht11", "in_temp_input") == "-3000\n"


def test_a_device_that_is_bound_again_is_found_under_its_new_number(machine: Machine, bus: IioDevices) -> None:
    """Numbers are not names."""
    bus.read("dht11", "in_temp_input")
    before = sorted(os.listdir(machine.path("/sys/bus/iio/devices")))
    machine.plug("iio", False)
    with pytest.raises(NotConnected):
        bus.read("dht11", "in_temp_input")
    machine.plug("iio", True)
    assert sorted(os.listdir(machine.path("/sys/bus/iio/devices"))) != before
    assert bus.read("dht11", "in_temp_input") == "21500\n"


def test_between_two_reads_it_may_move(machine: Machine, bus: IioDevices) -> None:
    """Bound again unnoticed: the read looks it up anew."""
    bus.read("dht11", "in_temp_input")
    machine.plug("iio", False)
    machine.plug("iio", True)
    assert bus.read("dht11", "in_temp_input") == "21500\n"


def test_a_machine_without_iio(machine: Machine, bus: IioDevices) -> None:
    """No driver loaded: no directory, and a sentence."""
    machine.plug("iio", False)
    with pytest.raises(NotConnected, match=r"there are: none"):
        bus.read("dht11", "in_temp_input")
