"""An I2C relay board with Microchip's MCP23017: one of its 16 pins.

Datasheet: Microchip, MCP23017/MCP23S17, DS20001952 revision D. verified: fake.
"""

from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Bus, Channel, I2CBus, Spec, option
from gateway.core.errors import InvalidData, SensorFailure
from gateway.core.reading import Value

# Addresses with IOCON.BANK = 0: port A, and port B behind it (table 3-3).
IODIR, IPOL, IOCON, GPIO, OLAT = 0x00, 0x02, 0x0A, 0x12, 0x14
REGISTERS = 22  # 0x00 to 0x15; then the address pointer begins anew (3.2.1)
IOCON_BANK, IOCON_SEQOP = 0x80, 0x20
CHECK_NS = 1_000_000_000
"""How often the chip is asked whether it still has its settings: after a dip of its supply every pin is an input."""
_KEPT = (*range(IODIR, IPOL + 2), IOCON, IOCON + 1, OLAT, OLAT + 1)  # registers that only we change


@dataclass(frozen=True, slots=True)
class Options:
    """Which pin of which chip, and how the driver board is wired."""

    address: int = option("address on the bus: 0x20 plus pins A2 A1 A0", low=0x20, high=0x27)
    pin: int = option("0 to 7 are GPA0 to GPA7, 8 to 15 are GPB0 to GPB7", low=0, high=15)
    active: Literal["high", "low"] = option("the level that energises the coil")

    @property
    def port(self) -> int:
        """0: port A, 1: port B."""
        return self.pin // 8

    @property
    def mask(self) -> int:
        """The pin's bit in its port's registers."""
        return 1 << self.pin % 8

    def latch(self, active: bool) -> int:
        """The pin's bit in OLAT, or in GPIO, when it is to be active or not."""
        return self.mask if active is (self.active == "high") else 0


class Mcp23017:
    """One pin as an output (`DigitalOutput`, `Served`). Its chip's other pins are left as they are.

    All pins of a chip must be driven from one thread: a port's eight latches are written together.
    """

    def __init__(self, bus: I2CBus, options: Options, safe: bool) -> None:
        self._bus = bus
        self._options = options
        self._active = safe
        self.drive(safe)

    def drive(self, active: bool) -> None:
        """Set the latch, and only then, where the pin is not an output yet, its direction. Raises DeviceError.

        Two to four transfers.
        """
        options = self._options
        self._active = active
        registers = self._registers()
        latches, polarity, inputs = (registers[each + options.port] for each in (OLAT, IPOL, IODIR))
        self._put(OLAT, latches, latches & ~options.mask | options.latch(active))
        self._put(IPOL, polarity, polarity & ~options.mask)
        self._put(IODIR, inputs, inputs & ~options.mask)

    def level(self) -> bool:
        """What the pin itself shows; an input is not active, whatever it shows. Raises DeviceError."""
        registers, options = self._registers(), self._options
        return not registers[IODIR + options.port] & options.mask and level(registers, options)

    def service(self, now_ns: int) -> int:
        """Look whether the pin is still what it was made. Raises SensorFailure when it is not."""
        registers, options = self._registers(), self._options
        kept = registers[OLAT + options.port] & options.mask == options.latch(self._active)
        if not kept or registers[IODIR + options.port] & options.mask or level(registers, options) is not self._active:
            raise SensorFailure(
                f"pin {options.pin} of 0x{options.address:02x} has lost its level: the chip was reset, or the pin is "
                "shorted; check its supply"
            )
        return now_ns + CHECK_NS

    def _registers(self) -> bytes:
        return decode(self._bus.transfer(self._options.address, bytes([IODIR]), 2 * REGISTERS))

    def _put(self, register: int, before: int, value: int) -> None:
        if value != before:
            self._bus.transfer(self._options.address, bytes([register + self._options.port, value]))


def decode(data: bytes) -> bytes:
    """The 22 registers, from two rounds through all of them. Raises InvalidData.

    I2C has no checksum, and a wrong bit written back would switch a neighbour: what we rely on must come twice.
    """
    first, second = data[:REGISTERS], data[REGISTERS:]
    if len(data) != 2 * REGISTERS or any(first[each] != second[each] for each in _KEPT):
        raise InvalidData("the registers read differently twice: check SDA/SCL, pull-ups and cable length")
    if first[IOCON] != first[IOCON + 1] or first[IOCON] & (IOCON_BANK | IOCON_SEQOP):
        raise InvalidData(
            f"IOCON reads 0x{first[IOCON]:02x}: another program has set the chip up, or it is no MCP23017; "
            "stop that program and switch the board off and on"
        )
    return second


def level(registers: bytes, options: Options) -> bool:
    """Whether a pin is at its active level."""
    return registers[GPIO + options.port] & options.mask == options.latch(True)


def safe_state(bus: Bus, options: Options, safe: Value) -> tuple[str, ...]:
    """The latch first, then the direction."""
    where, mask = f"i2c {bus.device} 0x{options.address:02x}", f"0x{options.mask:02x}"
    return (
        f"{where} 0x{OLAT + options.port:02x} {mask} 0x{options.latch(bool(safe)):02x}",
        f"{where} 0x{IODIR + options.port:02x} {mask} 0x00",
    )


SPEC = Spec(
    name="mcp23017",
    title="Relay board with a Microchip MCP23017",
    bus="i2c",
    direction="output",
    options=Options,
    open=Mcp23017,
    safe_state=safe_state,
    channels=lambda _options: (Channel("on"),),
    claims=lambda options: (f"address 0x{options.address:02x} pin {options.pin}",),
    sample="siren: {driver: mcp23017, bus: sensors, address: 0x20, pin: 3, active: high, safe: off, lease: 3 s}",
    datasheet="Microchip, MCP23017/MCP23S17, DS20001952 revision D",
    wiring="VDD to 3.3 V (then SDA and SCL need no level shifter), RESET to VDD, A0 to A2 to GND or VDD. A pin gives "
    "25 mA at most: a driver (ULN2803, transistor) between pin and coil. Every pin is an input until it is claimed: "
    "an external resistor holds the driver off meanwhile.",
    overlay="dtparam=i2c_arm=on",
    conversion="a change costs one to three transfers and its proof one more, 5 ms each at 100 kHz",
    deadline_s=2.0,
    faults="The pin's own level is read back after each change, and every second the chip is asked whether it still "
    "has its settings: a reset one (a dip of the supply) is told and set up again. Chip unplugged: BadNotConnected. "
    "The chip keeps its outputs when the Pi dies: the safe-state program drives them, and nothing does when the Pi "
    "has no power. Not for what must fail safe by itself, such as a gas valve. A welded contact or a dead coil only "
    "shows with `read_back`.",
)
