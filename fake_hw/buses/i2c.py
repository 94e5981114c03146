"""An I2C adapter with parts on it, some of them behind the channels of multiplexers.

One packet is one transaction: messages between one START and one STOP.
"""

import errno
import functools
import operator
import random
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fake_hw.buses.endpoint import Endpoint, Peer
from fake_hw.buses.lines import Lines
from fake_hw.faults import Condition
from fake_hw.loop import Loop

if TYPE_CHECKING:
    from fake_hw.machine import Machine

_MESSAGE = struct.Struct("<HHH")  # address, flags, length; the bytes of a write follow
_READ = 0x0001
ADAPTER_TIMEOUT_S = 1.0  # i2c_adapter.timeout, HZ by default
SLOW_S = 0.3
ADAPTER_FAULTS = {"enxio": errno.ENXIO, "eio": errno.EIO, "arblost": errno.EAGAIN, "stuck": errno.ETIMEDOUT}
"""What an adapter itself can say, besides that nobody acknowledges; pulled out it says ENODEV."""
_BEHIND = re.compile(r"(\S+) mux (0x[0-9a-f]{2}) channel ([0-7])")


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


def create(machine: "Machine", device: str) -> "I2CAdapter | Segment":
    """The adapter behind this node; its condition has the node's path as its name.

    "/dev/i2c-1 mux 0x70 channel 3" is what hangs behind that channel of a TCA9548A on that adapter.
    """
    behind = _BEHIND.fullmatch(device)
    if behind is not None:
        adapter: I2CAdapter = machine.bus("i2c", behind[1])
        return adapter.segment(int(behind[2], 16), int(behind[3]))
    condition = machine.condition(device, frozenset(ADAPTER_FAULTS))
    return I2CAdapter(machine.loop, machine.path(device), condition, machine.chance)


class Segment:
    """Wires with parts on them. is_on: whether the adapter reaches them now."""

    def __init__(self, is_on: Callable[[], bool] = lambda: True) -> None:
        self.is_on = is_on
        self.parts: dict[int, tuple[Part, Condition]] = {}

    def attach(self, address: int, part: Part, condition: Condition) -> None:
        """Solder a part to the wires at a 7-bit address."""
        self.parts[address] = (part, condition)

    def part(self, address: int) -> Part | None:
        """The part at an address: several devices may share one, such as the inputs of a converter."""
        return self.parts.get(address, (None, None))[0]

    def sync(self) -> None:
        """Nothing: the adapter appears and vanishes."""

    def vanish(self) -> None:
        """Nothing, as above."""


class I2CAdapter:
    """The bus: finds the addressed parts, applies their faults, answers with the kernel's errno."""

    def __init__(self, loop: Loop, path: str, condition: Condition, chance: random.Random) -> None:
        self._loop = loop
        self._condition = condition
        self._chance = chance
        self._main = Segment()
        self._behind: dict[tuple[int, int], Segment] = {}
        self._powered = True
        self.endpoint = Endpoint(loop, path, self._serve)
        self.attach, self.part = self._main.attach, self._main.part

    def segment(self, mux: int, channel: int) -> Segment:
        """The wires behind a channel of the mux at this address."""

        def is_on() -> bool:
            part, condition = self._main.parts.get(mux, (None, None))
            selected: int = getattr(part, "selected", 0)
            return condition is not None and condition.plugged and bool(selected >> channel & 1)

        return self._behind.setdefault((mux, channel), Segment(is_on))

    def feed(self, lines: Lines, offset: int) -> None:
        """Let this line feed the parts, which lose what they hold, and whom they hold, when it goes low."""
        self._powered = lines.level(offset) == 1
        lines.loads[offset] = self._supply

    def vanish(self) -> None:
        """Take the node away."""
        self.endpoint.withdraw()

    def sync(self) -> None:
        """Follow the adapter's plug."""
        if self._condition.plugged:
            self.endpoint.present()
        else:
            self.endpoint.withdraw()

    def _supply(self, level: int) -> None:
        self._powered = level == 1
        if self._powered:
            return
        for segment in (self._main, *self._behind.values()):
            for part, condition in segment.parts.values():
                if condition.fault == "stuck":
                    condition.heal()
                power_off = getattr(part, "power_off", None)
                if power_off is not None:
                    power_off()

    def _serve(self, peer: Peer, packet: bytes) -> None:
        try:
            messages = tuple(parse(packet))
        except (struct.error, ValueError):
            peer.reply(errno.EINVAL)
            return
        segments = self._reached()  # a mux switches at the STOP, after the transaction
        error, answer = self._transfer(messages, segments)
        delay_s = self._delay_s(messages, segments)
        if delay_s:
            self._loop.after(delay_s, lambda: peer.reply(error, answer))
        else:
            peer.reply(error, answer)

    def _reached(self) -> list[Segment]:
        if not self._powered:
            return []
        return [self._main, *(segment for segment in self._behind.values() if segment.is_on())]

    def _transfer(self, messages: tuple[Message, ...], segments: Sequence[Segment]) -> tuple[int, bytes]:
        """(errno, bytes read). A part that pulls SDA down for good stops everybody who is connected to it."""
        if self._condition.fault:
            return ADAPTER_FAULTS[self._condition.fault], b""
        everybody = [condition for segment in segments for _, condition in segment.parts.values()]
        if any(condition.plugged and condition.fault == "stuck" for condition in everybody):
            return errno.ETIMEDOUT, b""
        answer = bytearray()
        for message in messages:
            listening = _listening(message.address, segments)
            if not listening:
                return errno.EREMOTEIO, b""
            if any(condition.fault == "hang" for _, condition in listening):
                return errno.ETIMEDOUT, b""
            try:
                answers = [self._one(part, condition.fault, message) for part, condition in listening]
            except Nack:
                return errno.EREMOTEIO, b""
            answer += functools.reduce(_wired_and, answers)
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

    def _delay_s(self, messages: tuple[Message, ...], segments: Sequence[Segment]) -> float:
        for message in messages:
            for _, condition in _listening(message.address, segments):
                if condition.fault in {"hang", "slow"}:
                    return ADAPTER_TIMEOUT_S if condition.fault == "hang" else SLOW_S
        return 0.0


def _listening(address: int, segments: Sequence[Segment]) -> list[tuple[Part, Condition]]:
    """Whoever acknowledges the address: more than one when a mux connects parts that share it."""
    parts = [segment.parts[address] for segment in segments if address in segment.parts]
    return [(part, condition) for part, condition in parts if condition.plugged and condition.fault != "nack"]


def _wired_and(one: bytes, other: bytes) -> bytes:
    """Two parts that answer at once: a zero wins on an open-drain wire."""
    return bytes(map(operator.and_, one, other))
