"""NXP PN532 (UM0701-02): frames on I2C behind a ready byte, and one type A card on its antenna."""

from collections.abc import Callable
from dataclasses import dataclass

from fake_hw.buses.i2c import Nack
from fake_hw.faults import BUS_FAULTS
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

UID = bytes.fromhex("04a3b2c1d05e80")
_ACK = bytes.fromhex("0000ff00ff00")
_ERROR = bytes.fromhex("0000ff01ff7f8100")
_ACK_S, _COMMAND_S, _TRY_S, _FOUND_S = 0.001, 0.002, 0.005, 0.008
_NEVER = float("inf")
_ENDLESS = 0xFF  # MxRtyPassiveActivation after a reset
_FLAGS, _AUTOMATIC_RATS = 0x14, 0x10  # of SetParameters after a reset


@dataclass(slots=True)
class Answer:
    """What is in the chip's buffer, and from when on it may be read."""

    content: bytes
    ready_s: float


class Pn532:
    """Acknowledges each command frame, then works, then has its answer ready. It does not stretch the clock.

    uid: the card's; ats: what a card of ISO 14443-4 answers to RATS; present: whether it lies there. The first address
    after the supply came on only wakes it.
    """

    def __init__(self, clock: Callable[[], float], present: Callable[[], bool]) -> None:
        self.uid = UID
        self.ats = b""
        self._clock = clock
        self._present = present
        self._answers: list[Answer] = []
        self.reset()

    def reset(self) -> None:
        """The supply came on."""
        self._asleep = True
        self._normal_mode = False
        self._retries = _ENDLESS
        self._flags = _FLAGS
        self._answers.clear()

    def write(self, data: bytes) -> None:
        """Take a command frame; an earlier command is given up. Raises Nack when it only wakes."""
        if self._asleep:
            self._asleep = False
            raise Nack
        command = _unframed(data)
        if command is None:
            return
        now_s = self._clock()
        content, after_s = self._carry_out(command)
        self._answers = [Answer(_ACK, now_s + _ACK_S), Answer(content, now_s + _ACK_S + after_s)]

    def read(self, length: int) -> bytes:
        """The ready byte, and behind it the answer once there is one; reading more than the byte takes it."""
        if not self._answers or self._clock() < self._answers[0].ready_s:
            return bytes(length)
        content = self._answers[0].content if length == 1 else self._answers.pop(0).content
        return (b"\x01" + content).ljust(length, b"\x00")

    def spoil(self, data: bytes) -> bytes:
        """Make the checksum of a frame wrong, in front of its postamble."""
        if len(data) < 9 or data[0] != 1:
            return data
        end = 6 + data[4]
        return data[:end] + bytes([data[end] ^ 0x5A]) + data[end + 1 :]

    def _carry_out(self, command: bytes) -> tuple[bytes, float]:
        """(answer, seconds it takes)."""
        code, data = command[1], command[2:]
        if code == 0x02:
            return _framed(code, bytes([0x32, 1, 6, 7])), _COMMAND_S
        if code == 0x12 and len(data) == 1:
            self._flags = data[0]
            return _framed(code, b""), _COMMAND_S
        if code == 0x14 and data[:1] == b"\x01":
            self._normal_mode = True
            return _framed(code, b""), _COMMAND_S
        if code == 0x32 and data[:1] == b"\x05" and len(data) == 4:
            self._retries = data[3]
            return _framed(code, b""), _COMMAND_S
        if code == 0x4A and self._normal_mode and data == b"\x01\x00":
            return self._list()
        return _ERROR, _COMMAND_S

    def _list(self) -> tuple[bytes, float]:
        if self._present():
            selected = b"\x44\x00\x00" if len(self.uid) > 4 else b"\x04\x00\x08"
            target = b"\x01" + selected + bytes([len(self.uid)]) + self.uid
            if self._flags & _AUTOMATIC_RATS:
                target += self.ats
            return _framed(0x4A, b"\x01" + target), _FOUND_S
        return _framed(0x4A, b"\x00"), _NEVER if self._retries == _ENDLESS else (self._retries + 1) * _TRY_S


def _unframed(data: bytes) -> bytes | None:
    """The command in a frame, found by its pattern; None when length or checksum do not fit."""
    at = data.find(b"\x00\xff")
    if at < 0 or len(data) < at + 4 or (data[at + 2] + data[at + 3]) % 256:
        return None
    body = data[at + 4 : at + 4 + data[at + 2]]
    tail = data[at + 4 + data[at + 2] :]
    sound = body[:1] == b"\xd4" and len(body) > 1 and tail[:1] == bytes([255 - (sum(body) - 1) % 256])
    return body if sound else None


def _framed(code: int, data: bytes) -> bytes:
    body = bytes([0xD5, code + 1, *data])
    return b"\x00\x00\xff" + bytes([len(body), 256 - len(body), *body, 255 - (sum(body) - 1) % 256, 0])


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    machine.truths.setdefault(f"{name}.present", 1.0)
    part = Pn532(machine.clock, lambda: machine.truths[f"{name}.present"] >= 0.5)
    machine.bus(wiring.kind, wiring.device).attach(wiring.options["address"], part, condition)
    plugged = True

    def step() -> None:
        nonlocal plugged
        if plugged != condition.plugged:
            plugged = condition.plugged
            part.reset()

    machine.steps.append(step)


PART = FakePart(
    name="pn532",
    quantities=lambda _wiring: {"present": Quantity(1.0)},
    faults=BUS_FAULTS,
    place=_place,
)
