"""The RS-485 line with the mains meter on it: answers in the line's time, with the fault of the hour."""

import random

from fake_hw.buses.pty_port import PtyPort
from fake_hw.faults import Condition
from fake_hw.loop import Loop, Timer
from fake_hw.parts.pzem004t import Pzem004t

_BYTE_S = 10 / 9600
_THINK_S = 0.005
_SLOW_S = 0.4
_SILENCE_S = 0.05  # a terminal keeps no bit times: anything shorter could be one frame read in two pieces


class MeterLine:
    """Puts the meter's answers on the port, as late as 9600 baud makes them."""

    def __init__(self, loop: Loop, link: str, part: Pzem004t, condition: Condition, chance: random.Random) -> None:
        self._loop = loop
        self._part = part
        self._condition = condition
        self._chance = chance
        self._silence: Timer | None = None
        self.port = PtyPort(loop, link, self._received)

    def sync(self) -> None:
        """Follow the plug."""
        self.port.set_plugged(self._condition.plugged)

    def vanish(self) -> None:
        """Pull the adapter out."""
        self.port.set_plugged(False)

    def _received(self, data: bytes) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._loop.after(_SILENCE_S, self._part.pause)
        answer = self._part.receive(data)
        fault = self._condition.fault
        if not answer or fault in {"nack", "hang"}:
            return
        delay_s = _THINK_S + len(answer) * _BYTE_S + (_SLOW_S if fault == "slow" else 0.0)
        self._loop.after(delay_s, lambda: self.port.send(self._damaged(answer, fault)))

    def _damaged(self, answer: bytes, fault: str) -> bytes:
        if fault == "crc":
            return answer[:-1] + bytes([answer[-1] ^ 0x5A])
        if fault == "flip":
            bit = self._chance.randrange(8 * len(answer))
            return (int.from_bytes(answer, "big") ^ 1 << bit).to_bytes(len(answer), "big")
        if fault == "garbage":
            return self._chance.randbytes(len(answer))
        if fault == "ones":
            return b"\xff" * len(answer)
        return answer
