"""The broker's connection against brokers that flood, babble and die; what it opens it closes."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client

from drivers.buses import mqtt
from drivers.buses.mqtt import PACKET_LIMIT, WAITING_LIMIT, MqttBroker
from gateway.core.driver import Bus, Message, Subscription
from gateway.core.errors import NotConnected

CONNACK = bytes([0x20, 3, 0, 0, 0])
Talk = Callable[[socket.socket], None]


def publication(payload: bytes, topic: bytes = b"t") -> bytes:
    """A PUBLISH with QoS 0."""
    body = len(topic).to_bytes(2, "big") + topic + b"\0" + payload
    length, rest = b"", len(body)
    while rest:
        rest, low = divmod(rest, 128)
        length += bytes([low | (0x80 if rest else 0)])
    return b"\x30" + length + body


class Hostile:
    """A broker that greets, and then does what a test says."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.bus = Bus("broker", "mqtt", url=f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}")

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    if connection.recv(2000):
                        connection.sendall(CONNACK)
                        self._talk(connection)
                except OSError:
                    continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5.0)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Talk], MqttBroker]]:
    """Our end of a connection to such a broker, which is tried again at once."""
    monkeypatch.setattr(mqtt, "BACKOFF_S", (0.01, 0.02))
    made: list[tuple[Hostile, MqttBroker]] = []

    def connected(talk: Talk) -> MqttBroker:
        far = Hostile(talk)
        made.append((far, MqttBroker(far.bus, Path("/nowhere"))))
        return made[-1][1]

    yield connected
    for far, near in made:
        near.close()
        far.close()


def listening(connection: socket.socket) -> None:
    """Until the client hangs up."""
    while connection.recv(2000):
        pass


def heard(subscription: Subscription, within_s: float = 5.0) -> Message:
    """The next message, over however many connections."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if (message := subscription.next(0.1)) is not None:
                return message
        except NotConnected:
            threading.Event().wait(0.01)
    raise AssertionError("nothing was heard in time")


def test_a_flood_leaves_the_newest_and_no_more_than_fits(hostile: Callable[[Talk], MqttBroker]) -> None:
    """What comes faster than anybody reads is dropped; of a message that is too long its beginning is kept."""
    go_on = threading.Event()

    def flood(connection: socket.socket) -> None:
        connection.sendall(publication(b"x" * (PACKET_LIMIT + 1000)))
        go_on.wait(10.0)
        batch = publication(b"1") * 100
        while True:
            connection.sendall(batch)

    subscription = hostile(flood).subscribe(["t"])
    assert len(heard(subscription).payload) == PACKET_LIMIT
    go_on.set()
    began = time.monotonic()
    for _ in range(5 * WAITING_LIMIT):
        assert heard(subscription).payload == b"1"
    assert time.monotonic() - began < 3.0


def test_whatever_a_broker_makes_paho_raise_we_connect_again(
    hostile: Callable[[Talk], MqttBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread outlives every fault of the library: a silent device could not be told from a dead thread."""
    bursts = [struct.error("unpack requires more"), IndexError("out of range"), KeyError(0x99)]
    read = Client.loop_read

    def broken(client: Client, *rest: int) -> object:
        if bursts:
            raise bursts.pop()
        return read(client, *rest)

    monkeypatch.setattr(Client, "loop_read", broken)

    def talk(connection: socket.socket) -> None:
        connection.sendall(publication(b"at last"))
        listening(connection)

    assert heard(hostile(talk).subscribe(["t"])).payload == b"at last"


def test_fifty_brokers_leave_no_thread_and_no_descriptor(hostile: Callable[[Talk], MqttBroker]) -> None:
    """Each opened, subscribed to and closed, some before they were connected."""
    broker = hostile(listening)
    bus = broker._bus
    broker.subscribe(["t"])
    broker.close()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for number in range(50):
        near = MqttBroker(bus, Path("/nowhere"))
        subscription = near.subscribe(["t"])
        if number % 2:
            assert subscription.next(0.005) is None
        near.close()
        assert subscription.next(0.0) is None
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1  # the far end may still hold its last


def test_a_closed_broker_takes_no_subscription() -> None:
    """A worker that opens its device while its bus is being closed leaves no connection behind."""
    broker = MqttBroker(Bus("broker", "mqtt", url="mqtt://127.0.0.1:1"), Path("/nowhere"))
    broker.close()
    before = threading.active_count()
    with pytest.raises(NotConnected, match="bus broker was closed"):
        broker.subscribe(["t"])
    assert threading.active_count() == before
