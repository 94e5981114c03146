"""MCP23017: the registers, pins that share a chip, the order of the first writes, and Adafruit's driver beside ours."""

import enum
import sys
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mcp23017 import IOCON, REGISTERS, Mcp23017, Options, decode, level, safe_state
from fake_hw.machine import Wiring
from gateway.core.driver import Bus
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure
from tests.drivers.wire import NAME, NODE, Wire

SECOND = 1_000_000_000


def registers(**changes: int) -> bytes:
    """The chip after power-on (table 3-1), with `r14=…` for other values."""
    values = {0x00: 0xFF, 0x01: 0xFF} | {int(name[1:], 16): value for name, value in changes.items()}
    return bytes(values.get(each, 0) for each in range(REGISTERS))


class Direction(enum.Enum):
    """As in digitalio."""

    INPUT = 1
    OUTPUT = 2


class Pull(enum.Enum):
    """As in digitalio."""

    UP = 1
    DOWN = 2


class Noting:
    """A bus that notes what is written to it."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.writes: list[bytes] = []

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        """As the bus under it."""
        if not read:
            self.writes.append(write)
        answer: bytes = self._bus.transfer(address, write, read)
        return answer


@pytest.mark.parametrize(("pin", "register", "bit"), [(0, 0x12, 1), (7, 0x12, 0x80), (8, 0x13, 1), (15, 0x13, 0x80)])
def test_the_pins_are_where_the_data_sheet_has_them(pin: int, register: int, bit: int) -> None:
    """Port A is 0 to 7, port B 8 to 15; the active level counts."""
    seen = registers(**{f"r{register:x}": bit})
    assert level(seen, Options(0x20, pin, "high"))
    assert not level(seen, Options(0x20, pin, "low"))
    assert not level(registers(), Options(0x20, pin, "high"))


@given(st.binary(min_size=REGISTERS, max_size=REGISTERS), st.integers(0, 8 * 2 * REGISTERS - 1))
def test_no_flipped_bit_gets_into_a_latch(block: bytes, bit: int) -> None:
    """Latches, directions and polarities that read differently twice are refused: they would be written back."""
    doubled = (int.from_bytes(block * 2, "big") ^ 1 << bit).to_bytes(2 * REGISTERS, "big")
    try:
        seen = decode(doubled)
    except InvalidData:
        return
    for register in (0x00, 0x01, 0x02, 0x03, 0x14, 0x15):
        assert seen[register] == block[register]


@pytest.mark.parametrize("iocon", [0x80, 0x20, 0xFF])
def test_a_chip_that_somebody_else_has_set_up_is_refused(iocon: int) -> None:
    """With BANK or SEQOP set every address means another register."""
    with pytest.raises(InvalidData, match="another program has set the chip up"):
        decode(registers(ra=iocon, rb=iocon) * 2)
    assert decode(registers(ra=4, rb=4) * 2)[IOCON] == 4


@pytest.mark.parametrize("active", ["high", "low"])
@pytest.mark.parametrize("safe", [False, True])
def test_the_latch_is_written_before_the_direction(wire: Wire, active: str, safe: bool) -> None:
    """A fresh chip's pin becomes an output at its safe level at once: no blip, whatever the polarity."""
    wire.place("mcp23017", pin=11, active=active)
    bus = Noting(wire.bus())
    Mcp23017(bus, wire.options, safe)
    latch = bytes([0x15, 0x08 if safe is (active == "high") else 0])
    assert bus.writes == ([latch] if latch[1] else []) + [bytes([0x01, 0xF7])]
    assert wire.machine.truth(f"{NAME}.on") == safe


def test_a_level_is_one_write(wire: Wire) -> None:
    """Once it is an output, a change costs one write and an unchanged level none."""
    wire.place("mcp23017", pin=3)
    bus = Noting(wire.bus())
    pin = Mcp23017(bus, wire.options, False)
    bus.writes.clear()
    pin.drive(True)
    pin.drive(True)
    assert bus.writes == [bytes([0x14, 0x08])]
    assert pin.level()


def test_pins_of_a_chip_leave_each_other_alone(wire: Wire) -> None:
    """Sixteen outputs of one board: each has its own level, through every change of the others."""
    wire.place("mcp23017", pin=0)
    chips = [Options(0x20, pin, "low" if pin % 3 == 1 else "high") for pin in range(16)]

    def solder() -> None:
        for options in chips[1:]:
            plain = {name: getattr(options, name) for name in Options.__slots__}
            wire.machine.place("mcp23017", f"pin_{options.pin}", Wiring("i2c", NODE, plain))

    wire.machine.do(solder)
    bus = wire.bus()
    pins = [Mcp23017(bus, options, False) for options in chips]
    for number, pin in enumerate(pins):
        pin.drive(number % 2 == 0)
    for number, pin in enumerate(pins):
        assert pin.level() is (number % 2 == 0)
        assert pin.service(0) == SECOND
    for number in range(1, 16):
        assert wire.machine.truth(f"pin_{number}.on") == (number % 2 == 0)


def test_a_chip_that_was_reset_is_noticed_and_set_up_again(wire: Wire) -> None:
    """A dip of the supply makes every pin an input: it is told within a second, and the next drive mends it."""
    wire.place("mcp23017", pin=3)
    pin = wire.open(safe=False)
    pin.drive(True)
    assert pin.service(5 * SECOND) == 6 * SECOND
    wire.fault("brownout")
    assert wire.machine.truth(f"{NAME}.on") == 0.0
    with pytest.raises(SensorFailure, match="has lost its level"):
        pin.service(6 * SECOND)
    pin.drive(True)
    assert pin.level()
    assert pin.service(7 * SECOND) == 8 * SECOND
    assert wire.machine.truth(f"{NAME}.on") == 1.0


@pytest.mark.parametrize("active", ["high", "low"])
def test_a_pin_that_became_an_input_is_not_active(wire: Wire, active: str) -> None:
    """After a reset the guard looks before it drives: an input is not on, whatever a floating pin shows."""
    wire.place("mcp23017", pin=3, active=active)
    pin = wire.open(safe=False)
    pin.drive(True)
    assert pin.level() is True
    bus = wire.bus()
    bus.transfer(0x20, bytes([0x00, 0xFF]))
    for inverted in (0x00, 0x08):
        bus.transfer(0x20, bytes([0x02, inverted]))
        assert pin.level() is False


def test_a_shorted_pin_reads_its_own_level(wire: Wire) -> None:
    """GPIO shows the pin, not the latch; an inverted polarity of a predecessor is taken back."""
    wire.place("mcp23017", pin=3)
    bus = wire.bus()
    bus.transfer(0x20, bytes([0x02, 0x08]))
    pin = Mcp23017(bus, wire.options, False)
    assert not pin.level()
    assert bus.transfer(0x20, b"\x02", 1) == b"\x00"
    assert not level(registers(r0=0xF7, r14=0x08), wire.options)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("nack", NotConnected), ("stuck", DeviceTimeout), ("flip", InvalidData), ("ones", InvalidData)],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """What the wire does wrong is never a level."""
    wire.place("mcp23017", pin=3)
    pin = wire.open(safe=False)
    wire.fault(fault)
    tries = 50 if fault == "flip" else 1  # a bit of a register that we do not use changes nothing
    with pytest.raises(error):
        assert not any(pin.level() for _ in range(tries))


def test_an_independent_driver_agrees(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adafruit's driver sees what ours does to the chip, and ours what Adafruit's does."""
    words = types.ModuleType("digitalio")  # what it takes from Blinka, which wants a Pi
    vars(words).update(Direction=Direction, Pull=Pull, DigitalInOut=object)
    monkeypatch.setitem(sys.modules, "digitalio", words)
    from adafruit_mcp230xx.mcp23017 import MCP23017

    wire.place("mcp23017", pin=12)
    oracle = MCP23017(wire.busio(), address=0x20)
    theirs = oracle.get_pin(5)
    theirs.switch_to_output(value=True)
    ours = wire.open(safe=False)
    for on in (True, False, True):
        ours.drive(on)
        assert bool(oracle.gpio >> 12 & 1) is on
        assert oracle.get_pin(12).value is on
        assert not oracle.iodir >> 12 & 1
        assert theirs.value is True
    oracle.gpio = 0
    assert ours.level() is False
    with pytest.raises(SensorFailure):
        ours.service(0)


def test_the_safe_state_is_latch_then_direction() -> None:
    """Two entries for the safe-state program, as the driver itself would do it."""
    bus = Bus("sensors", "i2c", "/dev/i2c-1")
    assert safe_state(bus, Options(0x21, 9, "low"), False) == (
        "i2c /dev/i2c-1 0x21 0x15 0x02 0x02",
        "i2c /dev/i2c-1 0x21 0x01 0x02 0x00",
    )
