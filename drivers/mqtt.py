"""A device on a local MQTT broker: Tasmota, ESPHome, zigbee2mqtt and whatever else publishes numbers or JSON.

Datasheet: "MQTT Version 5.0" (OASIS, 2019); the messages are the device's own. verified: fake.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.decoding.messages import is_no_value, number, parsed, picked, truth
from gateway.core.driver import Channel, Message, MqttBus, Spec, option
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, WrongOption
from gateway.core.quality import Reason
from gateway.core.reading import Sample

MARGIN_S = 1.0  # between our own judgement and the deadline of the read
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TOPIC = re.compile(r"[^+#\x00]{1,200}")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One channel: where it stands in the message and what it means."""

    path: str = option("keys down to the value, AM2301.Temperature; empty when the message is the value", default="")
    unit: str = option("UCUM code, 1 for a plain number; without one the channel is two-state", default="")
    low: float | None = option("what the device can measure; without one anything", default=None)
    high: float | None = option("what the device can measure; without one anything", default=None)
    digits: int = option("decimals worth keeping", low=0, high=9, default=3)
    on: str = option("two-state: the value that means true", default="ON")
    off: str = option("two-state: the value that means false", default="OFF")


@dataclass(frozen=True, slots=True)
class Availability:
    """Where the device, or the broker for it, says whether it is there (its last will)."""

    topic: str = option("e.g. tele/freezer/LWT")
    path: str = option("keys down to the word, state; empty when the message is the word", default="")
    online: str = option("the word for being there", default="Online")
    offline: str = option("the word for being away", default="Offline")


@dataclass(frozen=True, slots=True)
class Options:
    """What the device publishes, and who may read it."""

    topic: str = option("where it publishes its values, e.g. tele/freezer/SENSOR")
    channels: dict[str, Quantity] = option("channel: {path: …, unit: …}")
    stale_after_s: float = option(
        "how long a value holds: longer than the device's own period", unit="s", low=1, high=86_400
    )
    availability: Availability | None = option("where it says that it is there: {topic: …}", default=None)
    username: str = option("the broker's user for this device; without one the bus's own", default="")
    password_file: str = option("a file name inside the credentials directory", default="")

    def __post_init__(self) -> None:
        if not self.channels:
            raise WrongOption("there are no channels; add one, e.g. temperature: {path: …, unit: Cel}", ("channels",))
        if not _TOPIC.fullmatch(self.topic):
            raise WrongOption("a topic has no + and no #; write the device's own", ("topic",))
        if self.availability is not None and not _TOPIC.fullmatch(self.availability.topic):
            raise WrongOption("a topic has no + and no #; write the device's own", ("availability", "topic"))
        if self.password_file and not self.username:
            raise WrongOption("'password_file' needs a 'username' beside it; add it", ("password_file",))
        if self.password_file and not _FILE.fullmatch(self.password_file):
            raise WrongOption("'password_file' is a name inside the credentials directory: no path", ("password_file",))
        for name, quantity in self.channels.items():
            _check_quantity(name, quantity)


def _check_quantity(name: str, quantity: Quantity) -> None:
    if quantity.low is not None and quantity.high is not None and quantity.low >= quantity.high:
        raise WrongOption("'low' is not below 'high'; correct one", ("channels", name, "low"))
    if not quantity.unit and quantity.on == quantity.off:
        raise WrongOption("'on' and 'off' are the same word; correct one", ("channels", name))


class MqttDevice:
    """One device. A read is the device's next message: it waits for as long as a value holds."""

    def __init__(
        self,
        bus: MqttBus,
        options: Options,
        now_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._options = options
        self._now_ns = now_ns
        topics = [options.topic] if options.availability is None else [options.topic, options.availability.topic]
        self._subscription = bus.subscribe(topics, options.username, options.password_file)
        self._stale_ns = round(options.stale_after_s * 1e9)

    def read(self) -> Sequence[Sample]:
        """The newest message not read yet, else the next one. Blocks up to `stale_after`. Raises DeviceError."""
        newest = self._next_values()
        while (message := self._subscription.next(0.0)) is not None:
            if self._has_values(message):
                newest = message
        return decode(newest, self._options)

    def close(self) -> None:
        """Hear no more of it; a read that waits ends."""
        self._subscription.close()

    def _next_values(self) -> Message:
        options = self._options
        end_ns = self._now_ns() + self._stale_ns
        while (left_ns := end_ns - self._now_ns()) > 0:
            message = self._subscription.next(left_ns / 1e9)
            if message is None:
                break
            if self._has_values(message):
                return message
        who = f", and that user {options.username!r} may read it" if options.username else ""
        raise DeviceTimeout(
            f"nothing on {options.topic} for {options.stale_after_s:g} s: check that the device publishes there{who}"
        )

    def _has_values(self, message: Message) -> bool:
        """Whether these are values of now: retained ones may be of any age. Raises NotConnected for its absence."""
        availability = self._options.availability
        if availability is not None and message.topic == availability.topic:
            _check_presence(message, availability)
        is_new = not message.retained and self._now_ns() - message.time_ns <= self._stale_ns
        return message.topic == self._options.topic and is_new


def decode(message: Message, options: Options) -> tuple[Sample, ...]:
    """Every channel of a message; one that has no value is missing by itself.

    Raises InvalidData when a value is of another kind than its channel, or when no channel is there at all.
    """
    content = parsed(message.payload)
    samples = tuple(_sample(name, each, content, message.time_ns) for name, each in options.channels.items())
    if all(sample.reason is Reason.BAD_DATA_ENCODING_INVALID for sample in samples):
        raise InvalidData(f"{samples[0].detail}: check the paths against what the device publishes on {message.topic}")
    return samples


def _sample(name: str, quantity: Quantity, content: Any, time_ns: int) -> Sample:
    try:
        found = picked(content, quantity.path)
    except LookupError as error:
        return Sample.missing(name, Reason.BAD_DATA_ENCODING_INVALID, f"the message has {error} for {quantity.path!r}")
    if is_no_value(found):
        return Sample.missing(name, Reason.BAD_SENSOR_FAILURE, "the device says that its sensor gives no value")
    try:
        value = number(found) if quantity.unit else truth(found, quantity.on, quantity.off)
    except InvalidData as error:
        raise InvalidData(f"{name}: {error}") from None
    return Sample(name, value, time_ns=time_ns)


def _check_presence(message: Message, availability: Availability) -> None:
    try:
        word = picked(parsed(message.payload), availability.path)
    except LookupError:
        return  # emptied, or of another kind: no word about its absence
    if word == availability.offline:
        raise NotConnected(f"the device is away: {message.topic} says {word!r}; check its supply and its Wi-Fi")


def _channel(name: str, quantity: Quantity) -> Channel:
    if not quantity.unit:
        return Channel(name)
    low = float("-inf") if quantity.low is None else quantity.low
    high = float("inf") if quantity.high is None else quantity.high
    return Channel(name, quantity.unit, low, high, digits=quantity.digits)


SPEC = Spec(
    name="mqtt",
    title="Device on a local MQTT broker (Tasmota, ESPHome, zigbee2mqtt)",
    bus="mqtt",
    options=Options,
    open=MqttDevice,
    channels=lambda options: tuple(_channel(name, quantity) for name, quantity in options.channels.items()),
    claims=lambda _options: (),
    sample="dry_store: {driver: mqtt, bus: broker, every: 1 s, topic: tele/dry-store/SENSOR, stale_after: 11 min, "
    "availability: {topic: tele/dry-store/LWT}, username: kitchen-dry-store, password_file: dry-store.password, "
    "channels: {temperature: {path: AM2301.Temperature, unit: Cel, low: -40, high: 80}, "
    'humidity: {path: AM2301.Humidity, unit: "%{RH}", low: 0, high: 100}}}',
    datasheet="OASIS, MQTT Version 5.0; the device's own documentation",
    deadline_s=lambda options: options.stale_after_s + MARGIN_S,
    wiring="Wi-Fi or Zigbee to a broker of the kitchen's own network, one user and one access rule for each device "
    "(docs/configuration.md). Nothing that safety depends on: radio fails, and who knows a device's password can say "
    "anything in its name.",
    accuracy="the device's",
    conversion="A reading for each message, at the time of its arrival, at most one per `every`. Retained messages are "
    "never taken for values. zigbee2mqtt repeats what it remembers of a device beside what is new.",
    faults="No message for `stale_after`: BadTimeout. The device's last will says offline, the broker is gone, or "
    "refuses user or topic: BadNotConnected, in the broker's words. A message that is too long, broken, or of another "
    "kind: BadDataEncodingInvalid; of one channel alone where the message leaves it out. null or nan for one channel: "
    "BadSensorFailure of that channel alone.",
)
