"""The client: what it promises when the other end is slow, rude or gone."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.core.errors import Refused
from gateway.core.role import Role
from gateway.local.client import Client, Connection
from gateway.local.frames import encode
from gateway.local.server import Server

HELLO = encode({"kind": "hello", "protocol": 1, "role": "viewer"})


@pytest.fixture
def rude(folder: Path) -> Iterator[Callable[[bytes], Path]]:
    """A server that sends given bytes to whoever connects, then waits for the end of the test."""
    done, listeners = threading.Event(), []

    def start(data: bytes) -> Path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "rude.sock"))
        listener.listen()
        listeners.append(listener)

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(data)
                if not data.endswith(b"bye\n"):
                    done.wait(10)

        threading.Thread(target=serve, daemon=True).start()
        return folder / "rude.sock"

    yield start
    done.set()
    for listener in listeners:
        listener.close()


def test_nobody_there_is_a_connection_error(folder: Path) -> None:
    """A missing or dead socket is told apart from nothing else: ConnectionError with the path."""
    with pytest.raises(ConnectionError, match=r"nothing answers at .*none\.sock"):
        Connection(folder / "none.sock", "a")


def test_a_role_that_is_not_granted_is_refused(folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's reason reaches the caller as Refused."""
    monkeypatch.setattr("gateway.local.server.granted", lambda *_: frozenset({Role.VIEWER}))
    with pytest.raises(Refused, match="join the group kitchen-installer"):
        Connection(folder / "control.sock", "a", Role.INSTALLER)


def test_receive_times_out_without_harm(folder: Path, server: Server) -> None:
    """None after the timeout; the connection goes on."""
    with Connection(folder / "control.sock", "a") as connection:
        assert connection.receive(0.01) is None
        connection.send({"kind": "query", "id": 1, "what": "x"})
        answer = connection.receive(5.0)
        assert answer is not None
        assert answer[0]["id"] == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "did not say hello within"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "broke the protocol"),
        (encode({"kind": "response", "id": 1}), "answered hello with 'response'"),
        (b'{"kind":"x"', "did not say hello within"),
        (b'{"kind":"half bye\n', "broke the protocol|takes nothing"),
    ],
)
def test_a_rude_server_is_a_connection_error(data: bytes, message: str, rude: Callable[[bytes], Path]) -> None:
    """Whatever answers instead of a gateway, the caller gets a ConnectionError in time."""
    with pytest.raises(ConnectionError, match=message):
        Connection(rude(data), "a", timeout_s=0.1)


def test_an_answer_that_never_comes_ends_the_wait(rude: Callable[[bytes], Path]) -> None:
    """A question waits as long as the timeout, also while other frames keep coming, and then hangs up."""
    chatter = b"".join(encode({"kind": "configuration", "hash": str(number)}) for number in range(50))
    client = Client(Connection(rude(HELLO + chatter), "a", timeout_s=0.2))
    begin = time.monotonic()
    with pytest.raises(ConnectionError, match=r"did not answer within 0\.2 s"):
        client.query("points")
    assert time.monotonic() - begin < 2
    with pytest.raises(ConnectionError):
        client.query("points")


def test_an_error_frame_is_told_with_its_reason(rude: Callable[[bytes], Path]) -> None:
    """When the server hangs up it says why, and the caller hears it."""
    client = Client(
        Connection(rude(HELLO + encode({"kind": "error", "message": "64 peers are connected already"})), "a")
    )
    with pytest.raises(ConnectionError, match="64 peers"):
        client.query("points")


def test_a_server_that_takes_nothing_does_not_hold_the_sender(rude: Callable[[bytes], Path]) -> None:
    """Sending to a peer that never reads ends after the timeout, closed, never half a frame later."""
    connection = Connection(rude(HELLO), "a", timeout_s=0.1)

    def flood() -> None:
        for _ in range(100):
            connection.send({"kind": "samples"}, b"x" * 500_000)

    with pytest.raises(ConnectionError, match="takes nothing any more"):
        flood()
    with pytest.raises(ConnectionError):
        connection.receive(0)
