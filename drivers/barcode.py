"""A barcode scanner, on a serial line or as a USB keyboard: what goods carry on their labels.

Datasheet: GS1 General Specifications, release 24 (element strings); ISO/IEC 15424:2008 (AIM symbology identifiers).
verified: fake.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from drivers.decoding.gs1 import Unusable, read_scan
from drivers.decoding.us_keyboard import Line, Typist
from gateway.core.driver import Channel, KeyEvents, SerialPort, Spec, option
from gateway.core.errors import DeviceError, DeviceTimeout, InvalidData
from gateway.core.reading import Occurrence, Sample

WAIT_S = 0.2  # how long a read waits for a scan to begin; what comes between two reads waits in the kernel
LINE_S = 1.0  # how long a line may take: at 9600 baud the longest takes half of it
LONGEST_LINE = 500
MOST_LINES = 20
RAW_SHOWN = 200
_CUT = "the scan broke off before its end: let the scanner send CR (Enter) behind each scan, then scan again"
_AFTER_A_CUT = "the scan before this one broke off, so this may be its rest: scan again"


@dataclass(frozen=True, slots=True)
class Options:
    """How the scanner is set."""

    sends_separators: bool = option(
        "whether it was seen to send FNC1 as ASCII 29 (as a keyboard: Ctrl and ], or F8); "
        "if not, a label that could mean two things is refused",
        default=False,
    )


class Source(Protocol):
    """Where lines come from."""

    def lines(self) -> list[Line]:
        """Every line that has come, waiting WAIT_S for the first. Raises NotConnected."""
        ...


class Barcode:
    """One scanner. A read waits up to 0.2 s for a scan and up to 1 s for its end."""

    def __init__(
        self, source: Source, options: Options, year: Callable[[], int] = lambda: time.gmtime().tm_year
    ) -> None:
        self._source = source
        self._options = options
        self._year = year
        self._scans = self._refused = 0

    def read(self) -> Sequence[Sample | Occurrence]:
        """Counts since the scanner was opened, and an occurrence `scanned` or `refused` for each scan."""
        happened = [self._judge(line) for line in self._source.lines()]
        return [Sample("scans", float(self._scans)), Sample("refused", float(self._refused)), *happened]

    def _judge(self, line: Line) -> Occurrence:
        try:
            if line.fault:
                raise Unusable(line.fault)
            data = read_scan(line.text, sends_separators=self._options.sends_separators, year=self._year())
        except Unusable as error:
            self._refused += 1
            return Occurrence("refused", {"reason": str(error), "raw": line.text[:RAW_SHOWN]})
        self._scans += 1
        return Occurrence("scanned", data)


class SerialLines:
    """Lines that end with CR or CR LF."""

    def __init__(self, port: SerialPort) -> None:
        self._port = port
        self._cut = False

    def lines(self) -> list[Line]:
        """As `Source`: nothing that was received is lost to an adapter that goes away behind it."""
        lines: list[Line] = []
        while len(lines) < MOST_LINES and not (lines and self._cut):  # a babble must not last as long as its patience
            try:
                begin = self._port.read(1, 0.0 if lines else WAIT_S)
                if begin not in (b"\r", b"\n"):
                    lines.append(self._line(begin))
            except DeviceTimeout:
                break
            except DeviceError:
                if not lines:
                    raise
                break
        return lines

    def _line(self, begin: bytes) -> Line:
        after_a_cut, self._cut = self._cut, False
        try:
            raw = begin + self._port.read_until(b"\r", LONGEST_LINE, LINE_S)
        except (DeviceTimeout, InvalidData):
            self._cut = True
            return Line(begin.decode("ascii", "replace"), _CUT)
        text = raw[:-1].decode("ascii", "backslashreplace")
        if not raw.isascii():
            return Line(text, "bytes that are no text: check baud rate and parity")
        return Line(text, _AFTER_A_CUT if after_a_cut else "")


class KeyboardLines:
    """Lines that end with Enter."""

    def __init__(self, keys: KeyEvents, now: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._now = now
        self._typist = Typist()
        self._typed_s = 0.0

    def lines(self) -> list[Line]:
        """As `Source`; a line may be typed over several reads."""
        lines: list[Line] = []
        end_s = self._now() + WAIT_S
        while not lines and (left_s := end_s - self._now()) >= 0 and (events := self._keys.keys(left_s)):
            self._typed_s = self._now()
            typed = [self._typist.key(code, pressed) for code, pressed in events]
            lines = [line for line in typed if line is not None]
        if self._typist.is_typing and self._now() - self._typed_s > LINE_S:
            lines.append(self._typist.end(_CUT))
        return lines


def open_scanner(bus: SerialPort | KeyEvents, options: Options) -> Barcode:
    """The scanner on either kind of bus."""
    keyboard = hasattr(bus, "keys")
    return Barcode(KeyboardLines(cast(KeyEvents, bus)) if keyboard else SerialLines(cast(SerialPort, bus)), options)


SPEC = Spec(
    name="barcode",
    title="Barcode scanner with GS1 labels",
    bus="evdev",
    also_on=("serial",),
    process="field",
    options=Options,
    open=open_scanner,
    channels=lambda _options: (Channel("scans", "1", 0, digits=0), Channel("refused", "1", 0, digits=0)),
    claims=lambda _options: ("the scanner",),
    sample="goods_in: {driver: barcode, bus: scanner, every: 300 ms, sends_separators: on}",
    datasheet="GS1 General Specifications, release 24; ISO/IEC 15424:2008",
    deadline_s=3.0,
    min_every_s=0.2,
    wiring="USB. Scan the maker's configuration labels once: USB keyboard with US layout and Enter behind each scan "
    "(or USB serial with CR), AIM symbology identifier in front, FNC1 sent as ASCII 29 (GS).",
    accuracy="A GTIN has a check digit. Lots and dates are believed only behind an AIM identifier that says GS1 "
    "(]C1, ]e0, ]d2, ]Q3, ]J1). An EAN-13 has no expiry date.",
    conversion="A scan is an event at once: `scanned` with gtin, lot, best_before, expiry, net_weight_kg, count, "
    "symbology and raw (also produced, packed, sell_by, serial, sscc, content_gtin), or `refused` with reason and raw.",
    faults="Unplugged: BadNotConnected; scans before that are kept. Damaged, cut or ambiguous scans (a lost separator "
    "could make one lot of a lot and a date) are refused with the reason, never guessed. The counts begin at 0 when "
    "the scanner is plugged in again. A silent scanner can't be told from one that nobody uses.",
    undetected=("hang",),
)
