"""One MQTT 5 connection from CONNECT to its end. paho-mqtt is the codec; its threads and its queue are never used."""

import select
import socket
import time
from collections import deque
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.uplink.broker import Broker, ConnectionLost
from gateway.uplink.commands import Incoming
from gateway.uplink.payload import CONTENT_TYPE

SESSION_EXPIRY_S = 60
"""How long the broker keeps our session, and commands for us, without us. More than the will's delay."""
WILL_DELAY_S = 15
INCOMING_LIMIT = 64 * 1024
COMMANDS_AT_ONCE = 16
_OPEN_S = 5.0
_TCP_USER_TIMEOUT_MS = 20_000
_MESSAGES_LIMIT = 64


class Connection:
    """Used by the uplink's thread only: paho's callbacks run inside `step` and only take notes.

    acks: (packet id, reason code) in order of arrival. messages: what came. The limits are the broker's.
    """

    def __init__(self, broker: Broker, will: bytes) -> None:
        self.acks: deque[tuple[int, int]] = deque()
        self.messages: deque[Incoming] = deque()
        self.receive_maximum = 65_535
        self.packet_limit = 268_435_455
        self._connected = False
        self._lost = ""
        self._properties = _publish_properties()
        self._client = Client(
            CallbackAPIVersion.VERSION2, broker.topics.client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        self._client.max_inflight_messages_set(0)  # the window is ours: paho must hold nothing back
        self._client.connect_timeout = _OPEN_S
        self._client.will_set(broker.topics.status, will, qos=1, retain=True, properties=_will_properties())
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._client.on_socket_open = _tune
        self._broker = broker

    def open(self) -> None:
        """Connect and wait for CONNACK, at most 5 s each. Raises ConnectionLost or OSError."""
        host, port = self._broker.address()
        if self._broker.is_tls:
            self._client.tls_set_context(self._broker.tls())
        if self._broker.cloud.username:
            self._client.username_pw_set(self._broker.cloud.username, self._broker.password())
        keepalive = max(1, round(self._broker.cloud.keepalive_s))
        self._client.connect(host, port, keepalive, clean_start=False, properties=_connect_properties())
        deadline = time.monotonic() + _OPEN_S
        while not self._connected:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise ConnectionLost(f"{self._broker.cloud.url} did not answer CONNECT within {_OPEN_S:g} s")
            self.step(-1, left_s)

    def step(self, wakeup: int, timeout_s: float) -> bool:
        """Wait for the network, or for the descriptor `wakeup`, and do what there is; whether `wakeup` fired.

        Raises ConnectionLost.
        """
        sock = self._socket()
        poll = select.poll()
        poll.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        if wakeup >= 0:
            poll.register(wakeup, select.POLLIN)
        woken = False
        for descriptor, events in poll.poll(max(0, round(timeout_s * 1000))):
            if descriptor == wakeup:
                woken = True
                continue
            if events & select.POLLOUT:
                self._check(self._client.loop_write())
            if events & ~select.POLLOUT:
                self._read(sock)
        self._check(self._client.loop_misc())
        return woken

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, correlation: bytes = b""
    ) -> int:
        """Hand one message to the socket; its packet id. Raises ConnectionLost."""
        properties = _publish_properties() if correlation else self._properties
        if correlation:
            properties.CorrelationData = correlation
        info = self._client.publish(topic, payload, qos, retain, properties)
        self._check(info.rc)
        return info.mid

    def subscribe(self, topic: str) -> None:
        """Ask for messages, not for retained ones. Raises ConnectionLost."""
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        self._check(self._client.subscribe(topic, options=options)[0])

    def acknowledge(self, mid: int) -> None:
        """The message was dealt with: the broker may forget it."""
        if mid:
            self._check(self._client.ack(mid, 1))

    def fits(self, topic: str, payload: bytes) -> bool:
        """Whether the broker takes a message of this size."""
        return len(topic) + len(payload) + 128 <= self.packet_limit

    def want_write(self) -> bool:
        """Whether the socket is behind: send no more than must be."""
        return self._client.want_write()

    def close(self, polite: bool) -> None:
        """End it. Politely, the broker forgets the will; else it will publish it."""
        try:
            if polite and self._client.socket() is not None:
                self._client.disconnect()
        except (OSError, ValueError):
            pass  # the broker is not there to be told
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def _read(self, sock: Any) -> None:
        self._check(self._client.loop_read())
        while getattr(sock, "pending", int)():  # TLS may hold what poll can't see
            self._check(self._client.loop_read())
        # paho sets no limit to a packet, and a rude broker could make us hold 256 MB.
        if self._client._in_packet["remaining_length"] > INCOMING_LIMIT:
            raise ConnectionLost(f"the broker sends a packet of more than {INCOMING_LIMIT} bytes")

    def _socket(self) -> Any:
        sock = self._client.socket()
        if self._lost or sock is None:
            raise ConnectionLost(self._lost or "the connection was closed")
        return sock

    def _check(self, code: MQTTErrorCode) -> None:
        if self._lost:
            raise ConnectionLost(self._lost)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise ConnectionLost(code.name.removeprefix("MQTT_ERR_").lower().replace("_", " "))

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, code: Any, limits: Any) -> None:
        if code.is_failure:
            self._lost = f"the broker refused us: {code}"
            return
        self.receive_maximum = getattr(limits, "ReceiveMaximum", self.receive_maximum)
        self.packet_limit = getattr(limits, "MaximumPacketSize", self.packet_limit)
        self._connected = True

    def _on_publish(self, _client: Client, _data: Any, mid: int, code: Any, _limits: Any) -> None:
        self.acks.append((mid, code.value))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if len(self.messages) >= _MESSAGES_LIMIT:
            self._lost = f"the broker sends more than {COMMANDS_AT_ONCE} commands at once"
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        properties = message.properties
        self.messages.append(
            Incoming(
                message.mid if message.qos else 0,
                topic,
                bytes(message.payload),
                message.retain,
                getattr(properties, "ResponseTopic", ""),
                getattr(properties, "CorrelationData", b""),
                getattr(properties, "MessageExpiryInterval", None),
            )
        )

    def _on_disconnect(self, _client: Client, _data: Any, flags: Any, code: Any, _limits: Any) -> None:
        who = "the broker hung up" if flags.is_disconnect_packet_from_server else "the connection broke"
        self._lost = self._lost or f"{who}: {code}"


def _tune(_client: Client, _data: Any, sock: Any) -> None:
    """Small messages at once (a command's round trip is 40 ms otherwise), and a dead peer noticed."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)


def _properties(kind: int) -> Any:
    return Properties(kind)  # type: ignore[no-untyped-call]  # paho's class has no annotations


def _connect_properties() -> Any:
    properties = _properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = COMMANDS_AT_ONCE
    properties.MaximumPacketSize = INCOMING_LIMIT
    return properties


def _will_properties() -> Any:
    properties = _properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = WILL_DELAY_S
    properties.PayloadFormatIndicator = 1
    properties.ContentType = CONTENT_TYPE
    return properties


def _publish_properties() -> Any:
    properties = _properties(PacketTypes.PUBLISH)
    properties.PayloadFormatIndicator = 1
    properties.ContentType = CONTENT_TYPE
    return properties
