"""A server with a handler that remembers, in a short directory."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.command import Command
from gateway.core.errors import Refused
from gateway.local.peers import Accounts
from gateway.local.server import Peer, Reply, Server
from gateway.settings.model import Access


class Recorded:
    """A handler that answers at once and remembers what it was told; `seen` wakes those who wait."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.commands: list[Command] = []
        self.frames: list[tuple[dict[str, Any], bytes | None]] = []
        self.refusals: list[tuple[str, dict[str, Any], str]] = []
        self.gone: list[str] = []
        self.pumped: Callable[[Peer], None] = lambda peer: None
        self.peers: dict[str, Peer] = {}

    def hello(self) -> dict[str, Any]:
        return {"process": "control", "sim": True}

    def command(self, peer: Peer, command: Command, reply: Reply) -> None:
        if command.target == "crash":
            raise RuntimeError("the handler broke")
        self._note(self.commands, command)
        if command.target == "later":
            threading.Thread(target=reply, args=(True, "from another thread")).start()
        else:
            reply(command.target != "no", f"{command.verb} {command.target}")

    def query(self, peer: Peer, what: str, arguments: dict[str, Any]) -> object:
        if what == "crash":
            raise RuntimeError("the handler broke")
        if what == "refuse":
            raise Refused("not today: ask tomorrow")
        if what == "long":
            return [{"row": number, "text": "가" * 50} for number in range(arguments["rows"])]
        return {"what": what, **arguments}

    def frame(self, peer: Peer, header: dict[str, Any], body: bytes | None) -> None:
        self.peers[peer.name] = peer
        if header.get("crash"):
            raise RuntimeError("the handler broke")
        self._note(self.frames, (header, body))

    def refused(self, peer: Peer, fields: dict[str, Any], message: str) -> None:
        self._note(self.refusals, (peer.who, fields, message))

    def pump(self, peer: Peer) -> None:
        self.pumped(peer)

    def closed(self, peer: Peer) -> None:
        self._note(self.gone, peer.name)

    def wait(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s)

    def note(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def _note(self, where: list[Any], what: object) -> None:
        with self.changed:
            where.append(what)
            self.changed.notify_all()


class Names:
    """Accounts of a machine that exists only here."""

    def __init__(self, groups: dict[str, int], users: dict[str, int]) -> None:
        self._groups = groups
        self._users = users

    def group(self, name: str) -> int | None:
        return self._groups.get(name)

    def user(self, name: str) -> int | None:
        return self._users.get(name)

    def login(self, uid: int) -> str:
        return f"uid {uid}"


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def accounts() -> Accounts:
    return Names(
        {"kitchen-operator": 70001, "kitchen-installer": 70002}, {"kitchen-recorder": 60003, "kitchen-field": 60004}
    )


@pytest.fixture
def handler() -> Recorded:
    return Recorded()


@pytest.fixture
def server(folder: Path, handler: Recorded, accounts: Accounts) -> Iterator[Server]:
    running = Server(folder / "control.sock", handler, Access(), accounts)
    running.start()
    yield running
    running.stop()
