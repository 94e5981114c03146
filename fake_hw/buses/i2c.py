"""An I2C adapter with parts on it. One packet is one transaction: messages between one START and one STOP."""

import errno
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fake_hw.buses.endpoint import Endpoint, Peer
from fake_hw.faults import Condition
from fake_hw.loop import Loop

if TYPE_CHECKING:
    from fake_hw.machine import Machine

_MESSAGE = struct.Struct("<HHH")  # address, flags, length; the bytes of a write follow
_READ = 0x0001
ADAPTER_TIMEOUT_S = 1.0  # i2c_adapter.timeout, HZ by default
SLOW_S = 0.3


class Nack(Exception):
    """The part does not acknowledge now."""


class Part(Protocol):
    """A chip: what it does with bytes written to it and which bytes it shows when read."""

    def write(self, data: bytes) -> None:
        """Take the bytes of one write message. Raises Nack."""
        ...

    def read(self, length: int) -> bytes:
        """At most `length` bytes; what is missing the master reads as ones. Raises Nack."""
        ...

    def spoil(self, data: bytes) -> bytes:
        """The same answer with a wrong checksum (the fault `crc`)."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a transaction; `data` is what is written, `length` what is to be read."""

    address: int
    is_read: bool
    length: int
    data: bytes


def parse(packet: bytes) -> Iterator[Message]:
    """The messages of a packet. Raises struct.error or ValueError for bytes that are none."""
    position = 0
    while position < len(packet):
        address, flags, length = _MESSAGE.unpack_from(packet, position)
        position += _MESSAGE.size
        is_read = bool(flags & _READ)
        data = b"" if is_read else packet[position : position + length]
        if len(data) != (0 if is_read else length):
            raise ValueError(f"a write of {length} bytes carries only {len(data)}")
        position += len(data)
        yield Message(address, is_read, length, data)


def create(machine: "Machine", device: str) -> "I2CAdapter":
    """The adapter behind this node; its condition has the node's path as its name."""
    return I2CAdapter(machine.loop, machine.path(device), machine.condition(device), machine.chance)


class I2CAdapter:
    """The bus: finds the addressed part, applies its fault, answers with the kernel's errno."""

    def __init__(self, loop: Loop, path: str, condition: Condition, chance: random.Random) -> None:
        self._loop = loop
        self._condition = condition
        self._chance = chance
        self._parts: dict[int, tuple[Part, Condition]] = {}
        self.endpoint = Endpoint(loop, path, self._serve)

    def attach(self, address: int, part: Part, condition: Condition) -> None:
        """Solder a part to the bus at a 7-bit address."""
        self._parts[address] = (part, condition)

    def part(self, address: int) -> Part | None:
        """The part at an address: several devices may share one, such as the inputs of a converter."""
        return self._parts.get(address, (None, None))[0]

    def vanish(self) -> None:
        """Take the node away."""
        self.endpoint.withdraw()

    def sync(self) -> None:
        """Follow the adapter's plug."""
        if self._condition.plugged:
            self.endpoint.present()
        else:
            self.endpoint.withdraw()

    def _serve(self, peer: Peer, packet: bytes) -> None:
        try:
            messages = tuple(parse(packet))
        except (struct.error, ValueError):
            peer.reply(errno.EINVAL)
            return
        error, answer = self._transfer(messages)
        delay_s = self._delay_s(messages)
        if delay_s:
            self._loop.after(delay_s, lambda: peer.reply(error, answer))
        else:
            peer.reply(error, answer)

    def _transfer(self, messages: tuple[Message, ...]) -> tuple[int, bytes]:
        """(errno, bytes read). A part that pulls SDA down for good stops everybody on its bus."""
        if any(condition.plugged and condition.fault == "stuck" for _, condition in self._parts.values()):
            return errno.ETIMEDOUT, b""
        answer = bytearray()
        for message in messages:
            part, condition = self._parts.get(message.address, (None, None))
            if part is None or condition is None or not condition.plugged or condition.fault == "nack":
                return errno.EREMOTEIO, b""
            if condition.fault == "hang":
                return errno.ETIMEDOUT, b""
            try:
                answer += self._one(part, condition.fault, message)
            except Nack:
                return errno.EREMOTEIO, b""
        return 0, bytes(answer)

    def _one(self, part: Part, fault: str, message: Message) -> bytes:
        if not message.is_read:
            part.write(message.data)
            return b""
        data = part.read(message.length)[: message.length]
        data += b"\xff" * (message.length - len(data))
        return self._damage(part, fault, data)

    def _damage(self, part: Part, fault: str, data: bytes) -> bytes:
        if fault == "ones":
            return b"\xff" * len(data)
        if fault == "garbage":
            return self._chance.randbytes(len(data))
        if fault == "crc":
            return part.spoil(data)
        if fault == "flip" and data:
            bit = self._chance.randrange(8 * len(data))
            return (int.from_bytes(data, "big") ^ (1 << bit)).to_bytes(len(data), "big")
        return data

    def _delay_s(self, messages: tuple[Message, ...]) -> float:
        for message in messages:
            _, condition = self._parts.get(message.address, (None, None))
            if condition is not None and condition.plugged and condition.fault in {"hang", "slow"}:
                return ADAPTER_TIMEOUT_S if condition.fault == "hang" else SLOW_S
        return 0.0
