"""The wire of a DHT22: each start signal (one packet) is answered with the train of pulses that follows it."""

import os
import struct
from typing import TYPE_CHECKING

from fake_hw.buses.endpoint import Endpoint, Peer
from fake_hw.faults import Condition
from fake_hw.loop import Loop
from fake_hw.parts.dht22 import Dht22

if TYPE_CHECKING:
    from fake_hw.machine import Machine

START = b"start"
_SLOW_S = 0.2


def create(machine: "Machine", device: str) -> "DhtHeader":
    """The header's lines, with no sensor on one yet."""
    del device  # there is one header
    return DhtHeader(machine.loop, machine.root)


class DhtHeader:
    """Where DHT22s are wired, each to a line of its own."""

    def __init__(self, loop: Loop, root: str) -> None:
        self._loop = loop
        self._root = root
        self._sockets: list[DhtSocket] = []

    def attach(self, line: int, part: Dht22, condition: Condition) -> None:
        """Wire a sensor to a GPIO line."""
        path = os.path.join(self._root, f"dev/dht-GPIO{line}")
        self._sockets.append(DhtSocket(self._loop, path, part, condition))

    def sync(self) -> None:
        """The lines are always there; what a sensor's plug means is the part's affair."""
        for each in self._sockets:
            each.endpoint.present()

    def vanish(self) -> None:
        """Take every line away."""
        for each in self._sockets:
            each.endpoint.withdraw()


class DhtSocket:
    """`dev/dht-GPIOn`: the answer is errno 0 and the lengths as little-endian 16-bit microseconds."""

    def __init__(self, loop: Loop, path: str, part: Dht22, condition: Condition) -> None:
        self._loop = loop
        self._part = part
        self._condition = condition
        self.endpoint = Endpoint(loop, path, self._serve)

    def _serve(self, peer: Peer, packet: bytes) -> None:
        if packet != START or self._condition.fault == "hang":
            return
        train = self._part.train()
        answer = struct.pack(f"<{len(train)}H", *train)
        if self._condition.fault == "slow":
            self._loop.after(_SLOW_S, lambda: peer.reply(0, answer))
        else:
            peer.reply(0, answer)
