"""Eastron SDM630: a certified three-phase energy meter on Modbus.

Datasheet: Eastron "SDM630-Modbus V2 Smart Meter Modbus Protocol Implementation V1.8", input registers. verified: fake.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.decoding.register_blocks import blocks, decoded
from drivers.decoding.registers import Register, channel
from gateway.core.driver import ModbusBus, Spec, option
from gateway.core.reading import Sample

TIMEOUT_S = 0.5
MOST_REGISTERS = 80  # "40 parameters or less" of two registers each
GAP = 48  # the meter answers what lies between its values with zeros
REGISTERS = {
    "voltage_l1": Register(0x0000, "input", "f32", unit="V", low=0, high=300, digits=1),
    "voltage_l2": Register(0x0002, "input", "f32", unit="V", low=0, high=300, digits=1),
    "voltage_l3": Register(0x0004, "input", "f32", unit="V", low=0, high=300, digits=1),
    "current_l1": Register(0x0006, "input", "f32", unit="A", low=0, high=120),
    "current_l2": Register(0x0008, "input", "f32", unit="A", low=0, high=120),
    "current_l3": Register(0x000A, "input", "f32", unit="A", low=0, high=120),
    "power_l1": Register(0x000C, "input", "f32", unit="W", low=-30000, high=30000, digits=1),
    "power_l2": Register(0x000E, "input", "f32", unit="W", low=-30000, high=30000, digits=1),
    "power_l3": Register(0x0010, "input", "f32", unit="W", low=-30000, high=30000, digits=1),
    "power": Register(0x0034, "input", "f32", unit="W", low=-90000, high=90000, digits=1),
    "power_factor": Register(0x003E, "input", "f32", unit="1", low=-1, high=1),
    "frequency": Register(0x0046, "input", "f32", unit="Hz", low=45, high=65, digits=2),
    "import_energy": Register(0x0048, "input", "f32", unit="kW.h", low=0, high=9_999_999.9, digits=2),
    "export_energy": Register(0x004A, "input", "f32", unit="kW.h", low=0, high=9_999_999.9, digits=2),
}
BLOCKS = blocks(REGISTERS, gap=GAP, most=MOST_REGISTERS)


@dataclass(frozen=True, slots=True)
class Options:
    """Which meter on the line."""

    unit: int = option("Modbus address of the meter (as delivered: 1)", low=1, high=247, default=1)


class Sdm630:
    """One meter of a shared line."""

    def __init__(self, bus: ModbusBus, options: Options) -> None:
        self._bus = bus
        self._unit = options.unit

    def read(self) -> Sequence[Sample]:
        """All quantities, from one request. Blocks 0.2 s at 9600 baud, 0.8 s at 2400. Raises DeviceError."""
        return decode([self._bus.request(self._unit, block.request, TIMEOUT_S) for block in BLOCKS])


def decode(replies: Sequence[bytes]) -> tuple[Sample, ...]:
    """The meter's values from its checked replies: 32-bit floats, high word first."""
    return decoded(BLOCKS, replies, REGISTERS)


SPEC = Spec(
    name="sdm630",
    title="Eastron SDM630 three-phase energy meter",
    bus="modbus_rtu",
    also_on=("modbus_tcp",),
    options=Options,
    open=Sdm630,
    channels=lambda _options: tuple(channel(name, register) for name, register in REGISTERS.items()),
    claims=lambda options: (f"unit {options.unit}",),
    sample="main_meter: {driver: sdm630, bus: meters, unit: 1, every: 2 s}",
    datasheet="Eastron, SDM630-Modbus V2 Smart Meter Modbus Protocol Implementation V1.8",
    deadline_s=2.5,
    min_every_s=0.5,
    wiring="RS-485: A and B to the adapter's A and B in one line from meter to meter, 120 ohm at both ends, the signal "
    "ground connected. As delivered 9600 baud without parity: set baud and parity on the meter's keys and on the bus "
    "alike. Mains terminals by a licensed electrician.",
    accuracy="class 1 (EN 62053-21) active energy, 0.5 % voltage and current; 10(100) A",
    conversion="The meter renews its registers about once a second.",
    faults="Silent meter or wrong address: BadTimeout. Noise, swapped A and B, wrong baud rate: BadDataEncodingInvalid "
    "or BadTimeout (each frame has a CRC). A refusal: BadCommunicationError with its words. A quantity that is no "
    "number: BadSensorFailure. Adapter unplugged: BadNotConnected.",
)
