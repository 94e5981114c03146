"""The safe-state program on relay boards: each kind of entry proven on a simulated part, each bus for itself."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from drivers import modbus_output, pages, registry
from drivers.buses import open_bus
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from gateway.core.driver import Bus

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "libexec" / "safe-state"
LINE = "/dev/serial/by-id/usb-RS485-1"
BUSES = {
    "relay": Bus("header", "gpio", "/dev/gpiochip0"),
    "mcp23017": Bus("sensors", "i2c", "/dev/i2c-1"),
    "modbus_output": Bus("machines", "modbus_rtu", LINE),
}
NAMES = {"relay": "gas_valve", "mcp23017": "siren", "modbus_output": "hood_fan"}
MUXED = Bus("sensors", "i2c", "/dev/i2c-1 mux 0x70 channel 3")


def sealed(*lines: str) -> bytes:
    data = "".join(f"{line}\n" for line in lines).encode()
    return data + b"crc32 %08x\n" % zlib.crc32(data)


def plain(options: Any) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__slots__}


def entries(driver: str, safe: bool = False) -> tuple[str, ...]:
    """What the driver says of its sample."""
    spec = registry.load(driver)
    return spec.safe_state(BUSES[driver], pages.sample_options(spec), safe)


class Plant:
    """A valve on a GPIO line, a siren on an I2C board and a fan on a Modbus board, all left on by who died."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.machine = Machine(root)
        for driver, bus in BUSES.items():
            options = plain(pages.sample_options(registry.load(driver)))
            self.machine.place(driver, NAMES[driver], Wiring(bus.type, bus.device, options))
        self.machine.bus("gpio", "/dev/gpiochip0")
        self.machine.start()

    def energise(self) -> None:
        """What a control did before it was killed."""
        for driver, bus in BUSES.items():
            spec = registry.load(driver)
            opened: Any = open_bus(bus, self.root)
            handle = spec.open(opened, pages.sample_options(spec), False)
            handle.drive(True)
            opened.close()
        assert self.on() == set(NAMES.values())

    def on(self) -> set[str]:
        """The loads that have power."""
        return {name for name in NAMES.values() if self.machine.truth(f"{name}.on") > 0.5}

    def begin(self, data: bytes) -> subprocess.Popen[str]:
        """The program in a process of its own."""
        path = Path(self.root, "list")
        path.write_bytes(data)
        command = [sys.executable, "-m", "fake_hw.inject", self.root, str(PROGRAM), str(path), "--root", self.root]
        return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, data: bytes) -> tuple[int, str]:
        """(exit code, what it printed)."""
        process = self.begin(data)
        out, err = process.communicate(timeout=20)
        assert err == ""
        return process.returncode, out


@pytest.fixture
def plant() -> Iterator[Plant]:
    """The plant, whose loads are on."""
    root = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    undo = install(root)
    made = Plant(root)
    made.energise()
    yield made
    undo()
    made.machine.stop()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The program as a module."""
    loader = SourceFileLoader("safe_state", str(PROGRAM))
    spec = importlib.util.spec_from_loader("safe_state", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


ALL = [line for driver in BUSES for line in entries(driver)]


def test_every_kind_of_output_is_driven_and_proven(plant: Plant) -> None:
    """The lines that the drivers give are understood, each is told, and no load has power any more."""
    code, out = plant.run(sealed(*ALL))
    assert plant.on() == set()
    assert code == 0, out
    assert len(out.splitlines()) == len(ALL)
    assert "GPIO17 on /dev/gpiochip0: 0" in out
    assert "0x20 on /dev/i2c-1: register 0x14 & 0x08 = 0x00" in out
    assert f"unit 6 on {LINE}: coil 0x0000 = 0x0000" in out


def test_what_is_safe_on_stays_on(plant: Plant) -> None:
    """A load whose safe state is on is not switched off on the way."""
    code, out = plant.run(sealed(*(line for driver in BUSES for line in entries(driver, safe=True))))
    assert code == 0, out
    assert plant.on() == set(NAMES.values())


def test_a_bus_that_hangs_delays_no_other(plant: Plant) -> None:
    """The valve is closed at once and the fan off while the I2C bus hangs; that one is told, within 3 s."""
    plant.machine.fault("siren", "hang")
    process = plant.begin(sealed(*ALL))
    give_up = time.monotonic() + 10
    while plant.on() != {"siren"}:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert process.poll() is None
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "/dev/i2c-1: NOT proven" in out or "0x20 on /dev/i2c-1: register 0x14 & 0x08 = 0x00: NOT proven" in out
    assert f"unit 6 on {LINE}: coil 0x0000 = 0x0000" in out


def test_a_child_that_never_returns_is_left(program: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    """A bus stuck in the kernel costs the total time and its own outputs, not the program."""
    stuck = os.fork()
    if stuck == 0:
        while True:
            signal.pause()
    began = time.monotonic()
    assert not program.finish([(stuck, "/dev/i2c-1")], began + 0.2)
    assert time.monotonic() - began < 1.0
    os.waitpid(stuck, 0)
    assert "/dev/i2c-1: NOT proven, it hangs" in capfd.readouterr().out


@pytest.mark.parametrize("name", ["siren", "hood_fan"])
def test_an_absent_part_costs_itself_only(plant: Plant, name: str) -> None:
    """A board without power is told, exit 1; all others are safe."""
    plant.machine.plug(name, False)
    code, out = plant.run(sealed(*ALL))
    assert code == 1
    assert "NOT proven" in out
    assert plant.on() == set()


@pytest.mark.parametrize(("name", "fault"), [("siren", "flip"), ("hood_fan", "crc"), ("hood_fan", "exception")])
def test_what_is_not_confirmed_is_not_proven(plant: Plant, name: str, fault: str) -> None:
    """Answers that are damaged or refuse make the outcome bad, never good."""
    plant.machine.fault(name, fault)
    code, out = plant.run(sealed(*ALL))
    if name == "siren" and code == 0:  # one bit of one byte: it may be one that nobody looks at
        assert name not in plant.on()
    else:
        assert (code, "NOT proven" in out) == (1, True)
    assert "gas_valve" not in plant.on()


def test_an_adapters_echo_is_no_proof(plant: Plant) -> None:
    """An RS-485 adapter that hears itself answers every write with its echo, also for a part that is not there."""
    plant.machine.fault("hood_fan", "echo")
    code, out = plant.run(sealed(*entries("modbus_output")))
    assert code == 0, out
    assert "hood_fan" not in plant.on()
    nobody = f"modbus {LINE} 9600 none 1 99 0500000000"
    code, out = plant.run(sealed(nobody))
    assert (code, "NOT proven" in out) == (1, True)


def test_a_register_is_driven_and_read_back(plant: Plant) -> None:
    """Holding registers as coils: function 06, read back with 03."""
    options = modbus_output.Options(7, 9, "holding", on_value=0x55AA, off_value=3)
    bus = BUSES["modbus_output"]

    def wire() -> None:
        plant.machine.place("modbus_output", "drive", Wiring(bus.type, bus.device, plain(options)))

    plant.machine.do(wire)
    opened: Any = open_bus(bus, plant.root)
    modbus_output.ModbusOutput(opened, options, True)
    opened.close()
    assert plant.machine.truth("drive.on") == 1.0
    code, out = plant.run(sealed(*modbus_output.safe_state(bus, options, False)))
    assert code == 0, out
    assert plant.machine.truth("drive.on") == 0.0


def test_a_part_behind_a_mux_is_reached(plant: Plant) -> None:
    """The channel is selected before the part is spoken to."""
    options = plain(pages.sample_options(registry.load("mcp23017")))

    def solder() -> None:
        plant.machine.place("tca9548a", "mux", Wiring("i2c", "/dev/i2c-1", {"address": 0x70}))
        plant.machine.place("mcp23017", "lamp", Wiring("i2c", MUXED.device, {**options, "address": 0x21}))

    plant.machine.do(solder)
    bus: Any = open_bus(BUSES["mcp23017"], plant.root)
    sample = pages.sample_options(registry.load("mcp23017"))
    lamp = type(sample)(0x21, sample.pin, sample.active)
    registry.load("mcp23017").open(bus.behind(0x70, 3), lamp, True)
    bus.transfer(0x70, b"\x00")
    bus.close()
    assert plant.machine.truth("lamp.on") == 1.0
    lines = registry.load("mcp23017").safe_state(BUSES["mcp23017"], lamp, False)
    code, out = plant.run(sealed(*(f"{line} mux 0x70 3" for line in lines)))
    assert code == 0, out
    assert plant.machine.truth("lamp.on") == 0.0


def test_boards_of_one_address_behind_two_muxes_do_not_hear_each_other(plant: Plant) -> None:
    """A mux that was left open by who died is shut: its board's other pins keep their levels."""
    options = plain(pages.sample_options(registry.load("mcp23017")))
    muxes = {"lamp": 0x70, "fan": 0x71}

    def solder() -> None:
        for name, mux in muxes.items():
            plant.machine.place("tca9548a", f"mux of {name}", Wiring("i2c", "/dev/i2c-1", {"address": mux}))
            node = f"/dev/i2c-1 mux 0x{mux:02x} channel 3"
            plant.machine.place("mcp23017", name, Wiring("i2c", node, {**options, "address": 0x21}))

    plant.machine.do(solder)
    bus: Any = open_bus(BUSES["mcp23017"], plant.root)
    sample = pages.sample_options(registry.load("mcp23017"))
    board = type(sample)(0x21, sample.pin, sample.active)
    for mux in muxes.values():
        registry.load("mcp23017").open(bus.behind(mux, 3), board, True)
    bus.transfer(0x70, b"\x08")  # while 0x71 still has its channel open
    bus.close()
    assert [plant.machine.truth(f"{name}.on") for name in muxes] == [1.0, 1.0]
    off, on = (registry.load("mcp23017").safe_state(BUSES["mcp23017"], board, safe) for safe in (False, True))
    code, out = plant.run(sealed(*(f"{line} mux 0x70 3" for line in off), *(f"{line} mux 0x71 3" for line in on)))
    assert code == 0, out
    assert [plant.machine.truth(f"{name}.on") for name in muxes] == [0.0, 1.0]


def test_an_attribute_is_written_and_read_back(plant: Plant) -> None:
    """A file of the kernel's below /sys; no other path is touched."""
    attribute = Path(plant.root, "sys", "duty_cycle")
    attribute.parent.mkdir()
    attribute.write_text("9")
    other = Path(plant.root, "etc")
    other.write_text("9")
    code, out = plant.run(sealed("file /sys/duty_cycle 0"))
    assert (code, attribute.read_text()) == (0, "0"), out
    code, out = plant.run(sealed("file /etc 0", "file /sys/../etc 0", "file /sys/none 0"))
    assert code == 1
    assert other.read_text() == "9"
    assert out.count("unreadable, not driven") == 2
    assert "/sys/none: 0: NOT proven: No such file" in out


@pytest.mark.parametrize(
    "text",
    [
        "i2c /dev/i2c-1 0x20 0x14 0x08",
        "i2c /dev/i2c-1 0x20 0x14 0x100 0x00",
        "i2c /dev/i2c-1 0x20 0x14 0x08 0x00 mux 0x70",
        "i2c /dev/i2c-1 0x20 0x14 0x08 0x00 mux 0x70 8",
        f"modbus {LINE} 9600 none 1 6 1000ac0000",
        f"modbus {LINE} 9600 none 1 6 05zzac0000",
        f"modbus {LINE} 9601 none 1 6 0500ac0000",
        f"modbus {LINE} 9600 mark 1 6 0500ac0000",
        "file /etc/passwd 0",
        "spi /dev/spidev0.0 1",
        "",
    ],
)
def test_nonsense_is_not_driven(program: ModuleType, text: str) -> None:
    """What is not exactly an entry is told, and makes the list unsound."""
    assert program.parse(sealed(text)) == ([], False)


def test_the_frame_is_the_specifications(program: ModuleType) -> None:
    """CRC-16/MODBUS, low byte first: the answer to a read of one register that many manuals print."""
    assert program.frame(1, bytes.fromhex("0300000001")).hex() == "010300000001840a"
