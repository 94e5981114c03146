"""The 1-Wire tree as the kernel's w1_therm presents it."""

import os
import stat
from collections.abc import Callable
from typing import Any

import pytest

from fake_hw.simulator import Simulator

Tell = Callable[[str], dict[str, Any]]
CORE = "28-00000a1b2c3e"


def read(kitchen: Simulator, name: str = "temperature", rom: str = CORE) -> str:
    with open(f"{kitchen.root}/sys/bus/w1/devices/{rom}/{name}", encoding="ascii") as file:
        return file.read()


def dallas_crc(data: bytes) -> int:
    """The 1-Wire CRC bit by bit, the other way than the simulator's table."""
    remainder = 0
    for byte in data:
        for bit in range(8):
            mix = (remainder ^ byte >> bit) & 1
            remainder = remainder >> 1 ^ (0x8C if mix else 0)
    return remainder


def test_files_look_like_the_kernels(kitchen: Simulator, tell: Tell) -> None:
    """`temperature` is milli-degrees in steps of a sixteenth, `w1_slave` the scratchpad with a good CRC."""
    tell("hold freezer.product -18.3")
    value = int(read(kitchen))
    assert value == pytest.approx(-18_300, abs=100)
    first, second = read(kitchen, "w1_slave").splitlines()
    pad = bytes.fromhex(first.split(" :")[0])
    assert dallas_crc(pad[:8]) == pad[8]
    assert first.endswith(f": crc={pad[8]:02x} YES")
    assert int.from_bytes(pad[:2], "little", signed=True) * 1000 // 16 == int(second.split("t=")[1])
    with open(f"{kitchen.root}/sys/bus/w1/devices/w1_bus_master1/w1_master_slaves", encoding="ascii") as file:
        assert file.read().split() == [CORE[:-1] + digit for digit in "def"]


def test_the_models_temperature_arrives(kitchen: Simulator, tell: Tell, until: Callable[..., None]) -> None:
    """The files follow the physics without anybody asking."""
    before = read(kitchen)
    kitchen.kitchen.held["freezer.product"] = 4.0
    until(lambda: read(kitchen) != before and abs(int(read(kitchen)) - 4000) < 100, 3.0)


@pytest.mark.parametrize(
    ("fault", "text"), [("crc", ""), ("empty", ""), ("ones", ""), ("flip", ""), ("85000", "85000\n")]
)
def test_faults_look_like_the_kernels(kitchen: Simulator, tell: Tell, fault: str, text: str) -> None:
    """A wrong CRC is an empty file and no error; a brown-out passes 85 °C through with a good CRC."""
    tell(f"fault freezer_core {fault}")
    assert read(kitchen) == text
    assert ("YES" in read(kitchen, "w1_slave")) == (fault == "85000")
    tell("fault freezer_core none")
    assert int(read(kitchen)) < 0


def test_frozen_and_garbage(kitchen: Simulator, tell: Tell) -> None:
    """A frozen probe repeats its value, a garbled one is no number."""
    before = read(kitchen)
    tell("fault freezer_core frozen")
    tell("set freezer.product 30")
    assert read(kitchen) == before
    tell("fault freezer_core garbage")
    with pytest.raises(ValueError, match="invalid literal"):
        int(read(kitchen))


def test_a_hanging_probe_blocks_its_reader(kitchen: Simulator, tell: Tell) -> None:
    """`hang` makes the file one whose opening never returns, until healed."""
    tell("fault freezer_core hang")
    path = f"{kitchen.root}/sys/bus/w1/devices/{CORE}/temperature"
    assert stat.S_ISFIFO(os.stat(path).st_mode)
    tell("fault freezer_core none")
    assert int(read(kitchen)) < 0


def test_unplugged_probes_leave_the_tree(kitchen: Simulator, tell: Tell) -> None:
    """An unplugged probe's directory is gone, its neighbours stay; an unplugged master takes all."""
    tell("unplug freezer_core")
    with pytest.raises(FileNotFoundError):
        read(kitchen)
    assert read(kitchen, rom="28-00000a1b2c3d")
    tell("plug freezer_core")
    assert int(read(kitchen)) < 0
    tell("unplug probes")
    assert not os.path.exists(f"{kitchen.root}/sys/bus/w1/devices")
    tell("plug probes")
    assert int(read(kitchen)) < 0


def test_bulk_conversion(kitchen: Simulator, until: Callable[..., None]) -> None:
    """Writing `trigger` into therm_bulk_read makes a conversion and the file says that results are there."""
    path = f"{kitchen.root}/sys/bus/w1/devices/w1_bus_master1/therm_bulk_read"
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, b"trigger\n")
    os.close(descriptor)

    def state() -> str:
        with open(path, encoding="ascii") as file:
            return file.read()

    until(lambda: state() == "1\n", 2.0)
