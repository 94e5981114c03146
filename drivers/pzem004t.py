"""PZEM-004T v3.0: a single-phase energy meter on Modbus RTU.

Datasheet: Peacefair "PZEM-004T V3.0 User Manual", section 2 (functions) and 2.8 (register map). verified: fake.
Framing and CRC: "MODBUS over Serial Line Specification and Implementation Guide" V1.02, section 2.5.1 and 6.2.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, SerialPort, Spec, option
from gateway.core.errors import DeviceError, InvalidData
from gateway.core.reading import Sample

READ_INPUT_REGISTERS = 0x04
EXCEPTION = 0x80
REGISTERS = 10
HEADER_LENGTH = 5  # also the length of an exception reply
REPLY_LENGTH = 3 + 2 * REGISTERS + 2
RESPONSE_TIMEOUT_S = 0.3
EXCEPTIONS = {1: "illegal function", 2: "illegal address", 3: "illegal data", 4: "slave error"}


@dataclass(frozen=True, slots=True)
class Options:
    """Which meter on the line."""

    unit: int = option("Modbus address of the meter (as delivered: 1)", low=1, high=247, default=1)


class Pzem004t:
    """One meter of a shared serial line."""

    def __init__(self, port: SerialPort, options: Options) -> None:
        self._port = port
        self._unit = options.unit
        self._request = frame(bytes([options.unit, READ_INPUT_REGISTERS, 0, 0, 0, REGISTERS]))

    def read(self) -> Sequence[Sample]:
        """All registers in one request. Blocks about 50 ms, at most 0.6 s. Raises DeviceError."""
        reply = self._port.request(self._request, HEADER_LENGTH, RESPONSE_TIMEOUT_S)
        if not reply[1] & EXCEPTION:
            reply += self._port.read(REPLY_LENGTH - HEADER_LENGTH, RESPONSE_TIMEOUT_S)
        return decode(reply, self._unit)


def decode(reply: bytes, unit: int) -> tuple[Sample, ...]:
    """The meter's values. Raises InvalidData for a damaged or foreign frame, DeviceError for an exception reply."""
    if crc16(reply) != 0:  # over data and checksum together
        raise InvalidData(f"the reply {reply.hex(' ')} fails its CRC: check termination and polarity of the line")
    if reply[0] != unit:
        raise InvalidData(f"unit {reply[0]} answered instead of {unit}: two meters with one address?")
    if reply[1] == READ_INPUT_REGISTERS | EXCEPTION:
        raise DeviceError(
            f"unit {unit} refuses: {EXCEPTIONS.get(reply[2], f'exception {reply[2]}')}; is it a PZEM-004T v3?"
        )
    if reply[1] != READ_INPUT_REGISTERS or len(reply) != REPLY_LENGTH or reply[2] != 2 * REGISTERS:
        raise InvalidData(f"unit {unit} sent another frame than asked for: {reply.hex(' ')}; is it a PZEM-004T v3?")
    word = [int.from_bytes(reply[3 + 2 * i : 5 + 2 * i], "big") for i in range(REGISTERS)]
    return (
        Sample("voltage", word[0] / 10),
        Sample("current", (word[1] | word[2] << 16) / 1000),  # low word first
        Sample("power", (word[3] | word[4] << 16) / 10),
        Sample("energy", float(word[5] | word[6] << 16)),
        Sample("frequency", word[7] / 10),
        Sample("power_factor", word[8] / 100),
    )


def frame(message: bytes) -> bytes:
    """The message with its checksum, low byte first."""
    return message + crc16(message).to_bytes(2, "little")


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS; the guide's example is crc16(02 07) = 0x1241."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


SPEC = Spec(
    name="pzem004t",
    title="Peacefair PZEM-004T v3.0 energy meter",
    bus="serial",
    options=Options,
    open=Pzem004t,
    channels=lambda _options: (
        Channel("voltage", "V", 80, 260, digits=1),
        Channel("current", "A", 0, 100, digits=3),
        Channel("power", "W", 0, 23000, digits=1),
        Channel("energy", "W.h", 0, 9_999_990, digits=0),
        Channel("frequency", "Hz", 45, 65, digits=1),
        Channel("power_factor", "1", 0, 1, digits=2),
    ),
    claims=lambda options: (f"unit {options.unit}",),
    sample="mains: {driver: pzem004t, bus: meters, unit: 1, every: 1 s}",
    datasheet="Peacefair, PZEM-004T V3.0 User Manual",
    min_every_s=0.2,
    faults="No mains: the meter is powered from what it measures and falls silent, BadTimeout. Noise: "
    "BadDataEncodingInvalid. Adapter unplugged: BadNotConnected until it is back under the same by-id name.",
)
