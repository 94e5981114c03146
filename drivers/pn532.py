"""PN532: a reader of 13.56 MHz cards (ISO 14443 A: MIFARE, NTAG) on I2C.

Datasheet: NXP UM0701-02 "PN532 User Manual", revision 02, sections 6.2 (frames), 6.2.4 (I2C), 7.2 and 7.3.
verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding.cards import CLONABLE, Card, CardWatch
from gateway.core.driver import Channel, I2CBus, Spec, option
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData, NotConnected
from gateway.core.reading import Occurrence, Sample

SET_PARAMETERS, SAM_CONFIGURATION, RF_CONFIGURATION, IN_LIST_PASSIVE_TARGET = 0x12, 0x14, 0x32, 0x4A
NO_RATS = bytes([0x04])  # as after a reset, but for fAutomaticRATS: a bank card or a phone is not asked for its ATS
NORMAL_MODE = bytes([0x01, 0x14, 0x01])  # no security module; its time-out; the IRQ pin is used
FEW_RETRIES = bytes([0x05, 0xFF, 0x01, 0x01])  # MaxRetries: a search without a card ends after two tries
ONE_TYPE_A_CARD = bytes([0x01, 0x00])  # MaxTg 1, 106 kbit/s type A
TO_CHIP, FROM_CHIP, ERROR_FRAME = 0xD4, 0xD5, 0x7F
START = b"\x00\x00\xff"
ACKNOWLEDGE = START + b"\x00\xff\x00"
BUSY, READY = 0x00, 0x01
POLL_S = 0.005
ACKNOWLEDGE_S, ANSWER_S = 0.05, 0.3
LONGEST_ANSWER = 32  # a card with a UID of ten bytes takes 25
HOLD_S = 0.7
RANDOM_UID = 0x08  # first byte of a UID that is another one each time (ISO 14443-3, 6.5.4)


@dataclass(frozen=True, slots=True)
class Options:
    """The chip has one address only."""

    address: int = option("I2C address", low=0x08, high=0x77, default=0x24)


class Pn532:
    """One reader. Readiness is polled, so that it never stretches the clock (which a Pi's I2C handles wrongly)."""

    def __init__(
        self,
        bus: I2CBus,
        options: Options,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._address = options.address
        self._sleep = sleep
        self._watch = CardWatch(HOLD_S, now)
        self._configured = False

    def read(self) -> Sequence[Sample | Occurrence]:
        """Look for a card. Blocks about 40 ms, at most 1.5 s. Raises DeviceError."""
        if not self._configured:
            self._ask(SAM_CONFIGURATION, NORMAL_MODE)
            self._ask(SET_PARAMETERS, NO_RATS)
            self._ask(RF_CONFIGURATION, FEW_RETRIES)
            self._configured = True
        card = read_card(self._ask(IN_LIST_PASSIVE_TARGET, ONE_TYPE_A_CARD))
        presented = [] if card is None else self._watch.seen(card)
        return [*self._watch.samples(), *presented]

    def _ask(self, command: int, data: bytes) -> bytes:
        """The data of the answer to a command."""
        self._write(frame(bytes([TO_CHIP, command]) + data))
        acknowledged = self._receive(len(ACKNOWLEDGE), ACKNOWLEDGE_S)
        if acknowledged != ACKNOWLEDGE:
            raise InvalidData(f"{acknowledged.hex(' ')} is no acknowledgement: check cable length and pull-ups")
        answer = unframe(self._receive(LONGEST_ANSWER, ANSWER_S))
        if answer[:2] != bytes([FROM_CHIP, command + 1]):
            raise InvalidData(f"{answer.hex(' ')} answers another command than 0x{command:02x}")
        return answer[2:]

    def _write(self, message: bytes) -> None:
        try:
            self._bus.transfer(self._address, message)
        except NotConnected:  # asleep: its address wakes it
            self._sleep(POLL_S)
            self._bus.transfer(self._address, message)

    def _receive(self, length: int, timeout_s: float) -> bytes:
        """The frame in the chip's buffer once its ready byte says so."""
        for _ in range(round(timeout_s / POLL_S)):
            status, *content = self._bus.transfer(self._address, b"", 1 + length)
            if status == READY:
                return bytes(content)
            if status != BUSY:
                raise InvalidData(f"ready byte 0x{status:02x} is neither 0 nor 1: check cable length and pull-ups")
            self._sleep(POLL_S)
        raise DeviceTimeout(f"the PN532 is not ready after {timeout_s:g} s: check its supply")


def frame(data: bytes) -> bytes:
    """A normal information frame (6.2.1.1) around at most 254 bytes."""
    return START + bytes([len(data), -len(data) & 0xFF]) + data + bytes([-sum(data) & 0xFF, 0x00])


def unframe(received: bytes) -> bytes:
    """The data in a frame. Raises InvalidData when start, length or checksum refuse it, DeviceError for its own."""
    length = int.from_bytes(received[3:4], "big")
    data, check = received[5 : 5 + length], received[5 + length : 6 + length]
    if not (received.startswith(START) and data and check) or sum(received[3:5]) & 0xFF:
        raise InvalidData(f"{received.hex(' ')} is no frame: check cable length and pull-ups")
    if sum(data + check) & 0xFF:
        raise InvalidData(f"{received.hex(' ')} fails its checksum: check cable length and pull-ups")
    if data[0] == ERROR_FRAME:
        raise DeviceError("the PN532 refuses the command: is it another chip?")
    return data


def read_card(answer: bytes) -> Card | None:
    """The card in an answer to InListPassiveTarget, None for no card. Raises InvalidData."""
    if not answer:
        raise InvalidData("the search for cards was answered with nothing")
    if answer[0] == 0:
        return None
    length = int.from_bytes(answer[5:6], "big")
    uid = answer[6 : 6 + length]
    if answer[0] != 1 or length not in (4, 7, 10) or len(uid) != length:
        raise InvalidData(f"{answer.hex(' ')} describes no type A card")
    return Card(uid.hex(), {"random": length == 4 and uid[0] == RANDOM_UID})


SPEC = Spec(
    name="pn532",
    title="NXP PN532 reader of 13.56 MHz cards",
    bus="i2c",
    options=Options,
    open=Pn532,
    channels=lambda _options: (Channel("present"), Channel("cards", "1", 0, digits=0)),
    claims=lambda options: (f"address 0x{options.address:02x}",),
    sample="locker_reader: {driver: pn532, bus: sensors, every: 300 ms}",
    datasheet="NXP UM0701-02, PN532 User Manual, revision 02",
    deadline_s=4.0,
    min_every_s=0.2,
    wiring="3.3 V or 5 V as the board says, GND, SDA, SCL with 4.7 kΩ to 3.3 V; the board's switches on I2C.",
    accuracy=CLONABLE + " Only the UID is read.",
    conversion="A card is an event once, `presented` with uid (4, 7 or 10 bytes, hexadecimal) and random (a phone's "
    "number, another one each time), and again when it was away for 0.7 s.",
    faults="Unplugged: BadNotConnected. Disturbed cable: BadDataEncodingInvalid (length and data have checksums). "
    "SDA or SCL held low, or the chip hangs: BadTimeout; it is set up afresh afterwards.",
)
