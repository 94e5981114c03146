"""A weighing indicator on a serial port: streaming lines such as `ST,GS,+00012.34kg`, or answering a command.

Formats: drivers.decoding.scale_lines names the manuals. verified: fake.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from drivers.decoding import weighing
from drivers.decoding.scale_lines import COMMANDS, DECODERS, TERMINATOR, is_surely_whole
from gateway.core.driver import Channel, SerialPort, Spec, option
from gateway.core.reading import Sample

LONGEST_LINE = 64
LINE_TIMEOUT_S = 0.6


@dataclass(frozen=True, slots=True)
class Options:
    """What the scale can bear, how it speaks, and what a piece weighs."""

    capacity_kg: float = option("the scale's capacity; above it a weight is uncertain", unit="kg", low=0, default=150.0)
    mode: Literal["stream", "request"] = option("it sends by itself, or when it is asked", default="stream")
    format: Literal["st_gs", "mt_sics", "plain"] = option("how a line looks (see Faults)", default="st_gs")
    command: str = option("what it is asked with, without CR LF; otherwise READ, SI or P", default="")
    unit_weight_g: float = option("a piece's weight, to count pieces", unit="g", low=0, high=1e6, default=0.0)

    def __post_init__(self) -> None:
        if self.command and self.mode == "stream":
            raise ValueError("a scale in mode stream is not asked: remove `command`, or write `mode: request`")
        if not self.command.isascii() or not self.command.isprintable():
            raise ValueError(f"{self.command!r} is no command: write printable ASCII characters, CR LF is added")


class Scale:
    """One indicator on a port of its own."""

    def __init__(self, port: SerialPort, options: Options) -> None:
        self._port = port
        self._options = options
        self._command = (options.command or COMMANDS[options.format]).encode() + TERMINATOR

    def read(self) -> Sequence[Sample]:
        """A weight that was sent after the call. Blocks up to two lines' time, at most 1.2 s. Raises DeviceError."""
        if self._options.mode == "request":
            self._port.request(self._command, 0, 0.0)
            return decode(self._next_line(), self._options)
        self._port.discard_input()
        line = self._next_line()
        if not is_surely_whole(line, self._options.format):
            line = self._next_line()  # the first line is usually cut by the discarding
        return decode(line, self._options)

    def _next_line(self) -> bytes:
        return self._port.read_until(TERMINATOR, LONGEST_LINE, LINE_TIMEOUT_S)


def decode(line: bytes, options: Options) -> tuple[Sample, ...]:
    """The samples of one line. Raises SensorFailure on overload, InvalidData for another line."""
    weight_kg, stable, net = DECODERS[options.format](line)
    samples = weighing.samples(weight_kg, stable, options.unit_weight_g)
    return (*samples, Sample("net", net)) if options.format == "st_gs" else samples


def channels(options: Options) -> tuple[Channel, ...]:
    """weight, stable, count where pieces are counted, and net where the format tells it."""
    weighed = weighing.channels(options.capacity_kg, options.unit_weight_g)
    return (*weighed, Channel("net")) if options.format == "st_gs" else weighed


SPEC = Spec(
    name="scale",
    title="Weighing indicator on a serial port",
    bus="serial",
    options=Options,
    open=Scale,
    channels=channels,
    claims=lambda _options: ("the port",),
    sample="stock_scale: {driver: scale, bus: scales, every: 1 s}",
    datasheet="Selleton, SL-7516 series manual; Mettler-Toledo, MT-SICS; Ohaus, Ranger 3000 manual",
    deadline_s=1.5,
    min_every_s=0.5,
    wiring="RS-232 of the indicator through an adapter: TX, RX (only for `mode: request`) and GND",
    accuracy="The scale's own; kg, g and lb are understood, channels are in kg",
    conversion="A stream has a line every 0.1 s to 0.3 s; an answer comes within 0.6 s",
    faults="`format: st_gs` is `ST,GS,+00012.34kg` (ST or US, GS or NT), `mt_sics` is `S S     12.340 kg`, `plain` is "
    "`   12.34 kg` with a `?` while it moves. Silent or unplugged indicator, and one that is busy taring: BadTimeout; "
    "adapter unplugged: BadNotConnected. Overload: BadSensorFailure. Wrong baud rate or format: "
    "BadDataEncodingInvalid. Old lines in the buffer are thrown away, never reported. The lines have no checksum: one "
    "digit disturbed into another is a wrong weight. Pieces are Uncertain while the load moves, and when they are no "
    "whole number.",
    undetected=("flip",),
)
