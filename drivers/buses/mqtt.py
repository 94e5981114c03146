"""A local MQTT broker to which devices of the network publish. paho-mqtt is the codec, loaded at the first connection.

Each pair of credentials has a connection of its own, so that the broker's access rules hold for each device by itself.
Sessions are clean: a broker never hands out what it kept while we were away, but for retained messages, marked as such.
"""

import contextlib
import os
import secrets
import select
import ssl
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.driver import Bus, Message
from gateway.core.errors import NotConnected

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

PORTS = {"mqtt": 1883, "mqtts": 8883}
CONNECT_S = 5.0
KEEPALIVE_S = 20
BACKOFF_S = (1.0, 30.0)
PACKET_LIMIT = (
    64 * 1024
)  # told to the broker, which then drops what is larger; of what comes all the same no more is kept
WAITING_LIMIT = 100  # messages of one device that wait for its driver; of more the oldest go
_STEP_S = 1.0


def open_bus(bus: Bus, _root: str) -> "MqttBroker":
    """The broker of this address, credentials as systemd hands them out; connected at the first subscription."""
    return MqttBroker(bus, Path(os.environ.get("CREDENTIALS_DIRECTORY", "credentials")))


class MqttBroker:
    """One broker (`MqttBus`). Any thread. credentials: the directory of the files that hold passwords and the CA."""

    def __init__(self, bus: Bus, credentials: Path) -> None:
        self._bus = bus
        self._credentials = credentials
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._closed = False

    def subscribe(self, topics: Sequence[str], username: str = "", password_file: str = "") -> "TopicSubscription":
        """Messages of these topics from now on; under the device's own credentials when there are any.

        Raises NotConnected after `close`.
        """
        own = (username, password_file) if username else (self._bus.username, self._bus.password_file)
        with self._lock:
            if self._closed:
                raise NotConnected(f"bus {self._bus.name} was closed: open it again")
            if own not in self._sessions:
                self._sessions[own] = _Session(self._bus, self._credentials, *own)
            return self._sessions[own].subscribe(topics)

    def close(self) -> None:
        """End every connection, for good; every `next` that waits returns None. Blocks for 2 s at most."""
        with self._lock:
            self._closed = True
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.end()
        for session in sessions:
            session.join()


class TopicSubscription:
    """One device's topics (`Subscription`)."""

    def __init__(self, session: "_Session", topics: Sequence[str]) -> None:
        self.topics = frozenset(topics)
        self.messages: deque[Message] = deque(maxlen=WAITING_LIMIT)
        self._session = session

    def next(self, timeout_s: float) -> Message | None:
        """The oldest message that waits; None after `timeout_s` or `close`. Raises NotConnected as soon as it is so."""
        return self._session.wait(self, timeout_s)

    def close(self) -> None:
        """Hear no more of these topics."""
        self._session.unsubscribe(self)


class _Session:
    """One connection, made again for as long as the bus is open, in a thread of its own.

    The lock guards what the thread shares with the drivers; `changed` wakes those that wait.
    """

    def __init__(self, bus: Bus, credentials: Path, username: str, password_file: str) -> None:
        self._bus = bus
        self._credentials = credentials
        self._username, self._password_file = username, password_file
        self._changed = threading.Condition()
        self._subscriptions: list[TopicSubscription] = []
        self._wanted: set[str] = set()  # topics to subscribe to as soon as there is a connection
        self._refused: dict[str, str] = {}  # topic → the broker's word
        self._asked: dict[int, str] = {}  # packet → topic
        self._fault = ""  # why there is no connection; empty before the first try and while there is one
        self._word = ""  # of the broker, or of paho, in this try
        self._connected = self._ended = False
        self._poke = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name=f"mqtt {bus.name} {username}", daemon=True)
        self._thread.start()

    # the drivers' side

    def subscribe(self, topics: Sequence[str]) -> TopicSubscription:
        """Hear these topics; what the broker has retained of them comes first."""
        subscription = TopicSubscription(self, topics)
        with self._changed:
            self._subscriptions.append(subscription)
            self._wanted |= subscription.topics
            self._wake()
        return subscription

    def unsubscribe(self, subscription: TopicSubscription) -> None:
        """Forget a subscription. Its topics are left at the broker until the next connection: another may want them."""
        with self._changed:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
            self._changed.notify_all()

    def wait(self, subscription: TopicSubscription, timeout_s: float) -> Message | None:
        """As `TopicSubscription.next`."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not subscription.messages:
                if self._ended or subscription not in self._subscriptions:
                    return None
                fault = self._fault or next(filter(None, map(self._refused.get, subscription.topics)), "")
                if fault:
                    raise NotConnected(fault)
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
            return subscription.messages.popleft()

    def end(self) -> None:
        """Hang up soon, for good."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            self._wake()

    def join(self) -> None:
        """Wait until it has hung up, 2 s at most: a name that is being resolved can't be hurried."""
        self._thread.join(2.0)

    def _wake(self) -> None:
        """Have the thread look again soon. Under the lock."""
        if self._poke >= 0:
            os.eventfd_write(self._poke, 1)

    # the thread's side

    def _run(self) -> None:
        rest_s = BACKOFF_S[0] / 2
        while not self._ended:
            client = None
            self._word, self._connected = "", False
            try:
                client = self._connect()
                self._serve(client)
            except Exception as error:  # a broker's garbage may bring anything out of paho
                self._lost(self._word or self._words(error))
            if client is not None:
                _hang_up(client)
            rest_s = BACKOFF_S[0] if self._connected else min(2 * rest_s, BACKOFF_S[1])
            self._rest(rest_s)
        with self._changed:
            poke, self._poke = self._poke, -1
            os.close(poke)

    def _connect(self) -> "Client":
        """A greeted client. Raises OSError, also in the broker's words."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        scheme, host, port = _address(self._bus.url)
        name = f"kitchen-gateway-{secrets.token_hex(4)}"
        client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect_timeout = CONNECT_S
        client.on_connect, client.on_message = self._on_connect, self._on_message
        client.on_subscribe, client.on_disconnect = self._on_subscribe, self._on_disconnect
        if scheme == "mqtts":
            client.tls_set_context(self._tls())
        if self._username:
            client.username_pw_set(self._username, self._password())
        limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's class has no annotations
        limits.MaximumPacketSize = PACKET_LIMIT
        with self._changed:
            self._asked.clear()
            self._refused.clear()
        client.connect(host, port, KEEPALIVE_S, clean_start=True, properties=limits)
        return client

    def _serve(self, client: "Client") -> None:
        """Exchange packets until the connection ends or we do. Raises OSError."""
        began_s = time.monotonic()
        while not self._ended:
            self._step(client)
            if self._word:
                raise ConnectionError(self._word)
            if self._connected:
                self._ask_for_topics(client)
            elif time.monotonic() - began_s > CONNECT_S:
                raise TimeoutError("the broker did not answer CONNECT")

    def _step(self, client: "Client") -> None:
        sock: Any = client.socket()
        if sock is None:
            raise ConnectionError(self._word or "the connection broke")
        poll = select.poll()
        poll.register(sock, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        poll.register(self._poke, select.POLLIN)
        ready = dict(poll.poll(round(1000 * _STEP_S)))
        if ready.pop(self._poke, 0):
            os.eventfd_read(self._poke)
        if any(events & select.POLLOUT for events in ready.values()):
            client.loop_write()
        if any(events & ~select.POLLOUT for events in ready.values()):
            client.loop_read()
            while client.socket() is not None and getattr(sock, "pending", int)():  # TLS may hold what poll can't see
                client.loop_read()
        client.loop_misc()

    def _ask_for_topics(self, client: "Client") -> None:
        with self._changed:
            wanted, self._wanted = self._wanted, set()
        for topic in wanted:
            _, packet = client.subscribe(topic, qos=1)
            if packet is not None:
                self._asked[packet] = topic

    def _lost(self, words: str) -> None:
        with self._changed:
            self._fault = words
            self._wanted = {topic for each in self._subscriptions for topic in each.topics}
            self._changed.notify_all()

    def _rest(self, rest_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended, rest_s)

    def _on_connect(self, _client: "Client", _data: Any, _flags: Any, code: Any, _limits: Any) -> None:
        if code.is_failure:
            whom = f"user {self._username!r}" if self._username else "a client without a login"
            cure = f"check {self._password_file or 'username and password_file'} and the broker's users"
            self._word = f"the broker {self._bus.url} refuses {whom} ({code}): {cure}"
            return
        with self._changed:
            self._fault, self._connected = "", True
            self._wanted = {topic for each in self._subscriptions for topic in each.topics}

    def _on_message(self, _client: "Client", _data: Any, message: "MQTTMessage") -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # none of ours
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        heard = Message(topic, bytes(message.payload[:PACKET_LIMIT]), now_ns, bool(message.retain))
        with self._changed:
            for subscription in self._subscriptions:
                if topic in subscription.topics:
                    subscription.messages.append(heard)
            self._changed.notify_all()

    def _on_subscribe(self, _client: "Client", _data: Any, packet: int, codes: Sequence[Any], _properties: Any) -> None:
        topic = self._asked.pop(packet, "")
        if any(code.is_failure for code in codes):
            words = f"the broker does not let user {self._username!r} read {topic} ({codes[0]}): check its access rules"
            with self._changed:
                self._refused[topic] = words
                self._changed.notify_all()

    def _on_disconnect(self, _client: "Client", _data: Any, flags: Any, code: Any, _properties: Any) -> None:
        who = "the broker hung up" if flags.is_disconnect_packet_from_server else "the connection broke"
        self._word = self._word or f"{self._bus.url}: {who} ({code})"

    def _words(self, error: Exception) -> str:
        if isinstance(error, NotConnected):
            return str(error)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return f"no connection to {self._bus.url} ({reason}): check its address, and that the broker runs"

    def _password(self) -> str | None:
        if not self._password_file:
            return None
        path = self._credentials / self._password_file
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise NotConnected(f"the password file {path} can't be read: {error}") from error

    def _tls(self) -> ssl.SSLContext:
        ca = self._credentials / self._bus.ca if self._bus.ca else None
        try:
            context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        except (OSError, ValueError) as error:
            raise NotConnected(f"the CA file {ca} can't be used: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _address(url: str) -> tuple[str, str, int]:
    """(scheme, host, port). Raises NotConnected."""
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in PORTS and parts.hostname:
            return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        pass
    raise NotConnected(f"{url!r} is no broker's address: write it as mqtt://host:1883 or mqtts://host:8883")


def _hang_up(client: "Client") -> None:
    with contextlib.suppress(OSError, ValueError):
        client.disconnect()
    sock: Any = client.socket()
    if sock is not None:
        sock.close()
