"""Independent programs and C libraries find the same simulated parts as our bus code, and read the same from them."""

import sys
from collections.abc import Callable

import pytest

from fake_hw.buses.i2c import Nack
from fake_hw.inject import install
from fake_hw.machine import Machine, Wiring
from tests.fake_hw.preload import programs
from tests.fake_hw.preload.conftest import Program

HAS_LGPIO = sys.version_info < (3, 13)  # lgpio has no wheel from there on: setup.cfg
CLIMATE = ["climate_ours", "climate_smbus2", *(["climate_lgpio"] if HAS_LGPIO else [])]
GPIO = ["gpio_ours", "gpio_gpiod", *(["gpio_lgpio", "gpio_gpiozero"] if HAS_LGPIO else [])]
_LEVELS, _BUSY, _INFO = [1, 1], "errno 16", ["gpiochip0", "pinctrl-bcm2711", 58]
SAYS = {
    "gpio_ours": [_LEVELS, "ready"],
    "gpio_gpiod": [[True, False], _INFO, _LEVELS, _BUSY, "oracle", "ready"],
    "gpio_lgpio": [_INFO, _LEVELS, _BUSY, "lg", "ready"],
    "gpio_gpiozero": [_LEVELS, "ready"],
}

Run = Callable[[str], Program]


class Memory:
    """256 bytes behind a register pointer; what is written to it stays. Register 0xF0 is refused."""

    def __init__(self) -> None:
        self.bytes = bytearray(range(256))
        self.pointer = 0
        self.seen: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.seen.append(data)
        if data[:1] == b"\xf0":
            raise Nack
        for position, byte in enumerate(data):
            if position == 0:
                self.pointer = byte
            else:
                self.bytes[(self.pointer + position - 1) % 256] = byte

    def read(self, length: int) -> bytes:
        return bytes(self.bytes[(self.pointer + each) % 256] for each in range(length))

    def spoil(self, data: bytes) -> bytes:
        return data


def with_memory(machine: Machine) -> Memory:
    """The machine, started, with a memory at 0x50."""
    memory = Memory()
    condition = machine.condition("memory", frozenset({"hang"}))
    machine.bus("i2c", "/dev/i2c-1").attach(0x50, memory, condition)
    machine.start()
    return memory


def test_every_i2c_transfer_is_the_same_in_both_tiers(machine: Machine, run: Run, root: str) -> None:
    """400 random transfers of every kind through the shim and through the in-process tier: same answers, same wire."""
    memory = with_memory(machine)
    undo = install(root)
    try:
        expected = programs.i2c_transcript(f"{root}{programs.ADAPTER}")
    finally:
        undo()
    wire, memory.seen = memory.seen, []
    memory.bytes, memory.pointer = bytearray(range(256)), 0
    assert run("i2c_plain").hear() == expected
    assert memory.seen[: len(wire)] == wire
    assert {"errno 121", "errno 95"} == {each for each in expected if isinstance(each, str)}


def test_plain_read_and_write_of_an_adapter(machine: Machine, run: Run) -> None:
    """After I2C_SLAVE read() and write() are one message each; what is no request of an adapter is ENOTTY."""
    with_memory(machine)
    program = run("i2c_plain")
    program.hear()
    assert program.hear() == [4, 1, list(b"abc")]
    assert program.hear() == ["errno 121", "errno 25", "errno 25"]


@pytest.mark.parametrize("oracle", CLIMATE)
def test_an_sht4x_reads_the_same_for_everybody(oracle: str, machine: Machine, run: Run) -> None:
    """Our driver, plain smbus2 and lgpio's C code read the truth from the same part, within its tolerance."""
    quantities = machine.place("sht4x", "air", Wiring("i2c", "/dev/i2c-1", {"address": 0x44})).quantities(Wiring("i2c"))
    machine.start()
    machine.set(air__temperature=-18.25, air__humidity=63.5)
    seen = run(oracle).hear()
    assert seen["temperature"] == pytest.approx(-18.25, abs=quantities["temperature"].tolerance)
    assert seen["humidity"] == pytest.approx(63.5, abs=quantities["humidity"].tolerance)


class Inverter:
    """Answers each byte with its complement, in SPI mode 1."""

    modes = frozenset({1})

    def exchange(self, data: bytes) -> bytes:
        return bytes(byte ^ 0xFF for byte in data)


def test_spi_by_our_bus_and_by_spidev(machine: Machine, run: Run) -> None:
    """Every way spidev's C extension transfers, its settings, and an absent chip select; ours reads the same."""
    select = machine.bus("spi", "/dev/spidev0.0")
    select.attach(Inverter(), machine.condition("part"))
    machine.start()
    assert run("spi_ours").hear() == [254, 253, 252, 0]
    spidev = run("spi_spidev")
    assert spidev.hear() == [[254, 253, 252, 0], [254, 253], [255, 255, 255], [248, 248], [1, 8, 500_000]]
    assert spidev.hear() == 2


@pytest.mark.parametrize("oracle", GPIO)
def test_gpio_levels_claims_and_debounced_edges(oracle: str, machine: Machine, run: Run) -> None:
    """Levels, EBUSY, the consumer's name, and of 21 flips within the debounce time one edge; then the one back."""
    chip = machine.bus("gpio", "/dev/gpiochip0")
    machine.start()

    def flip(level: int | None) -> None:
        machine.do(lambda: chip.lines.drive(programs.CONTACT, level))

    program = run(oracle)
    heard = [program.hear()]
    while heard[-1] != "ready":
        heard.append(program.hear())
    assert heard == SAYS[oracle]
    for number in range(21):
        flip(0 if number % 2 == 0 else None)
    assert program.hear() == 0
    flip(None)
    assert program.hear() == 1
    assert program.process.wait(10) == 0
    relay = [(row["level"], row["why"]) for row in machine.log.recent if row["line"] == f"GPIO{programs.RELAY}"]
    assert 1 in [level for level, _why in relay]
    assert (0, "set") in relay
    machine.do()
    assert not machine.lines.watchers, "a line is still held"
