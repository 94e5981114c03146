"""A machine whose parts are placed by their drivers' names."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from drivers import pages, registry
from drivers.buses import open_bus
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from gateway.core.driver import Bus
from gateway.core.errors import NotConnected


@pytest.fixture
def machine(root: str) -> Iterator[Machine]:
    """A machine that tests place parts on and start."""
    made = Machine(root)
    undo = install(root)
    yield made
    undo()
    made.stop()


def opened(machine: Machine, driver: str, bus: Bus, **changes: Any) -> Any:
    """The production driver with its sample's options on the production bus."""
    spec = registry.load(driver)
    options = dataclasses.replace(pages.sample_options(spec), **changes)
    return spec.open(open_bus(bus, machine.root), options)


def test_a_placed_part_answers_its_driver_with_the_truth(machine: Machine) -> None:
    """What `set` makes true is what the driver reads, over the wire and within the part's tolerance."""
    part = machine.place("sht4x", "air", Wiring("i2c", "/dev/i2c-3", {"address": 0x46}))
    machine.start()
    sensor = opened(machine, "sht4x", Bus("b", "i2c", "/dev/i2c-3"), address=0x46)
    machine.set(air__temperature=-20.5)
    tolerance = part.quantities(Wiring("i2c"))["temperature"].tolerance
    assert sensor.read()[0].value == pytest.approx(-20.5, abs=tolerance)


def test_faults_and_plugs_reach_the_wire_before_the_call_returns(machine: Machine) -> None:
    """A test can count on the fault from the next line on."""
    machine.place("sht4x", "air", Wiring("i2c", "/dev/i2c-3", {"address": 0x44}))
    machine.start()
    sensor = opened(machine, "sht4x", Bus("b", "i2c", "/dev/i2c-3"))
    machine.fault("air", "nack")
    with pytest.raises(NotConnected):
        sensor.read()
    machine.fault("air", "none")
    machine.plug("/dev/i2c-3", False)
    with pytest.raises(NotConnected):
        sensor.read()
    machine.plug("/dev/i2c-3", True)
    assert len(sensor.read()) == 2


def test_a_part_that_nobody_simulated_is_named(machine: Machine) -> None:
    """The error says which file is missing."""
    with pytest.raises(LookupError, match=r"add fake_hw/parts/warp_drive\.py"):
        machine.place("warp_drive", "engine", Wiring("i2c"))
