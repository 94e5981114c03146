"""HLK-LD2410 (B, C): 24 GHz radar that sees people, also those who sit still, on a serial port.

Datasheet: Hi-Link "HLK-LD2410 serial communication protocol", V1.02, section 2.3 (reported data). verified: fake.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, SerialPort, Spec
from gateway.core.errors import InvalidData
from gateway.core.reading import Sample

HEADER, TAIL = b"\xf4\xf3\xf2\xf1", b"\xf8\xf7\xf6\xf5"
LONGEST_FRAME = 64  # 45 bytes in engineering mode
FRAME_TIMEOUT_S = 0.4  # one every 100 ms
ENGINEERING, BASIC = 0x01, 0x02
DATA_HEAD, DATA_TAIL, CHECK = 0xAA, 0x55, 0x00
MOVING, STILL = 1, 2
_TARGET = struct.Struct("<BHBHBH")  # state, moving: cm and energy, still: cm and energy, detection distance
HIGHEST_ENERGY = 100
HIGHEST_CM = 900  # nine gates of 0.75 m, and a margin


@dataclass(frozen=True, slots=True)
class Options:
    """The part has none; sensitivity and range are set with the maker's program and stay in it."""


class Ld2410:
    """One radar, sending all the time."""

    def __init__(self, port: SerialPort, _options: Options) -> None:
        self._port = port

    def read(self) -> Sequence[Sample]:
        """What it saw after the call. Blocks up to two frames' time, 0.2 s, at most 0.8 s. Raises DeviceError."""
        self._port.discard_input()
        frame = self._next_frame()
        if not frame.startswith(HEADER):
            frame = self._next_frame()  # the first one is usually cut by the discarding
        return decode(frame)

    def _next_frame(self) -> bytes:
        return self._port.read_until(TAIL, LONGEST_FRAME, FRAME_TIMEOUT_S)


def decode(frame: bytes) -> tuple[Sample, ...]:
    """Presence, then distance (cm) and energy (%) of what moves and of what stands still.

    Raises InvalidData for a frame that is not one, and for values the part can't report.
    """
    data = frame[len(HEADER) + 2 : -len(TAIL)]
    length = int.from_bytes(frame[len(HEADER) : len(HEADER) + 2], "little")
    whole = frame.startswith(HEADER) and frame.endswith(TAIL) and len(data) == length > _TARGET.size + 3
    if (
        not whole
        or data[0] not in (BASIC, ENGINEERING)
        or (data[1], data[-2], data[-1]) != (DATA_HEAD, DATA_TAIL, CHECK)
    ):
        raise InvalidData(f"{frame.hex(' ')} is no report of an LD2410: check the wire, and the port's baud (256000)")
    state, moving_cm, moving_pct, still_cm, still_pct, _ = _TARGET.unpack_from(data, 2)
    if state > MOVING | STILL or max(moving_pct, still_pct) > HIGHEST_ENERGY or max(moving_cm, still_cm) > HIGHEST_CM:
        raise InvalidData(f"{frame.hex(' ')} reports what an LD2410 can't see: the frame is disturbed")
    return (
        Sample("presence", state != 0),
        Sample("moving_distance", float(moving_cm)),
        Sample("moving_energy", float(moving_pct)),
        Sample("still_distance", float(still_cm)),
        Sample("still_energy", float(still_pct)),
    )


SPEC = Spec(
    name="ld2410",
    title="Hi-Link LD2410 presence radar",
    bus="serial",
    options=Options,
    open=Ld2410,
    channels=lambda _options: (
        Channel("presence"),
        Channel("moving_distance", "cm", 0, HIGHEST_CM, digits=0),
        Channel("moving_energy", "%", 0, HIGHEST_ENERGY, digits=0),
        Channel("still_distance", "cm", 0, HIGHEST_CM, digits=0),
        Channel("still_energy", "%", 0, HIGHEST_ENERGY, digits=0),
    ),
    claims=lambda _options: ("the port",),
    sample="dining_radar: {driver: ld2410, bus: radar, every: 500 ms}",
    datasheet="Hi-Link, HLK-LD2410 serial communication protocol V1.02",
    deadline_s=1.0,
    min_every_s=0.3,
    wiring="5 V (200 mA), GND, OT1 (its TX) to RX and RX to TX, 3.3 V levels; a USB adapter's 3.3 V side or the Pi's "
    "UART. The bus has `baud: 256000`. Not behind metal; fans, curtains and hot steam move too.",
    overlay="enable_uart=1",
    accuracy="Up to 6 m, ±0.75 m (one gate), ±60°",
    conversion="A frame every 100 ms; a distance means nothing while its energy is 0",
    faults="Silent: BadTimeout. Adapter unplugged: BadNotConnected. Wrong baud rate or a disturbed frame: "
    "BadDataEncodingInvalid, as far as its form tells; there is no checksum, so a single wrong bit may change a "
    "distance, an energy or the presence of one reading.",
    undetected=("flip",),
)
