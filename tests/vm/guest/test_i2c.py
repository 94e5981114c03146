"""I2C on a real kernel: a USB adapter with simulated parts behind it, and the kernel's own stand-in for parts."""

import errno
import importlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from smbus2 import SMBus

from drivers import registry
from drivers.buses.i2c import I2CAdapter
from drivers.buses.iio import IioDevices
from drivers.pages import sample_options
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from fake_hw.parts.sht4x import PART
from gateway.core.errors import DeviceError, DeviceTimeout, NotConnected
from gateway.core.reading import Sample
from tests.vm.guest.conftest import i2c_adapters, load, load_with, wait_until
from tests.vm.guest.mcp2221 import UsbAdapter

WIRES = "/dev/i2c-90"  # of the simulated machine


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A simulated machine with an adapter; a test places parts and starts it."""
    simulated = Machine(tempfile.mkdtemp(prefix="kg-"))
    simulated.bus("i2c", WIRES)
    yield simulated
    simulated.stop()
    shutil.rmtree(simulated.root)


@dataclass
class Stick:
    """The USB adapter on the simulated machine's wires, and the node the kernel gave it."""

    machine: Machine
    node: str = ""
    usb: UsbAdapter | None = None

    def plug(self, *parts: str) -> None:
        """Place parts, at the address of each driver's sample, and plug the adapter in."""
        for name in parts:
            options = sample_options(registry.load(name))
            plain = {field: getattr(options, field) for field in options.__slots__}
            self.machine.place(name, name, Wiring("i2c", WIRES, plain))
        self.machine.start()
        self.replug()

    def replug(self) -> None:
        """Plug the adapter in; returns when its node is there."""
        wait_until(lambda: not i2c_adapters("MCP2221"))
        self.usb = UsbAdapter(self.machine.path(WIRES))
        wait_until(lambda: [node for node in i2c_adapters("MCP2221") if Path(node).exists()])
        (self.node,) = i2c_adapters("MCP2221")

    def unplug(self) -> None:
        """Pull it out."""
        if self.usb is not None:
            self.usb.unplug()

    def bind(self, module: str, chip: str, address: int) -> Path:
        """Have the kernel's own driver take a part."""
        load(module)
        device = Path(f"/sys/bus/i2c/devices/{Path(self.node).name}")
        (device / "new_device").write_text(f"{chip} {address:#04x}\n")
        bound = Path(f"/sys/bus/i2c/devices/{Path(self.node).name.removeprefix('i2c-')}-{address:04x}")
        wait_until((bound / "driver").exists)
        return bound


@pytest.fixture
def stick(machine: Machine) -> Iterator[Stick]:
    """Not plugged in yet."""
    load("i2c-dev", "uhid", "hid-mcp2221")
    made = Stick(machine)
    yield made
    made.unplug()
    wait_until(lambda: not i2c_adapters("MCP2221"))


def values(driver: str, bus: I2CAdapter) -> dict[str, float]:
    """What our driver reads, by channel."""
    spec = registry.load(driver)
    samples = spec.open(bus, sample_options(spec)).read()
    return {sample.channel: float(sample.value) for sample in samples if isinstance(sample, Sample)}


@pytest.mark.parametrize("driver", ["sht4x", "sht3x", "bme280"])
def test_our_drivers_read_parts_through_a_real_adapter(stick: Stick, driver: str) -> None:
    """smbus2, i2c-dev, a real adapter driver with its limits, USB reports: every value is the truth."""
    stick.plug(driver)
    bus = I2CAdapter(stick.node)
    quantities = importlib.import_module(f"fake_hw.parts.{driver}").PART.quantities(Wiring("i2c"))
    seen = values(driver, bus)
    bus.close()
    assert seen == {name: pytest.approx(each.start, abs=each.tolerance) for name, each in quantities.items()}


@pytest.mark.parametrize(("attribute", "channel"), [("temp1_input", "temperature"), ("humidity1_input", "humidity")])
def test_the_kernels_own_driver_believes_our_part(stick: Stick, attribute: str, channel: str) -> None:
    """The kernel's driver for the SHT4x, which shares nothing with ours, reads the simulated one's truth."""
    stick.plug("sht4x")
    bound = stick.bind("sht4x", "sht4x", 0x44)
    quantity = PART.quantities(Wiring("i2c"))[channel]
    (found,) = bound.glob(f"hwmon/hwmon*/{attribute}")
    assert int(found.read_text()) / 1000 == pytest.approx(quantity.start, abs=quantity.tolerance)


def test_the_iio_bus_reads_the_kernels_own_driver(stick: Stick) -> None:
    """The kernel's bmp280 driver believes our BME280, and our IIO bus reads what it says by the device's name."""
    stick.plug("bme280")
    stick.bind("bmp280-i2c", "bme280", sample_options(registry.load("bme280")).address)
    iio = IioDevices()
    seen = {name: float(iio.read("bme280", f"in_{name}_input")) for name in ("temp", "pressure", "humidityrelative")}
    assert seen["temp"] / 1000 == pytest.approx(23.0, abs=0.05)
    assert seen["pressure"] * 10 == pytest.approx(1009.0, abs=0.2)
    assert seen["humidityrelative"] / 1000 == pytest.approx(52.0, abs=0.2)
    with pytest.raises(NotConnected, match=r"no kernel device is called dht11 \(there are: bme280"):
        iio.read("dht11", "in_temp_input")
    stick.unplug()
    wait_until(lambda: not i2c_adapters("MCP2221"))
    with pytest.raises(NotConnected):
        iio.read("bme280", "in_temp_input")


def outcome(bus: I2CAdapter) -> str:
    """What a measurement comes to, in one word."""
    try:
        bus.transfer(0x44, b"\xfd")
        time.sleep(0.02)
        return f"{len(bus.transfer(0x44, b'', 6))} bytes"
    except DeviceError as error:
        return type(error).__name__


@pytest.mark.parametrize("fault", ["none", "nack", "stuck", "ones"])
def test_both_ways_to_a_part_come_to_the_same(stick: Stick, machine: Machine, fault: str) -> None:
    """A fault has the same outcome below Python's system calls (T0) and through the kernel."""
    stick.plug("sht4x")
    real = I2CAdapter(stick.node)
    undo = install(machine.root)
    simulated = I2CAdapter(WIRES, machine.root)
    machine.fault("sht4x", fault)
    seen = outcome(simulated), outcome(real)
    simulated.close()
    undo()
    real.close()
    expected = {"none": "6 bytes", "ones": "6 bytes", "nack": "NotConnected", "stuck": "DeviceTimeout"}[fault]
    assert seen == (expected, expected)


def test_an_absent_part_is_not_connected(stick: Stick) -> None:
    """Nobody at an address: the adapter says ENXIO, we say where."""
    stick.plug("sht4x")
    bus = I2CAdapter(stick.node)
    with pytest.raises(NotConnected, match=f"nothing answers at 0x45 on {stick.node}") as caught:
        bus.transfer(0x45, b"\xfd")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENXIO
    assert len(bus.transfer(0x44, b"\x89")) == 0
    bus.close()


def test_an_adapter_that_was_pulled_out_lets_go_and_comes_back(stick: Stick) -> None:
    """The kernel keeps an adapter while somebody has it open: we let go at the first error, and find it again."""
    stick.plug("sht4x")
    bus = I2CAdapter(stick.node)
    assert outcome(bus) == "6 bytes"
    stick.unplug()
    wait_until(lambda: outcome(bus) == "NotConnected")
    wait_until(lambda: not i2c_adapters("MCP2221"))
    with pytest.raises(NotConnected, match=r"can't open .*: enable the bus"):
        bus.transfer(0x44, b"\xfd")
    stick.replug()
    assert outcome(bus) == "6 bytes"
    bus.close()


@pytest.fixture
def stub() -> str:
    """i2c-stub: memory that answers SMBus calls at one address."""
    load("i2c-dev")
    if not i2c_adapters("SMBus stub"):
        load_with("i2c-stub", "chip_addr=0x48")
    wait_until(lambda: [node for node in i2c_adapters("SMBus stub") if Path(node).exists()])
    return i2c_adapters("SMBus stub")[0]


def test_the_kernels_stub_knows_no_combined_transfers(stub: str) -> None:
    """i2c-stub speaks SMBus only: our transfers are refused as such, and not taken for an absent part."""
    bus = I2CAdapter(stub)
    with pytest.raises(DeviceError, match="Operation not supported") as caught:
        bus.transfer(0x48, b"\x00", 2)
    assert not isinstance(caught.value, NotConnected | DeviceTimeout)
    bus.close()
    with SMBus(stub) as smbus:
        smbus.write_word_data(0x48, 1, 0x1234)
        assert smbus.read_word_data(0x48, 1) == 0x1234
        with pytest.raises(OSError, match="No such device") as absent:
            smbus.read_byte(0x49)
    assert absent.value.errno == errno.ENODEV
