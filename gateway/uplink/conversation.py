"""One connection's conversation with the broker, from the introduction to the goodbye."""

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.core.clock import Clock
from gateway.core.record import Stored
from gateway.settings.model import Configuration
from gateway.uplink import payload
from gateway.uplink.broker import Broker
from gateway.uplink.commands import Answer, Desk
from gateway.uplink.last_values import LastValues
from gateway.uplink.sender import Sender
from gateway.uplink.source import Source

if TYPE_CHECKING:
    from gateway.uplink.connection import Connection

STATUS_S = 60.0
_STIR_S = 1.0
_GOODBYE_S = 1.0
_BURST = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """What is told about the gateway itself. Replaced as a whole when the configuration changes."""

    configuration: Configuration
    broker: Broker
    sim: bool

    def devices(self) -> list[str]:
        """Whose last values are shown: every device, and every output as the device it is in telemetry."""
        configuration = self.configuration
        return [device.name for device in configuration.devices] + [output.name for output in configuration.outputs]


@dataclass(frozen=True, slots=True)
class _Saying:
    """A message that is not stored: status, birth, an answer. Sent first, forgotten if the connection breaks."""

    topic: str
    body: bytes
    retain: bool = False
    correlation: bytes = b""
    mid: int = 0  # of the message this answers


class Conversation:
    """Used by the uplink's thread. Any method raises what ends the connection: ConnectionLost, OSError.

    puback_s: how long the broker may take to acknowledge a message.
    """

    def __init__(
        self, connection: "Connection", site: Site, source: Source, desk: Desk, *, clock: Clock, puback_s: float
    ) -> None:
        self._connection = connection
        self._site = site
        self._source = source
        self._desk = desk
        self._clock = clock
        self._puback_s = puback_s
        now_s = time.monotonic()
        self._values = LastValues(site.devices())
        self._sender = Sender(source, connection.receive_maximum, now_s, self._values.see)
        self._sayings: deque[_Saying] = deque()
        self._said: dict[int, float] = {}  # packet ids of sayings in flight → when sent
        self._status_s = now_s + STATUS_S
        self._stir_s = now_s + _STIR_S

    def begin(self) -> None:
        """Subscribe to commands and introduce the gateway."""
        self._desk.reconnected()
        if self._site.broker.cloud.commands:
            self._connection.subscribe(self._site.broker.topics.commands)
        self.introduce(self._site)

    def introduce(self, site: Site) -> None:
        """Say who we are, again whenever the configuration has changed."""
        if site is not self._site:
            self._site = site
            self._values.watch(site.devices())
        topics = site.broker.topics
        self._sayings.append(_Saying(topics.birth, payload.birth(site.configuration, self._clock, site.sim), True))
        self._sayings.append(_Saying(topics.reported, payload.reported(site.configuration, self._clock), True))
        self._tell_status()

    def turn(self, wakeup: int) -> bool:
        """Send, wait for the network or the descriptor `wakeup`, hear; whether `wakeup` fired."""
        busy = self._send()
        woken = self._connection.step(wakeup, 0.0 if busy else self._wait_s())
        if woken:
            self._sender.stir()
        self._hear()
        self._chores()
        return woken

    def say_goodbye(self) -> None:
        """The retained status says that we stopped; what is in flight gets a moment for its acknowledgement."""
        site = self._site
        body = payload.offline(self._clock, site.sim, "stopped")
        self._sayings.append(_Saying(site.broker.topics.status, body, True))
        until_s = time.monotonic() + _GOODBYE_S
        while time.monotonic() < until_s and (self._sayings or self._said or self._sender.in_flight):
            while self._sayings and not self._connection.want_write():
                self._say(self._sayings.popleft(), time.monotonic())
            self._connection.step(-1, until_s - time.monotonic())
            self._hear()

    def summary(self) -> dict[str, Any]:
        """Messages in flight; topics the broker refuses, with its reason code."""
        return {"in_flight": self._sender.in_flight, "refused": self._sender.refusals}

    def _send(self) -> bool:
        """Publish what fits into the window; whether more could go at once."""
        now_s = time.monotonic()
        for _ in range(_BURST):
            if self._connection.want_write():
                return False
            if self._sayings and self._sender.has_room(len(self._said)):
                self._say(self._sayings.popleft(), now_s)
                continue
            found = self._sender.next(now_s, len(self._said))
            if found is None:
                return False
            self._publish(*found, now_s)
        return True

    def _publish(self, stored: Stored, topic: str, now_s: float) -> None:
        topics = self._site.broker.topics
        where = {"live": topics.live, "backlog": topics.backlog}.get(topic) or topics.event(stored.batch.kind)
        message = payload.rows(stored.batch)
        if not self._connection.fits(where, message):
            _log.error("the broker takes no message of %d bytes: a batch is rejected", len(message))
            self._sender.reject(stored)
            return
        self._sender.sent(self._connection.publish(where, message), stored, topic, now_s)

    def _say(self, saying: _Saying, now_s: float) -> None:
        mid = self._connection.publish(saying.topic, saying.body, retain=saying.retain, correlation=saying.correlation)
        self._said[mid] = now_s
        self._connection.acknowledge(saying.mid)

    def _hear(self) -> None:
        now_s = time.monotonic()
        while self._connection.acks:
            mid, code = self._connection.acks.popleft()
            if self._said.pop(mid, None) is None:
                self._sender.acknowledged(mid, code, now_s)
        while self._connection.messages:
            self._answer(self._desk.receive(self._connection.messages.popleft(), now_s))
        self._answer(self._desk.answers(now_s))

    def _answer(self, answers: list[Answer]) -> None:
        for answer in answers:
            body = payload.reply(self._clock, answer.identity, answer.ok, answer.text)
            self._sayings.append(_Saying(answer.topic, body, False, answer.correlation, answer.mid))

    def _chores(self) -> None:
        now_s = time.monotonic()
        oldest_s = min(self._sender.oldest_s(), next(iter(self._said.values()), float("inf")))
        if now_s - oldest_s > self._puback_s:
            raise TimeoutError(f"the broker has not acknowledged a message for {self._puback_s:g} s")
        if now_s >= self._stir_s:
            self._stir_s = now_s + _STIR_S
            self._sender.stir()
        if now_s >= self._status_s:
            self._status_s = now_s + STATUS_S
            self._tell_status()
        for device, body in self._values.due(now_s):
            self._connection.publish(self._site.broker.topics.state(device), body, qos=0, retain=True)

    def _tell_status(self) -> None:
        body = payload.status(self._clock, self._site.sim, self._source.summary())
        self._sayings.append(_Saying(self._site.broker.topics.status, body, True))

    def _wait_s(self) -> float:
        due_s = min(self._stir_s, self._status_s, self._desk.next_s())
        return max(0.0, due_s - time.monotonic())
