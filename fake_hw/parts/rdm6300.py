"""RDM6300: repeats the number of the card on its coil, and is silent without one."""

import random
from functools import reduce
from operator import xor

from fake_hw.buses.pty_port import PtyPort
from fake_hw.faults import Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

CARD = bytes.fromhex("0c00a1b2c3")
_REPEAT_S = 0.065


class Rdm6300:
    """`card` lies on the coil while `present` says so."""

    def __init__(self, port: PtyPort, condition: Condition, chance: random.Random) -> None:
        self.card = CARD
        self._port = port
        self._condition = condition
        self._chance = chance

    def repeat(self) -> None:
        """Send the card's frame once, damaged as the fault says."""
        fault = self._condition.fault
        if fault != "hang":
            self._port.send(self._damaged(fault, frame(self.card)))

    def _damaged(self, fault: str, data: bytes) -> bytes:
        if fault == "crc":
            return data[:-3] + b"%02X" % (int(data[-3:-1], 16) ^ 0x5A) + data[-1:]
        if fault == "garbage":
            return self._chance.randbytes(len(data))
        if fault == "cut":
            return data[: self._chance.randrange(1, len(data))]
        if fault == "flip":
            at = self._chance.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << self._chance.randrange(8)]) + data[at + 1 :]
        return data


def frame(card: bytes) -> bytes:
    """STX, the five bytes and their exclusive or in hexadecimal, ETX."""
    return b"\x02" + (card + bytes([reduce(xor, card)])).hex().upper().encode() + b"\x03"


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    port: PtyPort = machine.bus("serial", wiring.device)
    port.attach(condition)
    reader = Rdm6300(port, condition, machine.chance)
    machine.truths.setdefault(f"{name}.present", 1.0)

    def repeat() -> None:
        if machine.truths[f"{name}.present"] >= 0.5:
            reader.repeat()

    machine.loop.every(_REPEAT_S, repeat)


PART = FakePart(
    name="rdm6300",
    quantities=lambda _wiring: {"present": Quantity(1.0)},
    faults=frozenset({"crc", "garbage", "cut", "flip", "hang"}),
    place=_place,
)
