"""A card reader with Wiegand wires: 26 or 34 bits, each a short pulse on one of two lines.

Datasheet: SIA AC-01-1996.10 "Access Control Standard Protocol for the 26-BIT Wiegand Reader Interface"; 34 bits as
HID's format of the same make. verified: fake.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from drivers.decoding.cards import CLONABLE
from gateway.core.driver import Channel, DigitalInput, DigitalLines, Spec, option
from gateway.core.errors import DeviceError, InvalidData, SensorFailure
from gateway.core.reading import Occurrence, Sample

FRAME_GAP_NS = 25_000_000  # AC-01: pulses come at most 20 ms apart
FRAME_BITS = frozenset({26, 34})
MOST_PULSES = 2000  # a line that oscillates must not fill the memory
Pulse = tuple[int, int]  # CLOCK_BOOTTIME ns, bit


@dataclass(frozen=True, slots=True)
class Options:
    """Where its two wires are."""

    data0_line: int = option("GPIO number of DATA0 (green), e.g. GPIO23", low=0, high=53)
    data1_line: int = option("GPIO number of DATA1 (white), e.g. GPIO24", low=0, high=53)


class Wiegand:
    """One reader. The kernel stamps each pulse, so their order is sure however late they are read."""

    def __init__(
        self,
        bus: DigitalLines,
        options: Options,
        now_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._now_ns = now_ns
        self._pulses: deque[Pulse] = deque(maxlen=MOST_PULSES)
        self._cards = self._refused = 0
        self._lines: list[DigitalInput] = []
        try:
            for bit, line in enumerate((options.data0_line, options.data1_line)):
                self._lines.append(bus.input(line, pull="up", active_low=True, debounce_s=0.0))
                self._lines[bit].watch(self._noting(bit))
        except DeviceError:
            self.close()
            raise

    def read(self) -> Sequence[Sample | Occurrence]:
        """What was presented since the last read. Blocks for nothing. Raises SensorFailure, NotConnected."""
        happened = [self._judge(bits) for bits in self._complete()]
        if not happened:
            self._check_levels()
        return [Sample("cards", float(self._cards)), Sample("refused", float(self._refused)), *happened]

    def close(self) -> None:
        """Give both lines back."""
        for line in self._lines:
            line.close()

    def _noting(self, bit: int) -> Callable[[bool, int], None]:
        def note(active: bool, time_ns: int) -> None:
            if active:
                self._pulses.append((time_ns, bit))

        return note

    def _complete(self) -> list[list[int]]:
        """Take the frames that have ended; one that may still go on waits for the next read."""
        now_ns = self._now_ns()
        pulses = [self._pulses.popleft() for _ in range(len(self._pulses))]
        frames = split(pulses)
        if frames and now_ns - frames[-1][-1][0] <= FRAME_GAP_NS:
            self._pulses.extendleft(reversed(frames.pop()))
        return [[bit for _, bit in frame] for frame in frames]

    def _judge(self, bits: list[int]) -> Occurrence:
        try:
            data = decode(bits)
        except InvalidData as error:
            self._refused += 1
            return Occurrence("refused", {"reason": str(error)})
        self._cards += 1
        return Occurrence("presented", data)

    def _check_levels(self) -> None:
        for name, line in zip(("DATA0", "DATA1"), self._lines, strict=True):
            if line.is_active() and not self._pulses and line.is_active():
                raise SensorFailure(f"{name} is held low: check the reader's supply, its ground and the level shifter")


def split(pulses: Iterable[Pulse]) -> list[list[Pulse]]:
    """Pulses in order of their stamps, a new frame after each pause."""
    frames: list[list[Pulse]] = []
    for pulse in sorted(pulses):
        if not frames or pulse[0] - frames[-1][-1][0] > FRAME_GAP_NS:
            frames.append([])
        frames[-1].append(pulse)
    return frames


def decode(bits: Sequence[int]) -> dict[str, str | float]:
    """uid (hexadecimal), facility, number and bits of a frame. Raises InvalidData: other length, or parity.

    The first bit makes the first half even, the last one the second half odd.
    """
    if len(bits) not in FRAME_BITS:
        raise InvalidData(f"{len(bits)} pulses instead of 26 or 34: check both wires, and the ground")
    half = len(bits) // 2
    if sum(bits[:half]) % 2 != 0 or sum(bits[half:]) % 2 != 1:
        raise InvalidData("the parity is wrong: check both wires, and the ground")
    value = int("".join(map(str, bits[1:-1])), 2)
    return {
        "uid": f"{value:0{(len(bits) - 2) // 4}x}",
        "facility": float(value >> 16),
        "number": float(value & 0xFFFF),
        "bits": float(len(bits)),
    }


SPEC = Spec(
    name="wiegand",
    title="Card reader with Wiegand-26 or -34 wires",
    bus="gpio",
    options=Options,
    open=Wiegand,
    channels=lambda _options: (Channel("cards", "1", 0, digits=0), Channel("refused", "1", 0, digits=0)),
    claims=lambda options: (f"line GPIO{options.data0_line}", f"line GPIO{options.data1_line}"),
    sample="back_door_reader: {driver: wiegand, bus: header, data0_line: GPIO23, data1_line: GPIO24, every: 100 ms}",
    datasheet="SIA AC-01-1996.10",
    min_every_s=0.05,
    wiring="DATA0 and DATA1 are open collector, usually pulled up to 5 V inside the reader: use a level shifter. "
    "Common ground, shielded cable, at most 150 m.",
    accuracy=CLONABLE + " Two wrong bits may pass the parity.",
    conversion="A card is an event, `presented` with uid, facility, number and bits, 25 ms after its last pulse; the "
    "reader decides how often one that stays is repeated.",
    faults="A wire held low: BadSensorFailure. Lost or doubled pulses, wrong parity: the event `refused` with the "
    "reason. Both wires cut, or a dead reader: silence, which can't be told from no card.",
    undetected=("hang",),
)
