"""PZEM-004T v3.0: a single-phase energy meter on Modbus RTU.

Datasheet: Peacefair "PZEM-004T V3.0 User Manual", section 2 (functions) and 2.8 (register map). verified: fake.
Its own function 0x42 sets the energy to zero and is never sent: nobody could put it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.decoding.register_blocks import blocks, decoded
from drivers.decoding.registers import Register, channel
from gateway.core.driver import ModbusBus, Spec, option
from gateway.core.reading import Sample

RESPONSE_TIMEOUT_S = 0.3
REGISTERS = {
    "voltage": Register(0, "input", scale=0.1, unit="V", low=80, high=260),
    "current": Register(1, "input", "u32", "CDAB", scale=0.001, unit="A", low=0, high=100),
    "power": Register(3, "input", "u32", "CDAB", scale=0.1, unit="W", low=0, high=23000),
    "energy": Register(5, "input", "u32", "CDAB", unit="W.h", low=0, high=9_999_990),
    "frequency": Register(7, "input", scale=0.1, unit="Hz", low=45, high=65),
    "power_factor": Register(8, "input", scale=0.01, unit="1", low=0, high=1),
}
BLOCKS = blocks(REGISTERS)


@dataclass(frozen=True, slots=True)
class Options:
    """Which meter on the line."""

    unit: int = option("Modbus address of the meter (as delivered: 1)", low=1, high=247, default=1)


class Pzem004t:
    """One meter of a shared line."""

    def __init__(self, bus: ModbusBus, options: Options) -> None:
        self._bus = bus
        self._unit = options.unit

    def read(self) -> Sequence[Sample]:
        """All quantities, from one request. Blocks about 50 ms. Raises DeviceError."""
        return decode([self._bus.request(self._unit, block.request, RESPONSE_TIMEOUT_S) for block in BLOCKS])


def decode(replies: Sequence[bytes]) -> tuple[Sample, ...]:
    """The meter's values from its checked replies; 32-bit values come low word first."""
    return decoded(BLOCKS, replies, REGISTERS)


SPEC = Spec(
    name="pzem004t",
    title="Peacefair PZEM-004T v3.0 energy meter",
    bus="modbus_rtu",
    also_on=("modbus_tcp",),
    options=Options,
    open=Pzem004t,
    channels=lambda _options: tuple(channel(name, register) for name, register in REGISTERS.items()),
    claims=lambda options: (f"unit {options.unit}",),
    sample="mains: {driver: pzem004t, bus: meters, unit: 1, every: 1 s}",
    datasheet="Peacefair, PZEM-004T V3.0 User Manual",
    deadline_s=1.5,
    min_every_s=0.2,
    wiring="TTL UART with optocouplers: 5 V, GND, TX to RX and RX to TX of a USB adapter with 5 V levels; 9600 baud, "
    "no parity. Two meters share the lines as they are, each with its own address: every one takes 4 mA of the "
    "adapter's TX. For more put a transistor behind the TX. Version 4.0 has no optocouplers: give each meter's TX a "
    "diode, cathode towards the meter, and the line 4.7 kohm to 5 V. The mains side is live: a licensed electrician "
    "wires it, and the current transformer encloses one conductor only.",
    accuracy="0.5 %; 80 to 260 V, 0 to 100 A, 45 to 65 Hz",
    conversion="The meter renews its registers about once a second.",
    faults="No mains: the meter is powered from what it measures and falls silent, BadTimeout. Noise: "
    "BadDataEncodingInvalid (each frame has a CRC). A refusal: BadCommunicationError with its words. Adapter "
    "unplugged: BadNotConnected until it is back under the same by-id name.",
)
