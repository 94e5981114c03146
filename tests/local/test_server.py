"""The server: what it serves, whom it refuses, and that nobody can stop it."""

import json
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import AlreadyRunning, Refused
from gateway.core.role import Role
from gateway.local.client import Client, Connection
from gateway.local.frames import encode
from gateway.local.server import PEER_LIMIT, Server
from gateway.local.session import OUTPUT_LIMIT, ROOM_LIMIT
from gateway.settings.model import Access

HELLO = {"kind": "hello", "protocol": 1, "name": "raw", "role": "installer"}


class Raw:
    """A client that says what the test tells it to say."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5.0)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def say(self, data: bytes | dict[str, Any]) -> None:
        self.socket.sendall(data if isinstance(data, bytes) else encode(data))

    def hear(self) -> dict[str, Any]:
        line = self.file.readline()
        assert line, "the server hung up"
        header: dict[str, Any] = json.loads(line)
        return header

    def hung_up(self) -> bool:
        return self.file.read(1) == b""


@pytest.fixture
def raw(folder: Path, server: Server) -> Callable[[], Raw]:
    return lambda: Raw(folder / "control.sock")


@pytest.fixture
def greeted(raw: Callable[[], Raw]) -> Raw:
    peer = raw()
    peer.say(HELLO)
    assert peer.hear()["kind"] == "hello"
    return peer


def test_hello_tells_who_serves_and_what_was_granted(folder: Path, server: Server) -> None:
    """The hello answer carries protocol, version, role and the handler's fields."""
    with Connection(folder / "control.sock", "gateway read", Role.OPERATOR) as connection:
        hello = connection.hello
    assert (hello["protocol"], hello["role"], hello["process"], hello["sim"]) == (1, "operator", "control", True)
    assert hello["credentials"].keys() == {"uid", "gid"}


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\n",
        encode({"kind": "query", "id": 1, "what": "points"}),
        encode({**HELLO, "protocol": 2}),
        encode({**HELLO, "role": "king"}),
        encode({**HELLO, "name": ""}),
        encode({**HELLO, "name": "\x1b[31m"}),
        encode({"kind": "hello"}),
    ],
)
def test_a_wrong_first_frame_is_answered_and_closed(first: bytes, raw: Callable[[], Raw]) -> None:
    """Whoever does not introduce itself correctly is told why and hung up on."""
    peer = raw()
    peer.say(first)
    assert peer.hear()["kind"] == "error"
    assert peer.hung_up()


@pytest.mark.parametrize(
    "frame",
    [
        b"nonsense\n",
        encode({"kind": "dance"}),
        encode({"kind": "query", "what": "points"}),
        encode({"kind": "query", "id": "7", "what": "points"}),
        encode({"kind": "query", "id": 7, "what": 3}),
        encode({"kind": "command", "id": True, "verb": "reload"}),
        b"x" * 70_000,
    ],
)
def test_a_broken_frame_ends_only_its_peer(frame: bytes, greeted: Raw, folder: Path) -> None:
    """A peer that breaks the protocol is told why and closed; others are served on."""
    greeted.say(frame)
    assert greeted.hear()["kind"] == "error"
    assert greeted.hung_up()
    with Client(Connection(folder / "control.sock", "other")) as other:
        assert other.query("points") == {"what": "points"}


def test_frames_before_a_broken_one_are_handled(greeted: Raw) -> None:
    """What was said correctly counts, whatever follows it."""
    greeted.say(encode({"kind": "query", "id": 1, "what": "points"}) + b"nonsense\n")
    assert greeted.hear() == {"kind": "response", "id": 1, "ok": True, "result": {"what": "points"}}
    assert greeted.hear()["kind"] == "error"


def test_pipelined_questions_are_answered_in_order(greeted: Raw) -> None:
    """More questions than a turn's share may be sent at once; each answer carries its id."""
    greeted.say(b"".join(encode({"kind": "query", "id": number, "what": "x"}) for number in range(100)))
    assert [greeted.hear()["id"] for _ in range(100)] == list(range(100))


def test_a_greedy_peer_is_slowed_and_never_refused(greeted: Raw) -> None:
    """Questions beyond a peer's share wait their turn: all are answered in the end."""
    greeted.say(b"".join(encode({"kind": "query", "id": number, "what": "x"}) for number in range(260)))
    assert [greeted.hear()["id"] for _ in range(260)] == list(range(260))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"verb": "explode", "target": "x"}, "unknown verb"),
        ({"verb": ["set"], "target": "x"}, "unknown verb"),
        ({"verb": "set", "target": "", "value": True, "for_s": 1}, "target"),
        ({"verb": "set", "target": "x" * 501, "value": True, "for_s": 1}, "target"),
        ({"verb": "set", "target": "x", "value": "on", "for_s": 1}, "value"),
        ({"verb": "set", "target": "x", "value": 1e300, "for_s": 1}, "value"),
        ({"verb": "set", "target": "x", "value": True}, "for_s"),
        ({"verb": "set", "target": "x", "value": True, "for_s": True}, "for_s"),
        ({"verb": "set", "target": "x", "value": True, "for_s": 0}, "for_s"),
        ({"verb": "set", "target": "x", "value": True, "for_s": 86401}, "for_s"),
        ({"verb": "shelve", "target": "x", "for_s": -1}, "for_s"),
        ({"verb": "bypass", "target": "x", "for_s": 5, "reason": 7}, "reason"),
    ],
)
def test_a_command_with_a_wrong_field_never_reaches_the_handler(
    fields: dict[str, Any], complaint: str, greeted: Raw, handler: Any
) -> None:
    """Each wrong field is named in the answer, the connection stays, and nothing is carried out."""
    greeted.say({"kind": "command", "id": 5, **fields})
    answer = greeted.hear()
    assert answer["id"] == 5
    assert answer["ok"] is False
    assert complaint in answer["message"]
    assert handler.commands == []


def test_commands_arrive_stamped_with_role_and_login(folder: Path, server: Server, handler: Any) -> None:
    """A command carries what the credentials say, never what the peer claims; the recorder speaks for the cloud."""
    with Client(Connection(folder / "control.sock", "gateway set", Role.OPERATOR)) as client:
        assert client.command("set", "fan", value=True, for_s=60, who="chef") == {"ok": True, "message": "set fan"}
        assert client.command("release", "no")["ok"] is False
        assert client.command("release", "later")["message"] == "from another thread"
    with Client(Connection(folder / "control.sock", "recorder", Role.RECORDER)) as client:
        client.command("set", "fan", value=1, for_s=1, who="head office")
    first, last = handler.commands[0], handler.commands[-1]
    assert (first.role, first.who, first.value, first.for_s) == (Role.OPERATOR, "uid 0", True, 60.0)
    assert (last.role, last.who, last.value) == (Role.RECORDER, "cloud:head office", 1.0)


def test_ending_a_bypass_needs_no_duration(greeted: Raw, handler: Any) -> None:
    """`for_s: 0` ends a bypass; it is the only zero that is allowed."""
    greeted.say({"kind": "command", "id": 1, "verb": "bypass", "target": "hood", "for_s": 0})
    assert greeted.hear()["ok"] is True
    assert handler.commands[0].for_s == 0.0


def test_a_handler_that_raises_costs_an_error_not_the_thread(folder: Path, server: Server) -> None:
    """Whatever the handler raises, the peer is told and the server lives."""
    with Client(Connection(folder / "control.sock", "a", Role.INSTALLER)) as client:
        with pytest.raises(Refused, match="internal error"):
            client.query("crash")
        with pytest.raises(Refused, match="not today: ask tomorrow"):
            client.query("refuse")
        assert client.command("reset", "crash") == {
            "ok": False,
            "message": "internal error (RuntimeError): see the log",
        }
        assert client.query("points") == {"what": "points"}
    with Connection(folder / "control.sock", "b", Role.FIELD) as connection:
        connection.send({"kind": "samples", "crash": True})
        answer = connection.receive(5.0)
        assert answer is not None
        assert answer[0]["kind"] == "error"
    assert server.alive()


def test_a_long_answer_comes_as_a_body(folder: Path, server: Server) -> None:
    """A result beyond a line's limit comes as the body, one beyond a body's is refused with advice."""
    with Client(Connection(folder / "control.sock", "a")) as client:
        assert len(client.query("long", rows=1000)) == 1000
        with pytest.raises(Refused, match="ask for less"):
            client.query("long", rows=10_000)


def test_a_peer_that_does_not_read_is_dropped_alone(folder: Path, server: Server, handler: Any) -> None:
    """A full buffer ends the peer it belongs to; room is false long before, and the others notice nothing."""
    rooms = []

    def flood(peer: Any) -> None:
        while not peer.dead:
            if peer.waiting and peer.waiting % (256 * 1024) < 70_000:
                rooms.append((peer.waiting, peer.room))
            peer.send({"kind": "records"}, b"x" * 60_000)

    with (
        Connection(folder / "control.sock", "deaf", Role.RECORDER),
        Client(Connection(folder / "control.sock", "other")) as other,
    ):
        handler.pumped = lambda peer: flood(peer) if peer.name == "deaf" else None
        server.wake()
        handler.wait(lambda: "deaf" in handler.gone)
        assert other.query("points") == {"what": "points"}
    assert all(room is (waiting < ROOM_LIMIT) for waiting, room in rooms)
    assert max(waiting for waiting, _ in rooms) <= OUTPUT_LIMIT


def test_pump_is_called_again_when_room_comes_back(folder: Path, server: Server, handler: Any) -> None:
    """A peer that reads slowly gets everything: pump resumes where room ran out."""
    left = [200]

    def pump(peer: Any) -> None:
        while left[0] and peer.room:
            left[0] -= 1
            peer.send({"kind": "records", "n": left[0]}, b"y" * 30_000)

    with Connection(folder / "control.sock", "slow", Role.RECORDER) as connection:
        handler.pumped = pump
        server.wake()
        received = [connection.receive(5.0) for _ in range(200)]
    assert [frame[0]["n"] for frame in received if frame] == list(range(199, -1, -1))


def test_every_wake_reaches_pump(folder: Path, server: Server, handler: Any) -> None:
    """No wake-up is lost, from whatever thread and however close to another."""
    produced, sent = [0], [0]

    def pump(peer: Any) -> None:
        while sent[0] < produced[0] and peer.room:
            sent[0] += 1
            peer.send({"kind": "record", "n": sent[0]})

    handler.pumped = pump
    with Connection(folder / "control.sock", "r", Role.RECORDER) as connection:
        for number in range(1, 501):
            produced[0] = number
            server.wake()
            if number % 3 == 0:
                frame = connection.receive(0.5)
                assert frame is not None, f"record {number} was never pumped"
                while frame is not None and frame[0]["n"] < number:
                    frame = connection.receive(0.5)


def test_silence_instead_of_hello_is_ended(
    raw: Callable[[], Raw], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection without a hello is told so and closed."""
    monkeypatch.setattr("gateway.local.server.HELLO_WITHIN_S", 0.05)
    peer = raw()
    assert "no hello" in peer.hear()["message"]
    assert peer.hung_up()


def test_the_number_of_peers_is_bounded(raw: Callable[[], Raw]) -> None:
    """One peer too many is told so; when another leaves there is room again."""
    peers = [raw() for _ in range(PEER_LIMIT)]
    for peer in peers:
        peer.say(HELLO)
        assert peer.hear()["kind"] == "hello"
    assert "connected already" in raw().hear()["message"]
    peers[0].file.close()
    peers[0].socket.close()
    peers[1].say({"kind": "query", "id": 1, "what": "x"})
    peers[1].hear()
    late = raw()
    late.say(HELLO)
    assert late.hear()["kind"] == "hello"


def test_a_stale_socket_is_replaced_and_ours_removed(folder: Path, handler: Any) -> None:
    """What a killed process left is replaced; a stop removes the file; anybody may connect to it."""
    path = folder / "control.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    server = Server(path, handler, Access())
    server.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    server.stop()
    assert list(folder.iterdir()) == []
    assert not server.alive()


def test_a_living_server_or_a_file_is_not_replaced(folder: Path, server: Server, handler: Any) -> None:
    """A second server on the same path is refused, and so is a path where something else lies."""
    with pytest.raises(AlreadyRunning, match="another process answers"):
        Server(folder / "control.sock", handler, Access()).start()
    (folder / "file.sock").write_text("precious")
    with pytest.raises(OSError, match="move it elsewhere"):
        Server(folder / "file.sock", handler, Access()).start()
    with pytest.raises(OSError, match="shorter --state"):
        Server(folder / ("x" * 100), handler, Access()).start()
    assert (folder / "file.sock").read_text() == "precious"


def test_a_stop_leaves_a_successors_socket(folder: Path, server: Server, handler: Any) -> None:
    """A server that stops late does not remove the socket of the one that replaced it."""
    path = folder / "control.sock"
    path.rename(folder / "moved.sock")
    successor = Server(path, handler, Access())
    successor.start()
    server.stop()
    with Client(Connection(path, "a")) as client:
        assert client.query("points") == {"what": "points"}
    successor.stop()


def test_a_stop_says_goodbye_to_all(folder: Path, server: Server, handler: Any) -> None:
    """After a stop every peer sees the end and the handler has been told of each."""
    connection = Connection(folder / "control.sock", "a")
    server.stop()
    with pytest.raises(ConnectionError, match="is gone"):
        connection.receive(5.0)
    assert handler.gone == ["a"]


def test_the_server_thread_is_the_only_one_that_calls_the_handler(folder: Path, server: Server, handler: Any) -> None:
    """Handlers need no locks: every call comes from the server's thread."""
    seen = set()

    def pump(peer: Any) -> None:
        seen.add(threading.current_thread().name)
        handler.note()

    handler.pumped = pump
    with Connection(folder / "control.sock", "a"):
        server.wake()
        handler.wait(lambda: bool(seen))
    assert seen == {"local-server"}
