"""The uplink against a real Mosquitto, and against brokers that behave badly."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.record import Lane, RecordClass, Stored
from gateway.local.paths import credentials_directory
from gateway.settings.model import Cloud
from gateway.uplink.broker import Broker, BrokerUnusable
from gateway.uplink.connection import Connection
from gateway.uplink.conversation import Site
from gateway.uplink.topics import Topics
from gateway.uplink.uplink import Uplink
from tests.recorder.fakes import FakeClock, configuration, event, eventually, short_directory, telemetry
from tests.uplink.broker import ROOT, MemorySource, Mosquitto, Subscriber, broker, free_port

Forwarded = tuple[dict[str, Any], Callable[[bool, str], None]]


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def mosquitto(directory: Path) -> Iterator[Mosquitto]:
    with broker(directory) as made:
        yield made


@pytest.fixture
def source() -> MemorySource:
    return MemorySource()


def _stored(row: int) -> Stored:
    return Stored(row, "epoch", telemetry(3 * row - 2))


def _site(cloud: Cloud, directory: Path) -> Site:
    return Site(configuration(cloud), Broker(cloud, Topics(cloud.tenant, "demo-site", cloud.gateway), directory), True)


def _uplink(cloud: Cloud, source: MemorySource, directory: Path, puback_s: float = 15.0) -> Uplink:
    def forward(_fields: dict[str, Any], answer: Callable[[bool, str], None]) -> None:
        answer(True, "done")

    made = Uplink(_site(cloud, directory), source, forward, FakeClock(), puback_s=puback_s)
    made.start()
    return made


@pytest.fixture
def uplinks() -> Iterator[list[Uplink]]:
    made: list[Uplink] = []
    yield made
    for uplink in made:
        uplink.stop()


def test_everything_arrives_once_and_in_order(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, uplinks: list[Uplink]
) -> None:
    """An independent subscriber hears the backlog in order on tm/backlog, the rest on tm/live, events by class."""
    for row in range(1, 201):
        source.put(_stored(row))
    source.put(Stored(1, "epoch", event(1, RecordClass.ALARM)))
    source.put(Stored(2, "epoch", event(2, RecordClass.AUDIT)))
    subscriber = Subscriber(mosquitto.port)
    uplink = _uplink(mosquitto.cloud(), source, directory)
    uplinks.append(uplink)
    eventually(lambda: len(source.delivered(Lane.TELEMETRY)) == 200)
    for row in range(201, 206):
        source.put(_stored(row), live=True)
        uplink.wake()
    eventually(lambda: len(source.delivered(Lane.TELEMETRY)) == 205)
    eventually(lambda: len(subscriber.numbers("tm/live")) == 15)
    eventually(lambda: len(subscriber.numbers("tm/backlog")) >= 600)
    assert [number for _, number in subscriber.numbers("tm/backlog")] == list(range(1, 601))
    assert [number for _, number in subscriber.numbers("tm/live")] == list(range(601, 616))
    assert subscriber.numbers("ev/alarm") == [(event(1).run, 1)]
    assert subscriber.numbers("ev/audit") == [(event(1).run, 2)]
    (message,) = [heard.value for heard in subscriber.heard("ev/alarm")]
    stored = event(1)
    assert message == {
        "v": 1, "run": stored.run, "lane": "events", "n": 1, "ts": stored.ts, "boot": stored.boot,
        "mono": stored.mono, "sync": True, "sim": True, "r": json.loads(stored.body),
    }  # fmt: skip
    subscriber.stop()


def test_the_gateway_introduces_itself_and_says_goodbye(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, birth and configuration are retained; a clean stop leaves a status that says so, and no will comes."""
    monkeypatch.setattr("gateway.uplink.connection.WILL_DELAY_S", 0)
    uplink = _uplink(mosquitto.cloud(), source, directory)
    first = Subscriber(mosquitto.port)
    eventually(lambda: len({heard.topic for heard in first.heard()}) >= 3)
    first.stop()
    late = Subscriber(mosquitto.port)
    eventually(lambda: len(late.heard()) == 3)
    retained = {heard.topic.removeprefix(f"{ROOT}/"): heard for heard in late.heard()}
    assert set(retained) == {"status", "birth", "cfg/reported"}
    assert all(heard.retain for heard in retained.values())
    assert retained["status"].value["online"] is True
    assert retained["status"].value["classes"] == {"telemetry": {"captured": 0}}
    birth = retained["birth"].value
    assert birth["devices"]["fridge"]["m"] == {
        "temperature": {"unit": "Cel", "low": -40, "high": 125}, "door": {"binary": True},
    }  # fmt: skip
    assert birth["outputs"] == {"gas_valve": {"driver": "relay", "safe": False}}
    assert retained["cfg/reported"].value["hash"] == birth["configuration"] != ""
    uplink.stop()
    assert not uplink.alive()
    marker = ["mosquitto_pub", "-V", "5", "-p", str(mosquitto.port), "-t", f"{ROOT}/marker", "-m", "{}"]
    subprocess.run(marker, check=True)
    eventually(lambda: late.heard("marker"))
    assert [heard.value.get("why") for heard in late.heard("status")][-1] == "stopped"
    late.stop()


def test_the_broker_tells_that_a_lost_gateway_is_gone(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The will is the retained status `offline, lost`, after the will's delay; here the delay is cut short."""
    monkeypatch.setattr("gateway.uplink.connection.WILL_DELAY_S", 0)
    monkeypatch.setattr("gateway.uplink.uplink._FAST_RETRY_S", (60, 60))
    subscriber = Subscriber(mosquitto.port)
    uplink = _uplink(mosquitto.cloud(), source, directory)
    eventually(lambda: subscriber.heard("status"))
    assert uplink._conversation is not None
    uplink._conversation._connection._client.socket().shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    eventually(lambda: any(not heard.value["online"] for heard in subscriber.heard("status")))
    assert subscriber.heard("status")[-1].value["why"] == "lost"
    uplink.stop()
    subscriber.stop()


def test_a_restarted_broker_has_us_back_in_time(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, uplinks: list[Uplink]
) -> None:
    """Within 1.5 s of the broker's return we are connected, and what was committed meanwhile is delivered."""
    uplink = _uplink(mosquitto.cloud(), source, directory)
    uplinks.append(uplink)
    eventually(lambda: uplink.connected)
    mosquitto.stop()
    eventually(lambda: not uplink.connected)
    for row in range(1, 31):
        source.put(_stored(row))
    mosquitto.start()
    began_s = time.monotonic()
    subscriber = Subscriber(mosquitto.port)
    eventually(lambda: uplink.connected)
    assert time.monotonic() - began_s < 1.5
    eventually(lambda: len(source.delivered(Lane.TELEMETRY)) == 30)
    eventually(lambda: len(subscriber.numbers("tm/backlog")) >= 90)
    assert [number for _, number in subscriber.numbers("tm/backlog")] == list(range(1, 91))
    subscriber.stop()


def test_nothing_is_delivered_to_nobody(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, uplinks: list[Uplink]
) -> None:
    """Without a subscriber the broker stores nothing (0x10): rows stay pending and arrive when one comes."""
    for row in range(1, 6):
        source.put(_stored(row))
    uplink = _uplink(mosquitto.cloud(), source, directory)
    uplinks.append(uplink)
    eventually(lambda: uplink.summary()["refused"] == {"backlog": 0x10})
    assert source.outcomes == {}
    subscriber = Subscriber(mosquitto.port)
    eventually(lambda: len(source.delivered(Lane.TELEMETRY)) == 5)
    eventually(lambda: len(subscriber.numbers("tm/backlog")) >= 15)
    assert [number for _, number in subscriber.numbers("tm/backlog")] == list(range(1, 16))
    subscriber.stop()


def test_a_refusing_broker_keeps_rows_pending(directory: Path, source: MemorySource, uplinks: list[Uplink]) -> None:
    """Not authorised (0x87) is a fault of the broker's set-up: told, nothing lost, other topics go on."""
    acl = f"topic readwrite {ROOT}/status\ntopic write {ROOT}/ev/#\ntopic read kg/#\n"
    with broker(directory, acl=acl) as mosquitto:
        subscriber = Subscriber(mosquitto.port)
        source.put(_stored(1))
        source.put(Stored(1, "epoch", event(1)))
        uplink = _uplink(mosquitto.cloud(), source, directory)
        uplinks.append(uplink)
        eventually(lambda: uplink.summary()["refused"] == {"backlog": 0x87})
        eventually(lambda: source.delivered(Lane.EVENTS) == {1})
        assert source.delivered(Lane.TELEMETRY) == set()
        subscriber.stop()


def test_a_command_goes_round_in_milliseconds(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, uplinks: list[Uplink]
) -> None:
    """Command and answer with correlation data; a flood of nonsense is answered and changes nothing."""
    uplink = _uplink(mosquitto.cloud(commands=True), source, directory)
    uplinks.append(uplink)
    eventually(lambda: uplink.connected)
    base = ["mosquitto_rr", "-V", "5", "-p", str(mosquitto.port), "-W", "5", "-e", f"{ROOT}/rsp/tester"]
    topic = f"{ROOT}/cmd/gas_valve"
    for payload, ok in (('{"value":"on","for_s":5,"id":"1"}', True), ("nonsense", False), ('{"value":1}', False)):
        done = subprocess.run([*base, "-t", topic, "-m", payload], capture_output=True, check=True, timeout=10)
        answer = json.loads(done.stdout)
        assert answer["ok"] is ok
        assert answer["message"]
    assert uplink.connected


def test_retained_commands_are_not_delivered_and_never_done(
    mosquitto: Mosquitto, source: MemorySource, directory: Path
) -> None:
    """A retained command lies at the broker and does nothing at any of our connections."""
    asked: list[dict[str, Any]] = []
    publish = ["mosquitto_pub", "-V", "5", "-p", str(mosquitto.port), "-q", "1", "-t", f"{ROOT}/cmd/gas_valve"]
    subprocess.run([*publish, "-r", "-m", '{"value":true,"for_s":5}'], check=True)
    cloud = mosquitto.cloud(commands=True)
    uplink = Uplink(_site(cloud, directory), source, lambda fields, _answer: asked.append(fields), FakeClock())
    uplink.start()
    eventually(lambda: uplink.connected)
    subprocess.run([*publish, "-m", '{"value":false,"for_s":5}'], check=True)
    eventually(lambda: asked)
    assert [fields["value"] for fields in asked] == [False]
    uplink.stop()


def test_a_command_waits_out_a_short_absence(mosquitto: Mosquitto, source: MemorySource, directory: Path) -> None:
    """The session outlives a connection: a command published meanwhile is carried out at the next one."""
    asked: list[dict[str, Any]] = []
    site = _site(mosquitto.cloud(commands=True), directory)

    def connect() -> Uplink:
        made = Uplink(site, source, lambda fields, _answer: asked.append(fields), FakeClock())
        made.start()
        eventually(lambda: made.connected)
        return made

    connect().stop()
    topic = ["-p", str(mosquitto.port), "-t", f"{ROOT}/cmd/gas_valve"]
    subprocess.run(["mosquitto_pub", "-V", "5", "-q", "1", *topic, "-m", '{"value":true,"for_s":5}'], check=True)
    assert asked == []
    uplink = connect()
    eventually(lambda: asked)
    uplink.stop()


def test_small_messages_go_at_once(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, uplinks: list[Uplink]
) -> None:
    """TCP_NODELAY is set (else each command costs 40 ms), and a dead peer is noticed by the kernel."""
    uplink = _uplink(mosquitto.cloud(), source, directory)
    uplinks.append(uplink)
    eventually(lambda: uplink.connected)
    assert uplink._conversation is not None
    sock = uplink._conversation._connection._client.socket()
    assert isinstance(sock, socket.socket)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


def test_last_values_are_retained_for_dashboards(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, uplinks: list[Uplink]
) -> None:
    """st/{device} holds the newest value of each channel of a configured device, at most once a second."""
    subscriber = Subscriber(mosquitto.port)
    uplink = _uplink(mosquitto.cloud(), source, directory)
    uplinks.append(uplink)
    eventually(lambda: uplink.connected and source.wants_live)
    for row in range(1, 51):
        source.put(_stored(row), live=True)
    uplink.wake()
    eventually(lambda: subscriber.heard("st/fridge"))
    eventually(lambda: len(subscriber.numbers("tm/live")) == 150)
    eventually(lambda: subscriber.heard("st/fridge")[-1].value["r"][0]["v"] == 150)
    assert len(subscriber.heard("st/fridge")) <= 3
    late = Subscriber(mosquitto.port, f"{ROOT}/st/#")
    (kept,) = eventually(lambda: late.heard("st/"))
    assert kept.retain
    assert kept.value["r"] == [{"m": "temperature", "ts": _stored(50).batch.ts + 20, "v": 150}]
    late.stop()
    subscriber.stop()


# -- brokers that behave badly ---------------------------------------------------------------------------------------

_CONNACK = bytes.fromhex("2003000000")
_SMALL_WINDOW = bytes([0x20, 6, 0, 0, 3, 0x21, 0, 2])  # Receive Maximum 2


class Rude:
    """A TCP server that answers every connection with one script."""

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._script = script
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def cloud(self) -> Cloud:
        return Cloud(url=f"mqtt://127.0.0.1:{self.port}", tenant="demo", gateway="kitchen-01", commands=True)

    def stop(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            try:
                connection.recv(4096)
                self._script(connection)
            except OSError:
                continue


def _hang_up(connection: socket.socket) -> None:
    connection.close()


def _garbage(connection: socket.socket) -> None:
    connection.sendall(bytes(range(256)) * 8)


def _refuse(connection: socket.socket) -> None:
    connection.sendall(bytes([0x20, 3, 0, 0x87, 0]))


def _garbage_later(connection: socket.socket) -> None:
    connection.sendall(_CONNACK + b"\xff\xff\xff\xff\xff\xff\xff")


def _wrong_ack(connection: socket.socket) -> None:
    connection.sendall(_CONNACK + bytes([0x40, 2, 0xFF, 0xFF]) * 50 + bytes([0x90, 3, 0, 9, 0]))
    connection.close()


def _oversized(connection: socket.socket) -> None:
    connection.sendall(_CONNACK + b"\x30\xff\xff\xff\x7f" + bytes(1 << 20))


def _kicked(connection: socket.socket) -> None:
    connection.sendall(_CONNACK + bytes([0xE0, 1, 0x8E]))
    connection.close()


def _broken_publish(connection: socket.socket) -> None:
    connection.sendall(_CONNACK + bytes([0x32, 9, 0, 2, 0xFF, 0xFE, 0, 1, 3, 0x26, 0]))


@pytest.mark.parametrize(
    "script", [_hang_up, _garbage, _refuse, _garbage_later, _wrong_ack, _oversized, _kicked, _broken_publish]
)
def test_a_rude_broker_costs_connections_and_nothing_else(
    script: Callable[[socket.socket], None], source: MemorySource, directory: Path
) -> None:
    """Garbage, refusals, hang-ups, oversized packets: the thread lives, connects again, and nothing is booked."""
    source.put(_stored(1))
    rude = Rude(script)
    uplink = _uplink(rude.cloud(), source, directory)
    eventually(lambda: rude.connections >= 2)
    assert uplink.alive()
    assert source.outcomes == {}
    uplink.stop()
    rude.stop()


def test_a_broker_that_never_acknowledges_is_left(source: MemorySource, directory: Path) -> None:
    """A message without PUBACK ends the connection after the time-out; a window of two is filled with two messages."""
    received: list[bytes] = []

    def swallow(connection: socket.socket) -> None:
        connection.sendall(_SMALL_WINDOW)
        if not received:
            while data := connection.recv(65_536):
                received.append(data)

    for row in range(1, 50):
        source.put(_stored(row))
    rude = Rude(swallow)
    uplink = _uplink(rude.cloud(), source, directory, puback_s=0.3)
    eventually(lambda: "has not acknowledged" in uplink.problem)
    eventually(lambda: rude.connections >= 2)
    said = b"".join(received)
    assert [said.count(f"{ROOT}/{leaf}".encode()) for leaf in ("birth", "cfg/reported", "status", "tm")] == [1, 1, 0, 0]
    uplink.stop()
    rude.stop()


def test_an_uplink_that_hangs_has_no_rival(
    mosquitto: Mosquitto, source: MemorySource, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk, a name server or a stopped process may hold the thread for minutes: it lives, and goes on by itself.

    A second one would fight with it for the session for ever.
    """
    held, go_on = threading.Event(), threading.Event()
    pending = source.pending

    def hang(*arguments: Any) -> list[Stored]:
        held.set()
        go_on.wait(10.0)
        return pending(*arguments)

    monkeypatch.setattr(source, "pending", hang)
    uplink = _uplink(mosquitto.cloud(), source, directory)
    assert held.wait(10.0)
    now_s = time.monotonic()
    monkeypatch.setattr("gateway.uplink.uplink.time.monotonic", lambda: now_s + 3600.0)
    assert uplink.alive()
    monkeypatch.undo()
    go_on.set()
    uplink.stop()


def test_an_uplink_stopped_while_it_connects_takes_nothing_from_the_next(
    source: MemorySource, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be released long after its successor began: it neither introduces itself nor ends the live lane."""
    held, go_on = threading.Event(), threading.Event()

    def hang(_connection: Connection) -> None:
        held.set()
        go_on.wait(10.0)

    monkeypatch.setattr(Connection, "open", hang)
    told: list[bool] = []
    monkeypatch.setattr(source, "go_live", told.append)
    uplink = _uplink(Cloud(url="mqtt://127.0.0.1:1", tenant="t", gateway="g"), source, directory)
    assert held.wait(10.0)
    monkeypatch.setattr(uplink._thread, "join", lambda _timeout_s: None)  # stop() gives up waiting
    uplink.stop()
    go_on.set()
    eventually(lambda: not uplink.alive())
    assert told == []


def test_a_broker_that_is_not_there_is_no_trouble(source: MemorySource, directory: Path) -> None:
    """Offline is normal: one line in the log, a reason to show, and a quick end when we stop."""
    uplink = _uplink(Cloud(url=f"mqtt://127.0.0.1:{free_port()}", tenant="t", gateway="g"), source, directory)
    eventually(lambda: "refused" in uplink.problem)
    began_s = time.monotonic()
    uplink.stop()
    assert time.monotonic() - began_s < 2
    assert not uplink.alive()


# -- who we are ------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificates(directory: Path) -> Path:
    """A CA, a certificate for the broker at 127.0.0.1 and one for us, all good for a day."""

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 refuses a CA without it
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test ca", *usage)
    (directory / "san").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("broker", "gateway"):
        run("req", *key[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1",
            "-extfile", "san", "-out", f"{name}.pem")  # fmt: skip
    for file in directory.iterdir():
        file.chmod(0o644)
    return directory


def test_tls_with_certificates_on_both_sides(certificates: Path, source: MemorySource, uplinks: list[Uplink]) -> None:
    """mqtts with our CA and certificate connects and delivers; without our certificate the broker refuses."""
    tls = [f"cafile {certificates}/ca.pem", f"certfile {certificates}/broker.pem", f"keyfile {certificates}/broker.key"]
    for row in range(1, 40):
        source.put(_stored(row))
    with broker(certificates, *tls, "require_certificate true", f"listener {(plain := free_port())} 127.0.0.1") as made:
        url = f"mqtts://127.0.0.1:{made.port}"
        subscriber = Subscriber(plain)
        stranger = _uplink(made.cloud(url=url, ca="ca.pem"), MemorySource(), certificates)
        uplinks.append(stranger)
        eventually(lambda: "not connected yet" not in stranger.problem)
        assert not stranger.connected
        known = made.cloud(url=url, ca="ca.pem", certificate="gateway.pem", key="gateway.key")
        uplinks.append(_uplink(known, source, certificates))
        eventually(lambda: len(source.delivered(Lane.TELEMETRY)) == 39)
        subscriber.stop()


def test_an_unknown_authority_is_not_believed(certificates: Path, source: MemorySource, uplinks: list[Uplink]) -> None:
    """Without the site's CA the broker's certificate proves nothing: no connection, and the reason is shown."""
    tls = [f"certfile {certificates}/broker.pem", f"keyfile {certificates}/broker.key"]
    with broker(certificates, *tls) as made:
        uplink = _uplink(made.cloud(url=f"mqtts://127.0.0.1:{made.port}"), source, certificates)
        uplinks.append(uplink)
        eventually(lambda: "certificate verify failed" in uplink.problem.lower())


def test_a_password_is_read_from_its_file_at_each_connection(
    directory: Path, source: MemorySource, uplinks: list[Uplink]
) -> None:
    """A missing file is named; a wrong password is refused; a mended one connects without a restart."""
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(directory / "users"), "gw", "right"], check=True)
    (directory / "users").chmod(0o644)
    with broker(directory, "allow_anonymous false", f"password_file {directory / 'users'}") as made:
        uplink = _uplink(made.cloud(username="gw", password_file="secret"), source, directory)
        uplinks.append(uplink)
        eventually(lambda: "secret can't be read" in uplink.problem)
        (directory / "secret").write_text("wrong\n")
        eventually(lambda: "refused us" in uplink.problem)
        (directory / "secret").write_text("right\n")
        eventually(lambda: uplink.connected)


@pytest.mark.parametrize("url", ["mqtt://", "http://x", "x", "mqtt://host:99999", "mqtt://host:x", "mqtts://:1"])
def test_an_address_that_is_none_is_explained(url: str, directory: Path) -> None:
    """A broken address is named with an example of a good one."""
    with pytest.raises(BrokerUnusable, match="is no broker's address"):
        _site(Cloud(url=url, tenant="t", gateway="g"), directory).broker.address()


def test_systemd_hands_over_credentials(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Under systemd the files come from its credentials directory, else from the state directory."""
    assert credentials_directory(directory) == directory / "credentials"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    assert credentials_directory(directory) == Path("/run/credentials/x")
