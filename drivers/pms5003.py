"""PMS5003 (and PMS7003, PMSA003): fine dust by laser scattering, on a serial line.

Datasheet: Plantower "PMS5003 series data manual", version 2.3 (June 2016), appendix I. verified: fake.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, SerialPort, Spec
from gateway.core.errors import InvalidData, SensorFailure
from gateway.core.quality import Reason
from gateway.core.reading import Sample

START = b"\x42\x4d"
FRAME = struct.Struct(">2sH3H3H6H2BH")  # start, length, CF=1, room, counts, version, error code, sum
PERIOD_S = 2.3  # between two frames in calm air; 0.2 to 0.8 s in changing air
TIMEOUT_S = PERIOD_S + 0.3
FALSE_STARTS = 2  # the start characters may also occur among the values
CHANNELS = ("pm1", "pm2_5", "pm10")


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to choose: the part sends by itself."""


class Pms5003:
    """One part on a port of its own, sending all the time (active mode)."""

    def __init__(self, port: SerialPort, _options: Options) -> None:
        self._port = port

    def read(self) -> Sequence[Sample]:
        """A frame that was sent after the call. Blocks for 0.2 to 2.4 s, at worst 8 s. Raises DeviceError."""
        self._port.discard_input()
        frame = self._follow(b"")
        for _ in range(FALSE_STARTS):
            if is_whole(frame):
                break
            frame = self._follow(frame[len(START) :])
        return decode(frame)

    def _follow(self, received: bytes) -> bytes:
        """32 bytes from the next start characters on, of what was received already and what comes."""
        begin = received.find(START)
        if begin < 0:
            self._port.read_until(START, 2 * FRAME.size, TIMEOUT_S)
            return START + self._port.read(FRAME.size - len(START), TIMEOUT_S)
        return received[begin:] + self._port.read(FRAME.size - len(received) + begin, TIMEOUT_S)


def is_whole(frame: bytes) -> bool:
    """Whether start, length and sum of these 32 bytes are right."""
    start, length, *_, total = FRAME.unpack(frame)
    return bool(start == START and length == FRAME.size - 4 and total == sum(frame[:-2]))


def decode(frame: bytes) -> tuple[Sample, ...]:
    """Mass concentrations of the room's air in µg/m³. Raises InvalidData, SensorFailure when it sees no particle."""
    if len(frame) != FRAME.size or not is_whole(frame):
        raise InvalidData(f"the frame {frame.hex(' ')} fails its sum: check 9600 baud, the cable and its ground")
    values = FRAME.unpack(frame)
    room, counts, error_code = values[5:8], values[8:14], values[15]
    if not any(counts):
        raise SensorFailure(
            "not one particle is seen: the fan or the laser stands still, or the part was just switched on"
        )
    reason = Reason.UNCERTAIN_SENSOR_NOT_ACCURATE if error_code else Reason.GOOD
    return tuple(Sample(channel, float(value), reason) for channel, value in zip(CHANNELS, room, strict=True))


SPEC = Spec(
    name="pms5003",
    title="Plantower PMS5003 fine dust",
    bus="serial",
    options=Options,
    open=Pms5003,
    channels=lambda _options: tuple(Channel(name, "ug/m3", 0, 1000, digits=0) for name in CHANNELS),
    claims=lambda _options: ("the port",),
    sample="dust: {driver: pms5003, bus: dust_port, every: 10 s}",
    datasheet="Plantower, PMS5003 series data manual, version 2.3",
    deadline_s=8.0,
    min_every_s=3.0,
    wiring="VCC 5 V (its fan and laser need 100 mA), GND; TXD to the adapter's RXD at 3.3 V level; SET and RESET open. "
    "9600 baud, 8N1. Inlet sideways, not above a fryer: fat blinds it in weeks.",
    accuracy="±10 µg/m³ to 100 µg/m³, ±10 % to 500 µg/m³ (PM2.5). Steam counts as dust.",
    conversion="A frame every 2.3 s in calm air, every 0.2 to 0.8 s in changing air. Values are steady 30 s after "
    "switching on; the laser lives about 8000 h of running.",
    faults="Silent: BadTimeout; adapter unplugged: BadNotConnected. Disturbed line or wrong baud rate: "
    "BadDataEncodingInvalid, or BadTimeout when no frame begins. A fan or laser that stands still: BadSensorFailure. "
    "The part's own error code: UncertainSensorNotAccurate. Old frames in the buffer are thrown away, never reported.",
)
