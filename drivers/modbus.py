"""Any part with Modbus registers: ovens, fridge controllers, meters, described in the site's file without code.

Datasheet: the part's own register map; "MODBUS Application Protocol Specification" V1.1b3. verified: fake.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.decoding.modbus_pdu import MOST_REGISTERS
from drivers.decoding.register_blocks import Block, blocks, decoded
from drivers.decoding.registers import Register, channel, check_map
from gateway.core.driver import ModbusBus, Spec, option
from gateway.core.errors import WrongOption
from gateway.core.reading import Sample

LATE_S = 0.5  # the bus may let an older reply pass first
ON_LINE_S = 0.3  # the longest reply at 9600 baud


@dataclass(frozen=True, slots=True)
class Options:
    """Which unit, and what stands in its registers."""

    unit: int = option("Modbus address of the part", low=1, high=247)
    registers: dict[str, Register] = option("channel: {at: …, type: …, unit: …}")
    gap: int = option("addresses in between that may be read to save a request", low=0, high=100, default=0)
    most: int = option("registers of one request, where the part takes fewer", low=1, high=MOST_REGISTERS, default=125)
    timeout_s: float = option("how long the part may think", unit="s", low=0.05, high=5, default=0.5)

    def __post_init__(self) -> None:
        if not self.registers:
            raise WrongOption("the map has no registers; add one, or name a file with `map`", ("registers",))
        check_map(self.registers)


class Modbus:
    """One unit of a line or a connection."""

    def __init__(self, bus: ModbusBus, options: Options) -> None:
        self._bus = bus
        self._options = options
        self._plan = plan(options)

    def read(self) -> Sequence[Sample]:
        """Every channel of the map, from as few requests as may be. A silent part costs one timeout.

        Raises DeviceError when a request fails; a channel whose registers hold no value is missing by itself.
        """
        options = self._options
        replies = [self._bus.request(options.unit, block.request, options.timeout_s) for block in self._plan]
        return decode(replies, options)


def decode(replies: Sequence[bytes], options: Options) -> tuple[Sample, ...]:
    """The map's channels in its order, from the checked replies to the plan's requests."""
    return decoded(plan(options), replies, options.registers)


def plan(options: Options) -> tuple[Block, ...]:
    """The requests that read the map."""
    return blocks(options.registers, gap=options.gap, most=options.most)


def _claims(options: Options) -> tuple[str, ...]:
    taken = {
        f"unit {options.unit} {register.kind} 0x{register.at + index:04x}": None
        for register in options.registers.values()
        for index in range(register.count)
    }
    return tuple(taken)


SPEC = Spec(
    name="modbus",
    title="Any part with Modbus registers",
    bus="modbus_rtu",
    also_on=("modbus_tcp",),
    options=Options,
    open=Modbus,
    channels=lambda options: tuple(channel(name, register) for name, register in options.registers.items()),
    claims=_claims,
    sample="oven: {driver: modbus, bus: machines, unit: 5, every: 2 s, registers: {"
    "chamber: {at: 0x0100, type: s16, scale: 0.1, unit: Cel, low: -20, high: 350, invalid: [0x8000]}, "
    "setpoint: {at: 0x0101, type: s16, scale: 0.1, unit: Cel, low: 0, high: 300}, "
    "mode: {at: 0x0200, values: {0: 0, 3: 1, 5: 2}}, "
    "door_open: {at: 2, kind: discrete}}}",
    datasheet="the part's own register map",
    deadline_s=lambda options: LATE_S + len(plan(options)) * (options.timeout_s + ON_LINE_S),
    wiring="RS-485: A and B to the adapter's A and B in one line from part to part, 120 ohm at both ends, the signal "
    "ground connected; baud, parity and stop bits of the bus as set at every part. Modbus TCP: a fixed address, a "
    "network of its own.",
    accuracy="the part's",
    conversion="the part's; a value that its controller has not renewed looks new",
    faults="Silent part or wrong unit: BadTimeout. Noise, swapped A and B, wrong baud rate: BadDataEncodingInvalid "
    "or BadTimeout (each frame has a CRC). An address or function that the part doesn't have: BadCommunicationError "
    "with its words. A count that stands in `invalid`, or a float that is no number: BadSensorFailure of that channel "
    "alone; one that `values` doesn't explain, or no decimal digits: BadDataEncodingInvalid. Adapter unplugged or "
    "host gone: BadNotConnected.",
)
