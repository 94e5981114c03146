"""Control's end of the local protocol, without sockets."""

import json
import math
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.control.commands import REFUSALS_PER_S, Commands
from gateway.control.durable import StateKeeper
from gateway.control.handler import ControlHandler, Intake, read_samples
from gateway.control.loop import Asked, Happened, Message
from gateway.control.recent import RecentEvents
from gateway.control.ring import Ring
from gateway.control.side import SideThread
from gateway.core.command import Command
from gateway.core.event import Event, EventClass
from gateway.core.quality import Reason
from gateway.core.reading import Reading, Sample
from gateway.core.role import Role, Verb
from gateway.local.letters import Letter, write_letter
from gateway.local.polling import Outcome
from tests.control.fakes import SECOND, FakeClock


class FakePeer:
    """A peer that takes frames until its room is used up."""

    def __init__(self, role: Role = Role.VIEWER, room: int = 10_000) -> None:
        self.role, self.who, self.name, self.uid = role, "kim", "test", 1000
        self.sent: list[tuple[dict[str, Any], bytes | None]] = []
        self.left = room

    @property
    def room(self) -> bool:
        return self.left > 0

    def send(self, header: dict[str, Any], body: bytes | None = None) -> None:
        self.left -= 1
        self.sent.append((header, body))


class FakeEngine:
    """Published views, as an engine has them."""

    def __init__(self, clock: FakeClock) -> None:
        now_ns = clock.now_ns()
        self.points = {
            "air.temperature": Reading("air.temperature", 3.72, Reason.GOOD, now_ns - SECOND),
            "door.open": Reading("door.open", None, Reason.BAD_WAITING_FOR_INITIAL_DATA, 0, "no data yet"),
        }
        self.now_ns = now_ns

    def outputs_view(self) -> list[dict[str, Any]]:
        return [{"output": "siren", "value": True, "slot": 2, "since_ns": self.now_ns, "slots": {"2": True}}]

    def interlocks_view(self) -> list[dict[str, Any]]:
        return [{"interlock": "gas_leak", "tripped": True, "bypassed_until_ns": None}]

    def alarms_view(self) -> list[dict[str, Any]]:
        return []


class Rig:
    """A handler with everything around it in reach."""

    def __init__(self, tmp_path: Path, simulate: Any = None) -> None:
        self.clock = FakeClock()
        self.engine = FakeEngine(self.clock)
        self.rulebook = SimpleNamespace(points={"air.temperature": "Cel", "door.open": ""})
        self.configuration: Any = SimpleNamespace(hash="c1", rulebook=self.rulebook)
        self.ring = Ring(self.clock)
        self.recent = RecentEvents()
        self.put: list[Message] = []
        self.queue: SimpleQueue[Message] = SimpleQueue()
        self.outcomes: list[Outcome] = []
        self.letters: list[Letter] = []
        self.health: list[tuple[str, dict[str, object]]] = []
        self.problem = ""
        self.keeper = StateKeeper(tmp_path / "state.json", self.clock)
        self.side = SideThread()
        commands = Commands(
            put=self.take,
            keeper=self.keeper,
            side=self.side,
            clock=self.clock,
            reload=lambda: self.problem,
            simulate=simulate,
        )
        intake = Intake(
            self.outcomes.extend, self.take_events, lambda process, points: self.health.append((process, points))
        )
        self.handler = ControlHandler(
            self,  # type: ignore[arg-type]  # it plays the running control
            self.ring,
            self.recent,
            commands=commands,
            intake=intake,
            clock=self.clock,
            sim=True,
        )

    def take_events(self, letter: Letter) -> int:
        self.letters.append(letter)
        return letter.last

    def take(self, message: Message) -> None:
        self.put.append(message)
        self.queue.put(message)

    def driven(self) -> dict[str, bool | None]:
        return {"siren": True}

    def condition(self) -> dict[str, Any]:
        return {"state_ok": True}

    def query(self, what: str, **arguments: Any) -> Any:
        return json.loads(json.dumps(self.handler.query(FakePeer(), what, arguments)))  # type: ignore[arg-type]  # a fake

    def command(self, verb: Verb, target: str) -> SimpleQueue[tuple[bool, str]]:
        answers: SimpleQueue[tuple[bool, str]] = SimpleQueue()
        asked = Command(verb, target, Role.INSTALLER, "kim")
        self.handler.command(FakePeer(), asked, lambda ok, text: answers.put((ok, text)))  # type: ignore[arg-type]  # a fake
        return answers

    def audits(self) -> list[Event]:
        return [message.event for message in self.put if isinstance(message, Happened)]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_points_have_value_unit_quality_reason_and_time(rig: Rig) -> None:
    """The documented row in wall-clock time; a point that still waits does so since the start."""
    good, waiting = rig.query("points")
    assert good == {
        "point": "air.temperature",
        "value": 3.72,
        "unit": "Cel",
        "quality": "Good",
        "reason": "Good",
        "time": good["time"],
        "detail": "",
    }
    assert good["time"].endswith("Z")
    assert "T" in good["time"]
    assert (waiting["value"], waiting["quality"]) == (None, "Bad")
    assert waiting["time"] > good["time"], "it waits since the start, one second after the reading of this test"


def test_outputs_tell_the_level_on_the_line_and_times_for_people(rig: Rig) -> None:
    """`driven` comes from the guard; instants are written out."""
    (siren,) = rig.query("outputs")
    assert siren["driven"] is True
    assert siren["since"].endswith("Z")
    assert "since_ns" not in siren
    assert rig.query("interlocks")[0]["bypassed_until"] is None


def test_why_is_the_last_64_events_newest_first(rig: Rig) -> None:
    """Memory of each subject is bounded, and so is the number of subjects."""
    for number in range(100):
        rig.recent.remember([Event(EventClass.OUTPUT, "siren", "on", SECOND, {"n": number})])
    story = rig.query("why", target="siren")
    assert [row["data"]["n"] for row in story] == list(range(99, 35, -1))
    for number in range(1000):
        rig.recent.remember([Event(EventClass.AUDIT, f"x{number}", "set", SECOND, {})])
    assert rig.query("why", target="siren") == []
    assert len(rig.query("why", target="x999")) == 1


def test_an_unknown_query_says_what_there_is(rig: Rig) -> None:
    """A wrong question is answered with the right ones."""
    with pytest.raises(ValueError, match="points, outputs"):
        rig.query("weather")


def test_a_subscriber_gets_records_while_it_has_room(rig: Rig) -> None:
    """Frames as documented, stopped when the peer is full and resumed where it stopped."""
    for number in range(5):
        rig.ring.add([Reading("air.temperature", float(number), Reason.GOOD, SECOND)], ())
        rig.ring.encode(2 * SECOND, 0, everything=True)
    peer: Any = FakePeer(Role.RECORDER, room=2)
    rig.handler.frame(peer, {"kind": "subscribe", "run": "", "have": {"telemetry": 0}}, None)
    assert [header["first"] for header, _ in peer.sent] == [1, 2]
    header, body = peer.sent[0]
    assert header["kind"] == "records"
    assert (header["lane"], header["class"], header["count"], header["sim"]) == ("telemetry", "telemetry", 1, True)
    assert json.loads(body)[0]["v"] == 0.0
    peer.left = 10
    rig.handler.pump(peer)
    assert [header["first"] for header, _ in peer.sent] == [1, 2, 3, 4, 5]
    rig.handler.frame(peer, {"kind": "ack", "run": rig.ring.run, "lane": "telemetry", "upto": 5}, None)
    assert rig.ring.empty


def test_a_new_subscriber_replaces_the_old(rig: Rig) -> None:
    """Only one recorder is served; the old one's acknowledgements no longer count."""
    rig.ring.add([Reading("air.temperature", 1.0, Reason.GOOD, SECOND)], ())
    rig.ring.encode(2 * SECOND, 0, everything=True)
    old: Any = FakePeer(Role.RECORDER)
    new: Any = FakePeer(Role.RECORDER)
    for peer in (old, new):
        rig.handler.frame(peer, {"kind": "subscribe", "run": "", "have": {}}, None)
    assert len(new.sent) == 1
    rig.handler.frame(old, {"kind": "ack", "run": rig.ring.run, "lane": "telemetry", "upto": 1}, None)
    assert not rig.ring.empty


@pytest.mark.parametrize(
    "header",
    [
        {"kind": "subscribe", "run": 5, "have": {}},
        {"kind": "subscribe", "run": "", "have": {"telemetry": "many"}},
        {"kind": "subscribe", "run": ""},
        {"kind": "health", "points": []},
        {"kind": "samples"},
    ],
)
def test_malformed_frames_end_the_peer(rig: Rig, header: dict[str, Any]) -> None:
    """A wrong-typed field is told, never guessed at."""
    peer: Any = FakePeer(Role.RECORDER)
    with pytest.raises(ValueError, match=r"must|JSON"):
        rig.handler.frame(peer, header, None)


def test_an_acknowledgement_of_another_run_is_refused(rig: Rig) -> None:
    """Numbers of another life of control mean nothing here."""
    peer: Any = FakePeer(Role.RECORDER)
    rig.handler.frame(peer, {"kind": "subscribe", "run": "", "have": {}}, None)
    with pytest.raises(ValueError, match="this run is"):
        rig.handler.frame(peer, {"kind": "ack", "run": "feed", "lane": "telemetry", "upto": 0}, None)


def test_another_configuration_is_announced_to_recorder_and_field(rig: Rig) -> None:
    """The processes that follow control's configuration hear of a new one, once; viewers do not."""
    peers: dict[Role, Any] = {role: FakePeer(role) for role in (Role.RECORDER, Role.FIELD, Role.VIEWER)}
    for peer in peers.values():
        rig.handler.pump(peer)
    rig.configuration = SimpleNamespace(hash="c2", rulebook=rig.rulebook)
    for _ in range(2):
        for peer in peers.values():
            rig.handler.pump(peer)
    told = {role: peer.sent for role, peer in peers.items()}
    announcement = [({"kind": "configuration", "hash": "c2"}, None)]
    assert told == {Role.RECORDER: announcement, Role.FIELD: announcement, Role.VIEWER: []}


def test_samples_become_outcomes() -> None:
    """Values, and failures with their reason, as documented."""
    body = b'[["dht", 7, {"temperature": 3.5, "ok": true}], ["dht", 8, null, "BadTimeout", "hangs"]]'
    good, bad = read_samples(body)
    assert good == Outcome("dht", 7, (Sample("temperature", 3.5), Sample("ok", True)))
    assert bad == Outcome("dht", 8, None, Reason.BAD_TIMEOUT, "hangs")


def test_a_channels_own_reason_comes_through() -> None:
    """One channel of a device that answers may be doubtful or without a value, each with its words."""
    values = b'"core": [null, "BadSensorFailure", "open probe"], "air": [99.5, "UncertainSensorNotAccurate", "jumps"]'
    (outcome,) = read_samples(b'[["oven", 7, {"door": true, ' + values + b"}]]")
    assert outcome.samples is not None
    door, core, air = outcome.samples
    assert door == Sample("door", True)
    assert (core.channel, core.reason, core.detail) == ("core", Reason.BAD_SENSOR_FAILURE, "open probe")
    assert math.isnan(core.value)
    assert air == Sample("air", 99.5, Reason.UNCERTAIN_SENSOR_NOT_ACCURATE, "jumps")


@pytest.mark.parametrize(
    "body",
    [
        b'[["dht", 7, {"x": [1.5, "BadTimeout", "late"]}]]',
        b'[["dht", 7, {"x": [null, "Good", ""]}]]',
        b'[["dht", 7, {"x": [1.5, "Good"]}]]',
        b"{}",
        b"[1]",
        b'[["dht"]]',
        b'[["dht", "now", {}]]',
        b'[["dht", 7, {"x": "warm"}]]',
        b'[["dht", 7, {"x": 1' + 400 * b"0" + b"}]]",
        b'[["dht", 7, null, "Good", ""]]',
        b'[["dht", 7, null, "BadMood", ""]]',
        b"[",
    ],
)
def test_malformed_samples_are_refused(body: bytes) -> None:
    """Field is not trusted with the shape of its data."""
    with pytest.raises(ValueError, match=r"sample|value|JSON|Reason"):
        read_samples(body)


def test_events_of_field_are_taken_and_acknowledged(rig: Rig) -> None:
    """The frame of docs/local-protocol.md reaches the intake; the answer names its last event."""
    scanned = Event(EventClass.DEVICE, "scanner", "scanned", 7, {"gtin": "04012345678901"})
    header, body = write_letter(Letter("ab", 3, 5, (scanned, scanned)))
    assert header == {"kind": "events", "run": "ab", "after": 3, "first": 5}
    assert body.startswith(b'[["scanner",7,"scanned",{"gtin":"04012345678901"}]')
    peer: Any = FakePeer(Role.FIELD)
    rig.handler.frame(peer, header, body)
    assert rig.letters == [Letter("ab", 3, 5, (scanned, scanned))]
    assert peer.sent == [({"kind": "ack", "run": "ab", "upto": 6}, None)]


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({}, b"[]"),
        ({}, b"{"),
        ({}, b'[["scanner", 7, "scanned"]]'),
        ({}, b'[["scanner", 7, "Scanned!", {}]]'),
        ({}, b'[["scanner", -1, "scanned", {}]]'),
        ({}, b'[["scanner", 7, "scanned", {"x": []}]]'),
        ({}, b'[["scanner", 7, "scanned", {"x": NaN}]]'),
        ({}, b'[["scanner", 7, "scanned", {"x": "' + 5000 * b"x" + b'"}]]'),
        ({"first": 3}, b'[["scanner", 7, "scanned", {}]]'),
        ({"run": 5}, b'[["scanner", 7, "scanned", {}]]'),
    ],
)
def test_malformed_events_are_refused(rig: Rig, changes: dict[str, Any], body: bytes) -> None:
    """Field is not trusted with the shape of its events either."""
    peer: Any = FakePeer(Role.FIELD)
    with pytest.raises(ValueError, match="event"):
        rig.handler.frame(peer, {"kind": "events", "run": "ab", "after": 3, "first": 4} | changes, body)
    assert rig.letters == []


def test_an_event_is_never_of_the_future(rig: Rig) -> None:
    """A stamp ahead of control's clock becomes now."""
    peer: Any = FakePeer(Role.FIELD)
    header = {"kind": "events", "run": "ab", "after": 0, "first": 1}
    rig.handler.frame(peer, header, b'[["scanner", 9000000000000000000, "scanned", {}]]')
    assert rig.letters[0].events[0].time_ns == rig.clock.now_ns()


def test_ordinary_commands_go_to_the_loop(rig: Rig) -> None:
    """The engine decides and audits; nothing is waited for."""
    rig.command(Verb.ACK, "gas_warning")
    (asked,) = rig.put
    assert isinstance(asked, Asked)
    assert asked.command.target == "gas_warning"


def test_a_reset_is_on_the_disk_before_it_is_stepped(rig: Rig, tmp_path: Path) -> None:
    """Nothing reaches the loop until the intent is written; the answer comes when the state after it is too."""
    answers = rig.command(Verb.RESET, "gas_leak")
    assert len(rig.put) == 0
    rig.keeper.start({})
    asked = rig.queue.get(timeout=5.0)
    assert isinstance(asked, Asked)
    assert b'"intents":[{"verb":"reset","target":"gas_leak"' in (tmp_path / "state.json").read_bytes()
    rig.keeper.offer({"after": "reset"})
    asked.answer(True, "gas_leak is reset")
    assert answers.get(timeout=5.0) == (True, "gas_leak is reset")
    assert b'{"state":{"after":"reset"},"intents":[]}' in (tmp_path / "state.json").read_bytes()
    rig.keeper.stop(5.0)


def test_a_reset_that_can_not_be_saved_is_not_carried_out(rig: Rig) -> None:
    """A disk that takes nothing for 2 s: the client hears why, it is audited, and the loop never sees the command."""
    answers = rig.command(Verb.RESET, "gas_leak")  # the keeper's thread does not run: a disk that blocks
    rig.clock.advance(2.1)
    rig.keeper.check(rig.clock.now_ns())
    ok, message = answers.get(timeout=5.0)
    assert not ok
    assert "not carried out" in message
    (audit,) = rig.audits()
    assert (audit.what, audit.data["ok"]) == ("reset", False)
    assert not any(isinstance(message, Asked) for message in rig.put)


def test_a_reset_that_the_engine_refuses_is_answered_at_once(rig: Rig) -> None:
    """What changes nothing needs no disk."""
    answers = rig.command(Verb.RESET, "gas_leak")
    rig.keeper.start({})
    asked = rig.queue.get(timeout=5.0)
    assert isinstance(asked, Asked)
    asked.answer(False, "the cause is still there")
    assert answers.get(timeout=5.0) == (False, "the cause is still there")
    rig.keeper.stop(5.0)


def test_sim_goes_to_the_simulator_and_is_audited(tmp_path: Path) -> None:
    """In a simulated run the line is passed on and its answer returned; an absent simulator is told."""

    def simulate(line: str) -> dict[str, Any]:
        if line == "dead":
            raise ConnectionRefusedError("no socket")
        return {"ok": True, "message": f"did {line}"}

    rig = Rig(tmp_path, simulate)
    rig.side.start()
    assert rig.command(Verb.SIM, "gas_leak on").get(timeout=5.0) == (True, "did gas_leak on")
    assert rig.command(Verb.SIM, "dead").get(timeout=5.0)[0] is False
    assert [(audit.what, audit.data["ok"]) for audit in rig.audits()] == [("sim", True), ("sim", False)]


def test_sim_is_refused_on_real_hardware(rig: Rig) -> None:
    """Without --sim there is no simulator to command."""
    rig.side.start()
    ok, message = rig.command(Verb.SIM, "gas_leak on").get(timeout=5.0)
    assert (ok, "no simulated run" in message) == (False, True)


def test_reload_answers_what_is_wrong(rig: Rig) -> None:
    """A refused configuration's error reaches who asked."""
    rig.side.start()
    assert rig.command(Verb.RELOAD, "").get(timeout=5.0)[0] is True
    rig.problem = "site.yaml:3: unknown driver"
    assert rig.command(Verb.RELOAD, "").get(timeout=5.0) == (False, "site.yaml:3: unknown driver")


def test_refusals_are_audited_but_can_not_flood(rig: Rig) -> None:
    """Who asked for what in vain is kept; a peer that hammers does not wash other events out."""
    peer: Any = FakePeer()
    fields = {"kind": "command", "verb": "reset", "target": "gas_leak", "value": 1}
    for _ in range(100):
        rig.handler.refused(peer, fields, "viewer may not reset")
    audits = rig.audits()
    assert len(audits) == REFUSALS_PER_S
    assert audits[0].subject == "gas_leak"
    expected = {"verb": "reset", "who": "kim", "role": "viewer", "ok": False, "message": "viewer may not reset"}
    assert audits[0].data == {**expected, "value": 1}
    rig.clock.advance(1.0)
    rig.handler.refused(peer, fields, "viewer may not reset")
    assert len(rig.audits()) == REFUSALS_PER_S + 1


def test_a_refused_request_is_audited_in_few_and_storable_words(rig: Rig) -> None:
    """Whatever a peer that may do nothing writes, its AUDIT event is short and strict JSON."""
    peer: Any = FakePeer()
    long = "x" * 60_000
    fields = {"kind": long, "verb": [long], "target": long, "value": float("inf"), "for_s": {"a": long}, "reason": long}
    rig.handler.refused(peer, fields, "viewer may not reset")
    rig.handler.refused(peer, {"kind": "hello", "value": float("nan"), "reason": True}, "no")
    for audit in rig.audits():
        assert len(json.dumps([audit.subject, audit.what, audit.data], allow_nan=False)) < 2500
    assert rig.audits()[1].data["reason"] is True
