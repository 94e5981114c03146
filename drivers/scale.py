"""A weighing indicator that streams lines such as `ST,GS,+00012.34kg` (many makers share the format).

Format: Selleton "SL-7516 series" manual, "Communication mode", continuous sending (S1,S2,S3,data,S4). verified: fake.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.driver import Channel, SerialPort, Spec, option
from gateway.core.errors import InvalidData, SensorFailure
from gateway.core.reading import Sample

TERMINATOR = b"\r\n"
LONGEST_LINE = 64
LINE_TIMEOUT_S = 0.6
_LINE = re.compile(rb"(ST|US),(?:GS|NT),([+-]) *(\d{1,8}(?:\.\d{1,4})?) *(kg|g)\r\n")
_OVERLOAD = re.compile(rb"OL,.*\r\n")
_KG = {b"kg": 1.0, b"g": 0.001}


@dataclass(frozen=True, slots=True)
class Options:
    """What the scale can bear."""

    capacity_kg: float = option("the scale's capacity; above it a weight is uncertain", unit="kg", low=0, default=150.0)


class Scale:
    """One indicator on a port of its own, sending all the time."""

    def __init__(self, port: SerialPort, options: Options) -> None:  # noqa: ARG002 - every driver is opened alike
        self._port = port

    def read(self) -> Sequence[Sample]:
        """A weight that was sent after the call. Blocks up to two lines' time, at most 1.2 s. Raises DeviceError."""
        self._port.discard_input()
        line = self._next_line()
        if not _LINE.fullmatch(line):
            line = self._next_line()  # the first line is usually cut by the discarding
        return decode(line)

    def _next_line(self) -> bytes:
        return self._port.read_until(TERMINATOR, LONGEST_LINE, LINE_TIMEOUT_S)


def decode(line: bytes) -> tuple[Sample, ...]:
    """Weight in kg and whether it stood still. Raises SensorFailure on overload, InvalidData for another line."""
    if _OVERLOAD.fullmatch(line):
        raise SensorFailure("the scale reports overload: take the load off; check the load cell if it stays")
    match = _LINE.fullmatch(line)
    if match is None:
        raise InvalidData(
            f"{line!r} is not a weight like 'ST,GS,+00012.34kg': set the indicator's stream format and baud rate"
        )
    state, sign, digits, unit = match.groups()
    weight_kg = float(sign + digits) * _KG[unit]
    return (Sample("weight", weight_kg), Sample("stable", state == b"ST"))


SPEC = Spec(
    name="scale",
    title="Weighing indicator with a serial stream",
    bus="serial",
    options=Options,
    open=Scale,
    channels=lambda options: (
        Channel("weight", "kg", -options.capacity_kg, options.capacity_kg, digits=3),
        Channel("stable"),
    ),
    claims=lambda _options: ("the port",),
    sample="stock_scale: {driver: scale, bus: scales, every: 1 s}",
    datasheet="Selleton, SL-7516 series manual, Communication mode",
    deadline_s=1.5,
    min_every_s=0.5,
    faults="Silent or unplugged indicator: BadTimeout; adapter unplugged: BadNotConnected. Overload: BadSensorFailure. "
    "Wrong baud rate or format: BadDataEncodingInvalid. Old lines in the buffer are thrown away, never reported.",
)
