"""A two-state output of a Modbus part: a coil of a relay board, or a holding register with a value for on and off.

Datasheet: the part's own register map; "MODBUS Application Protocol Specification" V1.1b3. verified: fake.
"""

from dataclasses import dataclass
from typing import Literal

from drivers.decoding import modbus_pdu
from gateway.core.driver import Bus, Channel, ModbusBus, Spec, option
from gateway.core.errors import InvalidData, SensorFailure, WrongOption
from gateway.core.reading import Value


@dataclass(frozen=True, slots=True)
class Options:
    """Which coil or register of which unit."""

    unit: int = option("Modbus address of the part", low=1, high=247)
    at: int = option("address of the coil or register, from 0", low=0, high=0xFFFF)
    kind: Literal["coil", "holding"] = option("what stands there", default="coil")
    on_value: int = option("what a holding register is set to for on", low=0, high=0xFFFF, default=1)
    off_value: int = option("what a holding register is set to for off", low=0, high=0xFFFF, default=0)
    refresh_s: float = option(
        "how often it is written again: half of what the part waits before it falls back",
        unit="s",
        low=0.5,
        high=3600,
        default=5.0,
    )
    timeout_s: float = option("how long the part may think", unit="s", low=0.05, high=2, default=0.5)

    def __post_init__(self) -> None:
        if self.on_value == self.off_value:
            raise WrongOption("on and off are the same value; make them differ", ("on_value",))

    def word(self, active: bool) -> int:
        """What stands at the address: 0 or 1 of a coil, the value of a register."""
        if self.kind == "coil":
            return int(active)
        return self.on_value if active else self.off_value


class ModbusOutput:
    """One coil or register (`DigitalOutput`, `Served`)."""

    def __init__(self, bus: ModbusBus, options: Options, safe: bool) -> None:
        self._bus = bus
        self._options = options
        self._active = safe
        self.drive(safe)

    def drive(self, active: bool) -> None:
        """Write it; the part confirms. Raises DeviceError. Blocks for the bus's turn and the timeout at worst."""
        self._active = active
        self._bus.request(self._options.unit, write(self._options, active), self._options.timeout_s)

    def level(self) -> bool:
        """Read it back. Raises DeviceError, and InvalidData for a register that is neither on nor off."""
        request = modbus_pdu.read(self._options.kind, self._options.at, 1)
        return decode(self._bus.request(self._options.unit, request, self._options.timeout_s), self._options)

    def service(self, now_ns: int) -> int:
        """Look whether it is still what it was set to, and set it again. Raises SensorFailure when it was not."""
        if self.level() is not self._active:
            raise SensorFailure(
                f"unit {self._options.unit} has changed its output by itself: it lost power, or fell back because "
                "nobody spoke to it; check its supply, and shorten `refresh`"
            )
        self.drive(self._active)
        return now_ns + round(self._options.refresh_s * 1e9)


def write(options: Options, active: bool) -> bytes:
    """The request that sets it."""
    if options.kind == "coil":
        return modbus_pdu.write_coil(options.at, active)
    return modbus_pdu.write_register(options.at, options.word(active))


def decode(reply: bytes, options: Options) -> bool:
    """Whether it is on, from the checked reply to the request that reads it. Raises InvalidData."""
    word = int(modbus_pdu.bits(reply, 1)[0]) if options.kind == "coil" else modbus_pdu.words(reply)[0]
    if word not in {options.word(True), options.word(False)}:
        raise InvalidData(
            f"{options.kind} 0x{options.at:04x} of unit {options.unit} is {word}, neither on ({options.word(True)}) "
            f"nor off ({options.word(False)}): compare with the part's manual"
        )
    return word == options.word(True)


def safe_state(bus: Bus, options: Options, safe: Value) -> tuple[str, ...]:
    """The same write."""
    line = f"{bus.device} {bus.baud} {bus.parity} {bus.stop_bits}"
    return (f"modbus {line} {options.unit} {write(options, bool(safe)).hex()}",)


SPEC = Spec(
    name="modbus_output",
    title="Coil or holding register of a Modbus part",
    bus="modbus_rtu",
    direction="output",
    options=Options,
    open=ModbusOutput,
    safe_state=safe_state,
    channels=lambda _options: (Channel("on"),),
    claims=lambda options: (f"unit {options.unit} {options.kind} 0x{options.at:04x}",),
    sample="hood_fan: {driver: modbus_output, bus: machines, unit: 6, at: 0, kind: coil, safe: off, lease: 3 s}",
    datasheet="the part's own register map",
    wiring="RS-485: A and B to the adapter's A and B in one line from part to part, 120 ohm at both ends, the signal "
    "ground connected; baud, parity and stop bits of the bus as set at every part.",
    conversion="a change costs two requests, 20 ms each at 9600 baud, and waits for the requests of other devices",
    deadline_s=lambda options: 2.0 + 2 * options.timeout_s,
    faults="Each frame has a CRC, a write is confirmed by its echo and read back. Silent part, wrong unit, noise or a "
    "pulled adapter: the output counts as not driven. A part that lost power or fell back to its own safe state is "
    "noticed at the next `refresh`, told, and set again. Set the part's own fallback (communication loss) to the safe "
    "state where it has one: it acts when the Pi has no power, or the line is cut.",
)
