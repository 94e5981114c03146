"""Microchip MCP23017 (DS20001952, revision D), IOCON.BANK = 0, with a relay at each pin that is placed.

Registers in pairs, A then B; the address pointer moves by one after each byte and begins anew behind the last. It keeps
what it was told when nobody talks to it any more.
"""

from collections.abc import Callable

from fake_hw.faults import BUS_FAULTS, Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

_NAMES = ("IODIR", "IPOL", "GPINTEN", "DEFVAL", "INTCON", "IOCON", "GPPU", "INTF", "INTCAP", "GPIO", "OLAT")
_READ_ONLY = {"INTF", "INTCAP"}
_BROWNOUT = "brownout"
_SEQOP = 0x20


class Mcp23017:
    """The registers and the 16 pins. outside: what a pin is pulled to while it is an input.

    loads: called after every write that may have moved a pin.
    """

    def __init__(self) -> None:
        self.loads: list[Callable[[], None]] = []
        self.outside: dict[int, int] = {}
        self.power_up()

    def power_up(self) -> None:
        """As after power-on (table 3-1): every pin an input, everything else 0."""
        self._words = dict.fromkeys(_NAMES, 0)
        self._words["IODIR"] = 0xFFFF
        self._at = 0
        self._loaded()

    def pin(self, number: int) -> int:
        """The level of a pin: driven, or pulled from outside."""
        if self._words["IODIR"] >> number & 1:
            return self.outside.get(number, self._words["GPPU"] >> number & 1)
        return self._words["OLAT"] >> number & 1

    def is_output(self, number: int) -> bool:
        """Whether the chip drives this pin."""
        return not self._words["IODIR"] >> number & 1

    def write(self, data: bytes) -> None:
        """The address, then bytes for it and the registers behind it."""
        if data:
            self._at = data[0] % (2 * len(_NAMES))
        for byte in data[1:]:
            self._store(byte)
            self._advance()
        self._loaded()

    def read(self, length: int) -> bytes:
        """From the address on."""
        answer = bytearray()
        for _ in range(length):
            name, shift = _NAMES[self._at // 2], 8 * (self._at % 2)
            answer.append(self._word(name) >> shift & 0xFF)
            self._advance()
        return bytes(answer)

    def spoil(self, data: bytes) -> bytes:
        """This part has no checksum that could be wrong."""
        return data

    def power_off(self) -> None:
        """Without power it forgets."""
        self.power_up()

    def _advance(self) -> None:
        step = 0 if self._words["IOCON"] & _SEQOP else 1
        self._at = (self._at + step) % (2 * len(_NAMES))

    def _word(self, name: str) -> int:
        if name == "GPIO":
            levels = sum(self.pin(number) << number for number in range(16))
            return levels ^ (self._words["IPOL"] & self._words["IODIR"])
        return self._words[name]

    def _store(self, byte: int) -> None:
        name, shift = _NAMES[self._at // 2], 8 * (self._at % 2)
        if name == "IOCON":
            self._words[name] = byte & 0xFE | (byte & 0xFE) << 8
            return
        if name == "GPIO":  # writing a port writes its latch
            name = "OLAT"
        if name not in _READ_ONLY:
            self._words[name] = self._words[name] & ~(0xFF << shift) | byte << shift

    def _loaded(self) -> None:
        for load in self.loads:
            load()


def _chip(machine: Machine, name: str, wiring: Wiring) -> tuple[Mcp23017, Condition]:
    """The chip of this address, one for all its pins; the first of them has the chip's faults."""
    bus, address = machine.bus(wiring.kind, wiring.device), wiring.options["address"]
    condition = machine.condition(name, PART.faults)
    part = bus.part(address)
    if not isinstance(part, Mcp23017):
        part = Mcp23017()
        bus.attach(address, part, condition)
    return part, condition


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    part, condition = _chip(machine, name, wiring)
    pin, active = wiring.options["pin"], int(wiring.options["active"] == "high")
    point = f"{name}.on"
    part.outside[pin] = 1 - active  # the resistor of the driver board
    machine.truths.setdefault(point, 0.0)

    def follow() -> None:
        machine.truths[point] = float(part.pin(pin) == active)

    def step() -> None:
        if condition.fault == _BROWNOUT:
            condition.heal()
            part.power_up()
        if not condition.plugged:
            part.power_up()

    part.loads.append(follow)
    follow()
    machine.steps.append(step)


PART = FakePart(
    name="mcp23017",
    quantities=lambda _wiring: {"on": Quantity(0.0)},
    faults=(BUS_FAULTS - {"crc"}) | {_BROWNOUT},
    place=_place,
)
"""`on`: whether the load has power. `brownout`: a dip of the supply, which resets the chip and is over."""
