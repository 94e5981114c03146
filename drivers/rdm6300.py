"""RDM6300: a reader of 125 kHz cards (EM4100) on a serial line.

Datasheet: "RDM6300 Specification" (itead, 2010), output data format. verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.decoding.cards import CLONABLE, Card, CardWatch
from gateway.core.driver import Channel, SerialPort, Spec
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData
from gateway.core.reading import Occurrence, Sample

HEAD, TAIL = b"\x02", 0x03
FRAME_LENGTH = 14  # head, ten digits of data, two of checksum, tail
WAIT_S = 0.15  # more than two repetitions: the reader sends a card's frame about every 65 ms
FRAME_S = 0.1
HOLD_S = 0.5
MOST_FRAMES = 293  # of one read: the 4096 bytes that the kernel keeps, so that none of them is left for the next
_DIGITS = frozenset(b"0123456789ABCDEF")


@dataclass(frozen=True, slots=True)
class Options:
    """The reader has a line of its own, at 9600 baud."""


class Rdm6300:
    """One reader. It says nothing while no card is there, so its silence and its death look alike."""

    def __init__(
        self,
        port: SerialPort,
        options: Options,  # noqa: ARG002 - every driver is opened alike
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._watch = CardWatch(HOLD_S, now)

    def read(self) -> Sequence[Sample | Occurrence]:
        """Everything sent since the last read, and 0.15 s more. Blocks at most 1.2 s. Raises DeviceError."""
        cards, bad = self._receive()
        if bad and not cards:
            raise bad
        presented = [each for card in cards for each in self._watch.seen(card)]
        return [*self._watch.samples(), *presented]

    def _receive(self) -> tuple[list[Card], DeviceError | None]:
        """The cards of the sound frames, and what was wrong with the last that was not."""
        cards: list[Card] = []
        bad: DeviceError | None = None
        for place in range(MOST_FRAMES):
            try:
                head = self._port.read(1, 0.0 if place else WAIT_S)
            except DeviceTimeout:
                break
            except DeviceError as error:  # what came before the adapter went away still counts
                return cards, error
            try:
                cards.append(self._frame(head))
            except DeviceError as error:
                bad = error
        return cards, bad

    def _frame(self, frame: bytes) -> Card:
        """The frame that has begun; one that begins inside it takes its place. Raises DeviceError."""
        if frame != HEAD:
            raise InvalidData(f"byte 0x{frame.hex()} begins no frame: check baud rate (9600) and wiring")
        for _ in range(FRAME_LENGTH):
            frame += self._port.read(FRAME_LENGTH - len(frame), FRAME_S)
            frame = frame[frame.rfind(HEAD) :]
            if len(frame) == FRAME_LENGTH:
                break
        return decode(frame)


def decode(frame: bytes) -> Card:
    """Version and number of a frame. Raises InvalidData for a wrong length, end, digit or checksum."""
    if len(frame) != FRAME_LENGTH or frame[:1] != HEAD or frame[-1] != TAIL:
        raise InvalidData(f"{frame.hex(' ')} is no frame of 14 bytes from 02 to 03")
    digits = frame[1:-1]
    if not _DIGITS.issuperset(digits):
        raise InvalidData(f"{digits!r} is not all hexadecimal: check the ground between reader and Pi")
    *data, checksum = bytes.fromhex(digits.decode())
    computed = 0
    for byte in data:
        computed ^= byte
    if computed != checksum:
        raise InvalidData(f"checksum {checksum:02x} instead of {computed:02x}: check the ground between reader and Pi")
    number = int.from_bytes(bytes(data[1:]), "big")
    return Card(bytes(data).hex(), {"number": f"{number:010}"})


SPEC = Spec(
    name="rdm6300",
    title="RDM6300 reader of 125 kHz cards",
    bus="serial",
    options=Options,
    open=Rdm6300,
    channels=lambda _options: (Channel("present"), Channel("cards", "1", 0, digits=0)),
    claims=lambda _options: ("the port",),
    sample="staff_reader: {driver: rdm6300, bus: reader, every: 300 ms}",
    datasheet="itead, RDM6300 Specification",
    deadline_s=2.0,
    min_every_s=0.2,
    wiring="5 V, GND, TX to RXD of a 5 V serial adapter (the Pi's own RXD needs a divider to 3.3 V); the coil "
    "away from metal.",
    accuracy=CLONABLE,
    conversion="A card is an event once, `presented` with uid (version and number, hexadecimal) and number (the ten "
    "digits printed on it), and again when it was away for 0.5 s.",
    faults="Adapter unplugged: BadNotConnected. Disturbed or wrong baud rate: BadDataEncodingInvalid (each frame has a "
    "checksum). A dead reader is as silent as one without a card.",
    undetected=("hang",),
)
