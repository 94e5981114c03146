"""The wire of a DHT22: each start signal (one packet) is answered with the train of pulses that follows it."""

import struct

from fake_hw.buses.endpoint import Endpoint, Peer
from fake_hw.faults import Condition
from fake_hw.loop import Loop
from fake_hw.parts.dht22 import Dht22

START = b"start"
_SLOW_S = 0.2


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
