"""What a driver is, and the buses it may talk to. Drivers import gateway.core and no other room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gateway.core.reading import Sample

BusKind = Literal["i2c", "serial", "onewire", "gpio", "dht"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One quantity a device measures. unit: UCUM code, "" for a two-state channel (its values are bool).

    low, high: what the part can measure; outside it a reading becomes UncertainEngineeringUnitsExceeded.
    digits: decimals worth keeping (the part's resolution).
    """

    name: str
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    digits: int = 3

    @property
    def is_binary(self) -> bool:
        """True for a two-state channel."""
        return self.unit == ""


def option(help: str, *, unit: str = "", low: float | None = None, high: float | None = None, **rest: Any) -> Any:
    """A field of a driver's `Options`. With a unit the YAML key loses the field's suffix: `every_s` is `every: 5 s`.

    `rest` goes to `dataclasses.field` (default=…, default_factory=…); without a default the key is mandatory.
    """
    return field(metadata={"help": help, "unit": unit, "low": low, "high": high}, **rest)


class I2CBus(Protocol):
    """One I2C adapter, used by its one worker thread. Every call is one transaction with repeated START."""

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        """Write bytes, then read `read` bytes. Raises NotConnected, DeviceTimeout or DeviceError."""
        ...


class SerialPort(Protocol):
    """One serial line, opened exclusively, re-opened after an unplug. Timeouts in seconds."""

    def request(self, message: bytes, reply_length: int, timeout_s: float) -> bytes:
        """Discard old input, send, and read exactly `reply_length` bytes. Raises DeviceTimeout with what came."""
        ...

    def read(self, length: int, timeout_s: float) -> bytes:
        """Exactly `length` more bytes. Raises DeviceTimeout with what came."""
        ...

    def read_until(self, terminator: bytes, limit: int, timeout_s: float) -> bytes:
        """Bytes up to and with the terminator. Raises DeviceTimeout, or InvalidData after `limit` bytes without one."""
        ...

    def discard_input(self) -> None:
        """Forget what has come so far, so that the next read is of now."""
        ...


class OneWire(Protocol):
    """The kernel's 1-Wire bus in sysfs (`w1_therm`)."""

    def read_temperature(self, identifier: str) -> str:
        """The text of `<id>/temperature` (milli-degrees), "" when the kernel had nothing. Blocks up to 0.8 s."""
        ...


class DhtLine(Protocol):
    """A DHT22's single wire behind adafruit_dht."""

    def measure(self) -> tuple[float, float]:
        """(°C, %RH), measured now. Raises NotConnected or InvalidData; blocks about 0.3 s."""
        ...


class DhtWires(Protocol):
    """The bus kind `dht`: hands out one wire per line number."""

    def line(self, line: int) -> DhtLine:
        """The wire on this GPIO line; opened at the first measurement."""
        ...


class DigitalInput(Protocol):
    """One input line; `on_change(active, CLOCK_BOOTTIME ns)` runs in the edge thread and must only enqueue."""

    def is_active(self) -> bool:
        """The level now, after pull and polarity."""
        ...

    def watch(self, on_change: Callable[[bool, int], None]) -> None:
        """Report every debounced change from now on."""
        ...


class DigitalOutput(Protocol):
    """One output line, claimed at its safe level without a glitch. Only the output guard calls these."""

    def drive(self, active: bool) -> None:
        """Set the level."""
        ...

    def level(self) -> bool:
        """Read the line back."""
        ...


class DigitalLines(Protocol):
    """The bus kind `gpio`: one chip, whose lines are claimed one by one. Raises NotConnected when a claim fails."""

    def input(
        self, line: int, *, pull: Literal["up", "down", "none"], active_low: bool, debounce_s: float
    ) -> DigitalInput:
        """Claim a line as an input, debounced by the kernel."""
        ...

    def output(self, line: int, *, active_low: bool, initial: bool) -> DigitalOutput:
        """Claim a line as an output; it never shows another level than `initial` on the way."""
        ...

    def alive(self) -> bool:
        """False when the thread that reads edges has died."""
        ...


class Driver(Protocol):
    """A device that is polled. One thread at a time calls it: its bus's worker."""

    def read(self) -> Sequence[Sample]:
        """Every channel, measured now. Raises DeviceError; never a stale value as new."""
        ...


@dataclass(frozen=True, slots=True)
class Spec:
    """One description of a part: configuration, documentation, contract test and claims all come from here.

    open: (bus, options) → Driver for a polled part, → DigitalInput for direction "input";
    (bus, options, safe) → DigitalOutput for "output".
    channels: options → the channels in the order `read` returns them.
    claims: options → what no second device may use, e.g. ("address 0x44",); a bus name is put in front.
    process: "field" for what may hang or grabs signals. deadline_s: how long one read may take.
    """

    name: str
    title: str
    bus: BusKind
    options: type
    open: Callable[..., Any]
    channels: Callable[[Any], tuple[Channel, ...]]
    claims: Callable[[Any], tuple[str, ...]]
    sample: str  # YAML of one entry under `devices:` or `outputs:`
    datasheet: str
    direction: Literal["polled", "input", "output"] = "polled"
    process: Literal["control", "field"] = "control"
    deadline_s: float = 1.0
    min_every_s: float = 0.1
    faults: str = ""  # what each fault looks like, in one paragraph
    verified: Literal["fake", "bench", "field"] = "fake"
