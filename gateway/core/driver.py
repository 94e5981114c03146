"""What a driver is, and the buses it may talk to. Drivers import gateway.core and no other room."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gateway.core.errors import DeviceError
from gateway.core.options import rebuilt
from gateway.core.quality import Reason
from gateway.core.reading import Occurrence, Sample, Value

BusKind = Literal["i2c", "spi", "serial", "modbus_rtu", "modbus_tcp", "onewire", "iio", "gpio", "evdev", "dht", "mqtt"]
FIELD_BUSES: frozenset[BusKind] = frozenset({"modbus_tcp", "evdev", "dht", "mqtt"})
"""What needs the network, may hang or grabs something: only the field process opens these."""


@dataclass(frozen=True, slots=True)
class Bus:
    """A wire, port or connection. device: node path ("" for kinds that have none); url: of what is on the network.

    baud, parity, stop_bits: serial and modbus_rtu. username, password_file, ca: mqtt; the latter two are file names
    inside the credentials directory. power_line: the GPIO line that feeds an I2C bus's parts, -1 for none.
    """

    name: str
    type: BusKind
    device: str = ""
    baud: int = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: int = 1
    url: str = ""
    username: str = ""
    password_file: str = ""
    ca: str = ""
    power_line: int = -1


@dataclass(frozen=True, slots=True)
class Channel:
    """One quantity a device measures. unit: UCUM code, "" for a two-state channel (its values are bool).

    low, high: what the part can measure; outside it a reading becomes UncertainEngineeringUnitsExceeded.
    digits: decimals worth keeping (the part's resolution). max_per_s: the fastest change that is believed, per second,
    for parts whose bytes have no checksum; a faster one is UncertainSensorNotAccurate until the next values confirm it.
    """

    name: str
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    digits: int = 3
    max_per_s: float = float("inf")

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
    """One I2C adapter. Every call is one transaction with repeated START; calls of several threads take turns."""

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        """Write bytes, then read `read` bytes. Raises NotConnected, DeviceTimeout or DeviceError."""
        ...


class SpiBus(Protocol):
    """One chip select of an SPI controller, so one part."""

    def transfer(self, data: bytes, *, mode: int, speed_hz: int) -> bytes:
        """Clock out `data` with chip select held; returns as many bytes. Raises NotConnected or DeviceError."""
        ...


class ModbusBus(Protocol):
    """Modbus units behind one RTU line or one TCP connection. Calls of several threads take turns."""

    def request(self, unit: int, pdu: bytes, timeout_s: float = 0.5) -> bytes:
        """The reply's PDU (function code and data, no address, no CRC).

        Raises DeviceTimeout (silence), InvalidData (CRC, a foreign unit, function or length), NotConnected, and
        DeviceError for an exception reply.
        """
        ...


class IndustrialIo(Protocol):
    """The kernel's IIO devices in sysfs."""

    def read(self, device: str, attribute: str) -> str:
        """The text of an attribute of the device with this name. Raises NotConnected, DeviceTimeout, DeviceError."""
        ...


class KeyEvents(Protocol):
    """A keyboard-like input device, grabbed so that its keys reach nobody else."""

    def keys(self, timeout_s: float) -> list[tuple[int, bool]]:
        """(key code, pressed) in order; waits up to `timeout_s` for the first. Raises NotConnected."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What came on a topic. time_ns: CLOCK_BOOTTIME of its arrival. retained: the broker kept it, of unknown age."""

    topic: str
    payload: bytes
    time_ns: int
    retained: bool


class Subscription(Protocol):
    """One device's topics on a broker."""

    def next(self, timeout_s: float) -> Message | None:
        """The oldest message not handed out yet; None after `timeout_s`. Raises NotConnected with the broker's word."""
        ...

    def close(self) -> None:
        """Unsubscribe; a waiting `next` returns None."""
        ...


class MqttBus(Protocol):
    """A local broker to which devices of the network publish."""

    def subscribe(self, topics: Sequence[str], username: str = "", password_file: str = "") -> Subscription:
        """Messages of these topics from now on, under the bus's credentials or the device's own."""
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

    def edges(self) -> int:
        """How many debounced changes there were since the claim, as the kernel numbers them: a late look loses none."""
        ...

    def close(self) -> None:
        """Give the line back."""
        ...


class DigitalOutput(Protocol):
    """One output, claimed at its safe level without a glitch. Only the output guard of its bus calls these.

    A handle may have `close() -> None`, which gives it back as it is, and be `Served`.
    """

    def drive(self, active: bool) -> None:
        """Set the level."""
        ...

    def level(self) -> bool:
        """Read the line back."""
        ...


class AnalogOutput(Protocol):
    """An output of 0 to 100 %; everything else as for a DigitalOutput. What is read back may be 0.5 % off."""

    def drive(self, level_pct: float) -> None:
        """Set the level."""
        ...

    def level(self) -> float:
        """Read it back, in percent."""
        ...


class OutputHandle(Protocol):
    """A DigitalOutput or an AnalogOutput, as the guard sees it: the configuration says which values it takes."""

    def drive(self, level: Any, /) -> None:
        """Set the level."""
        ...

    def level(self) -> Value:
        """Read it back."""
        ...


class Served(Protocol):
    """An output's handle with something to do by itself: time-proportioning, a pattern, a look whether it still holds.

    It needs no thread of its own, and what it does ends when the lease lapses: `drive` brings the safe level then.
    """

    def service(self, now_ns: int) -> int:
        """Do what is due; returns the CLOCK_BOOTTIME ns of the next call. First called right after each `drive`.

        In the guard's thread: it must not wait. What it raises counts as a failure to drive, and is tried again by
        `drive` with the level that is wanted.
        """
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

    def pwm(self, line: int, *, frequency_hz: float, active_low: bool, initial: float) -> AnalogOutput:
        """The hardware PWM of a line that has one, from `initial` percent on."""
        ...

    def alive(self) -> bool:
        """False when the thread that reads edges has died."""
        ...


class Driver(Protocol):
    """A device that is polled. One thread at a time calls it: its bus's worker."""

    def read(self) -> Sequence[Sample | Occurrence]:
        """Every channel, measured now, and what happened since the last read. Raises DeviceError.

        Never a stale value as new.
        """
        ...


@dataclass(frozen=True, slots=True)
class Spec:
    """One description of a part: configuration, documentation, contract test and claims all come from here.

    open: (bus, options) → Driver for a polled part, → DigitalInput for direction "input";
    (bus, options, safe) → DigitalOutput or AnalogOutput for "output".
    channels: options → the channels in the order `read` returns them.
    claims: options → what no second device may use, e.g. ("address 0x44",); a bus name is put in front.
    safe_state: (bus, options, safe value) → of an output, the lines by which libexec/safe-state drives it safe without
    this driver; its docstring says which kinds of line there are.
    also_on: other kinds of bus that `open` takes. process: "field" for what needs what control must not have.
    deadline_s: how long one read may take; a function of the options where they decide.
    undetected: the simulator's faults that no bytes on the wire can show (no checksum); a wrong value then stays
    within the channels' limits, and the page says so. The values of `frozen` and `drift` look right for every part.
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
    also_on: tuple[BusKind, ...] = ()
    direction: Literal["polled", "input", "output"] = "polled"
    process: Literal["control", "field"] = "control"
    deadline_s: float | Callable[[Any], float] = 1.0
    min_every_s: float = 0.1
    wiring: str = ""  # pins, supply, pull-ups and terminations, as sentences
    overlay: str = ""  # lines of the Pi's config.txt
    accuracy: str = ""
    conversion: str = ""  # how long a measurement takes, and what repeats or limits it
    faults: str = ""  # what each fault looks like, in one paragraph
    undetected: tuple[str, ...] = ()
    safe_state: Callable[[Bus, Any, Value], tuple[str, ...]] = lambda _bus, _options, _safe: ()
    verified: Literal["fake", "bench", "field"] = "fake"

    @property
    def buses(self) -> tuple[BusKind, ...]:
        """The kinds of bus it can be wired to, the usual one first."""
        return (self.bus, *self.also_on)

    def process_on(self, kind: BusKind) -> Literal["control", "field"]:
        """The process that reads it on this kind of bus."""
        return "field" if kind in FIELD_BUSES else self.process

    def options_of(self, data: Mapping[str, Any]) -> Any:
        """The options in a snapshot's plain data, nested ones too. Raises DeviceError for those of another release."""
        try:
            return rebuilt(self.options, data)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            words = f"these options of a {self.name} are not this release's ({error}): compile the site file again"
            raise DeviceError(words, Reason.BAD_CONFIGURATION_ERROR) from error

    def deadline_of(self, options: Any) -> float:
        """Seconds that one read may take with these options."""
        return self.deadline_s(options) if callable(self.deadline_s) else self.deadline_s
