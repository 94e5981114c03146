"""A gateway that answers from canned rows, and the command line that asks it."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.__main__ import main
from gateway.core.command import Command
from gateway.local.paths import StatePaths
from gateway.local.server import Peer, Reply, Server
from gateway.settings.model import Access

TIME = "2026-11-24T00:00:00.000Z"


def point(name: str, value: object, unit: str = "", reason: str = "Good", detail: str = "") -> dict[str, Any]:
    quality = "Bad" if reason.startswith("Bad") else "Good"
    row = {"point": name, "value": value, "unit": unit, "quality": quality, "reason": reason}
    return {**row, "time": TIME, "detail": detail}


def output(name: str, value: bool, slot: int, slot_name: str, reason: str, driven: bool | None) -> dict[str, Any]:
    row = {"output": name, "value": value, "slot": slot, "slot_name": slot_name, "reason": reason}
    return {**row, "since": TIME, "slots": {}, "driven": driven}


def alarm(name: str, state: str, active: bool, text: str) -> dict[str, Any]:
    return {"alarm": name, "state": state, "active": active, "priority": "high", "text": text, "since": TIME}


CONTROL: dict[str, Any] = {
    "points": [
        point("walkin_air.temperature", 3.72, "Cel"),
        point("walkin_air.humidity", 61.0, "%{RH}"),
        point("walkin_door.open", True),
        point("gas_valve.on", False),
        point("mains.power", None, "W", "BadTimeout", "no answer within 0.5 s"),
        point("gateway/recorder.connected", True),
    ],
    "outputs": [
        output("gas_valve", False, 2, "life_safety", "interlock gas_leak", driven=False),
        output("siren", True, 0, "relinquish_default", "no slot is filled", driven=False),
        output("hood_fan", True, 13, "rule", "rule hood", driven=None),
    ],
    "alarms": [alarm("gas_warning", "UNACK", True, "Gas detected"), alarm("fryer_hot", "NORM", False, "Oil hot")],
    "interlocks": [
        {
            "interlock": "gas_leak",
            "tripped": True,
            "cause": False,
            "latched": True,
            "bypassed_until": None,
            "reason": "",
        },
        {"interlock": "estop", "tripped": True, "cause": True, "latched": True, "bypassed_until": None, "reason": "x"},
        {"interlock": "fryer", "tripped": False, "cause": True, "latched": False, "bypassed_until": TIME, "reason": ""},
        {"interlock": "hood", "tripped": False, "cause": False, "latched": False, "bypassed_until": None, "reason": ""},
    ],
    "health": {"ring": {"telemetry": {"held": 3}}, "loop": {"steps": 7}, "peers": [{"name": "recorder"}]},
}
COUNTS = {"captured": 10, "delivered": 6, "pending": 3, "expired": 0, "dropped": 1, "rejected": 0}
RECORDER: dict[str, Any] = {
    "outbox": {"classes": {"telemetry": COUNTS}, "uplink": {"connected": False}, "store": {"ok": True}},
    "history": [
        {"point": "walkin_air.temperature", "value": 3.5, "quality": "Good", "reason": "Good", "time": TIME},
        {"point": "walkin_air.temperature", "value": None, "quality": "Bad", "reason": "BadTimeout", "time": TIME},
    ],
}


@dataclass
class Canned:
    """A process that answers from a table and remembers what it was asked."""

    answers: dict[str, Any]
    process: str = "control"
    refuse: str = ""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)

    def hello(self) -> dict[str, Any]:
        return {"process": self.process, "run": "3cc9ebb793919f48", "sim": True, "configuration": "67ff5dcb31cf"}

    def command(self, peer: Peer, command: Command, reply: Reply) -> None:
        self.commands.append(command)
        reply(not self.refuse, self.refuse or f"{command.verb} {command.target}: done")

    def query(self, peer: Peer, what: str, arguments: dict[str, Any]) -> object:
        self.asked.append((what, arguments))
        answer = self.answers.get(what, [])
        return answer(arguments) if callable(answer) else answer

    def frame(self, peer: Peer, header: dict[str, Any], body: bytes | None) -> None: ...

    def refused(self, peer: Peer, fields: dict[str, Any], message: str) -> None: ...

    def pump(self, peer: Peer) -> None: ...

    def closed(self, peer: Peer) -> None: ...


@dataclass
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def state() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def gateway(state: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Type a command; the answer."""

    def type_in(*words: str) -> Answer:
        try:
            code = main([*words, "--state", str(state)])
        except SystemExit as exit:
            code = int(str(exit.code))
        written = capsys.readouterr()
        return Answer(code, written.out, written.err)

    return type_in


@pytest.fixture
def control(state: Path) -> Iterator[Canned]:
    handler = Canned(dict(CONTROL))
    server = Server(StatePaths(state).control_sock, handler, Access())
    server.start()
    yield handler
    server.stop()


@pytest.fixture
def recorder(state: Path) -> Iterator[Canned]:
    handler = Canned(dict(RECORDER), "recorder")
    server = Server(StatePaths(state).recorder_sock, handler, Access())
    server.start()
    yield handler
    server.stop()


@pytest.fixture
def korean(state: Path) -> None:
    StatePaths(state).create()
    StatePaths(state).snapshot.write_text('{"site": {"language": "ko"}}')
