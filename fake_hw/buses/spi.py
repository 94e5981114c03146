"""One chip select of an SPI controller with its part.

A packet to `dev/spidevB.C` is one SPI_IOC_MESSAGE: for each of its transfers a head of 12 bytes, little-endian,
`length u32, speed_hz u32, mode u8, bits_per_word u8, flags u16` (flags bit 0: cs_change), then `length` bytes that
go out on MOSI (zeros for a transfer without tx_buf). speed_hz and bits_per_word are what is in force: the transfer's
own, or the descriptor's. The answer is errno as i32, then the MISO bytes of all transfers, as many as went out.
A plain read(n) of spidev is one transfer of n zeros, a plain write one whose MISO bytes nobody looks at.
"""

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

SPI_FAULTS = frozenset({"flip", "ones", "zeros", "garbage", "slow", "hang"})
HEAD = struct.Struct("<IIBBH")
_CS_CHANGE = 0x0001
_CPOL_CPHA = 0x03
_TIMEOUT_S = 0.3  # the kernel gives a short transfer its time twice and 200 ms
_SLOW_S = 0.3


class Part(Protocol):
    """A chip behind one chip select. modes: the SPI modes (CPOL, CPHA) it speaks."""

    modes: frozenset[int]

    def exchange(self, data: bytes) -> bytes:
        """One frame, chip select low to high: bytes in on MOSI, as many out on MISO."""
        ...


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer of a message. deselects: chip select goes high behind it."""

    data: bytes
    speed_hz: int
    mode: int
    bits_per_word: int
    deselects: bool


def parse(packet: bytes) -> Iterator[Transfer]:
    """The transfers of a packet. Raises struct.error or ValueError for bytes that are none."""
    position = 0
    while position < len(packet):
        length, speed_hz, mode, bits_per_word, flags = HEAD.unpack_from(packet, position)
        position += HEAD.size
        data = packet[position : position + length]
        if len(data) != length:
            raise ValueError(f"a transfer of {length} bytes carries only {len(data)}")
        position += length
        yield Transfer(data, speed_hz, mode, bits_per_word, bool(flags & _CS_CHANGE))


def create(machine: "Machine", device: str) -> "ChipSelect":
    """The chip select behind this node; its condition has the node's path as its name."""
    return ChipSelect(machine.loop, machine.path(device), machine.condition(device), machine.chance)


class ChipSelect:
    """A wire has no acknowledgement: without a part MISO is pulled down and every byte reads as zero."""

    def __init__(self, loop: Loop, path: str, condition: Condition, chance: random.Random) -> None:
        self._loop = loop
        self._condition = condition
        self._chance = chance
        self._part: Part | None = None
        self._of_part: Condition | None = None
        self.endpoint = Endpoint(loop, path, self._serve)

    def attach(self, part: Part, condition: Condition) -> None:
        """Solder the part on. Raises ValueError when there is one already."""
        if self._part is not None:
            raise ValueError("this chip select already has a part")
        self._part, self._of_part = part, condition

    def vanish(self) -> None:
        """Take the node away."""
        self.endpoint.withdraw()

    def sync(self) -> None:
        """Follow the controller's plug: without `dtparam=spi=on` there is no node."""
        if self._condition.plugged:
            self.endpoint.present()
        else:
            self.endpoint.withdraw()

    def _serve(self, peer: Peer, packet: bytes) -> None:
        try:
            transfers = tuple(parse(packet))
        except (struct.error, ValueError):
            peer.reply(errno.EINVAL)
            return
        if any(each.bits_per_word != 8 for each in transfers):
            peer.reply(errno.EINVAL)  # like the Pi's controllers
            return
        fault = self._of_part.fault if self._of_part is not None and self._of_part.plugged else ""
        if fault == "hang":
            self._loop.after(_TIMEOUT_S, lambda: peer.reply(errno.ETIMEDOUT))
            return
        answer = b"".join(self._frame(frame, fault) for frame in _frames(transfers))
        if fault == "slow":
            self._loop.after(_SLOW_S, lambda: peer.reply(0, answer))
        else:
            peer.reply(0, answer)

    def _frame(self, frame: tuple[Transfer, ...], fault: str) -> bytes:
        """What MISO shows while chip select is low once."""
        data = b"".join(each.data for each in frame)
        if self._part is None or self._of_part is None or not self._of_part.plugged:
            return bytes(len(data))
        if any(each.mode & _CPOL_CPHA not in self._part.modes for each in frame):
            # The part hears and is heard half a clock off: take it as one bit late.
            late = self._part.exchange(_one_bit_late(data))
            return _one_bit_late(late)
        return self._damage(self._part.exchange(data), fault)

    def _damage(self, data: bytes, fault: str) -> bytes:
        if fault == "ones":
            return b"\xff" * len(data)
        if fault == "zeros":
            return bytes(len(data))
        if fault == "garbage":
            return self._chance.randbytes(len(data))
        if fault == "flip" and data:
            bit = self._chance.randrange(8 * len(data))
            return (int.from_bytes(data, "big") ^ (1 << bit)).to_bytes(len(data), "big")
        return data


def _frames(transfers: tuple[Transfer, ...]) -> Iterator[tuple[Transfer, ...]]:
    """The transfers between two edges of chip select."""
    frame: list[Transfer] = []
    for each in transfers:
        frame.append(each)
        if each.deselects:
            yield tuple(frame)
            frame = []
    if frame:
        yield tuple(frame)


def _one_bit_late(data: bytes) -> bytes:
    return (int.from_bytes(data, "big") >> 1).to_bytes(len(data), "big")
