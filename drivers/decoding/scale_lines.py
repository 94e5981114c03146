"""Lines of weighing indicators in three formats, as kilograms.

Formats: Selleton "SL-7516 series" manual, "Communication mode" (S1,S2,S3,data,S4; many makers share it); Mettler-Toledo
"MT-SICS Reference Manual" (S, SI); Ohaus "Ranger 3000" manual, "Interface" (P, IP).
"""

import re
from collections.abc import Callable

from gateway.core.errors import DeviceTimeout, InvalidData, SensorFailure

TERMINATOR = b"\r\n"
_NUMBER = rb"(\d{1,8}(?:\.\d{1,4})?) *(kg|g|lb)"
_ST_GS = re.compile(rb"(ST|US),(GS|NT),([+-]) *" + _NUMBER + TERMINATOR)
_OVERLOAD = re.compile(rb"OL,.*\r\n")
_MT_SICS = re.compile(rb"S ([SD]) +(-?)" + _NUMBER + TERMINATOR)
_PLAIN = re.compile(rb" *([+-]?) *" + _NUMBER + rb" *(\??) *[GN]? *\r\n")
_KG = {b"kg": 1.0, b"g": 0.001, b"lb": 0.45359237}
_OVERLOADED = "the scale reports overload or underload: take the load off; check the load cell if it stays"

Decoded = tuple[float, bool, bool]
"""kg, whether it stands still, whether it is net of a tare"""


def decode_st_gs(line: bytes) -> Decoded:
    """`ST,GS,+00012.34kg`: stable or unstable, gross or net."""
    if _OVERLOAD.fullmatch(line):
        raise SensorFailure(_OVERLOADED)
    match = _ST_GS.fullmatch(line)
    if match is None:
        raise _foreign(line, "ST,GS,+00012.34kg")
    state, kind, sign, digits, unit = match.groups()
    return float(sign + digits) * _KG[unit], state == b"ST", kind == b"NT"


def decode_mt_sics(line: bytes) -> Decoded:
    """`S S     12.340 kg`: stable or dynamic; `S +`, `S -` and `S I` are no weights. Raises DeviceTimeout when busy."""
    if line in (b"S +\r\n", b"S -\r\n"):
        raise SensorFailure(_OVERLOADED)
    if line == b"S I\r\n":
        raise DeviceTimeout("the scale is busy and gives no weight now (S I): wait until it has tared or started")
    match = _MT_SICS.fullmatch(line)
    if match is None:
        raise _foreign(line, "S S     12.340 kg")
    state, sign, digits, unit = match.groups()
    return float(sign + digits) * _KG[unit], state == b"S", False


def decode_plain(line: bytes) -> Decoded:
    """`   12.34 kg ? N`: a question mark while it moves."""
    match = _PLAIN.fullmatch(line)
    if match is None:
        raise _foreign(line, "   12.34 kg")
    sign, digits, unit, moving = match.groups()
    return float(sign + digits) * _KG[unit], not moving, False


DECODERS: dict[str, Callable[[bytes], Decoded]] = {
    "st_gs": decode_st_gs,
    "mt_sics": decode_mt_sics,
    "plain": decode_plain,
}
COMMANDS = {"st_gs": "READ", "mt_sics": "SI", "plain": "P"}


def is_surely_whole(line: bytes, format: str) -> bool:
    """Whether nothing can be missing at its beginning. A plain `12.34 kg` may be what is left of `112.34 kg`."""
    begins = {"st_gs": _ST_GS, "mt_sics": _MT_SICS}.get(format)
    return begins is not None and begins.fullmatch(line) is not None


def _foreign(line: bytes, example: str) -> InvalidData:
    return InvalidData(f"{line!r} is not a weight like {example!r}: set the indicator's output format and baud rate")
