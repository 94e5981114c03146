"""Control's end of the local protocol: questions are answered from published views, all else is handed on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.control import views
from gateway.control.commands import Commands
from gateway.control.health import VALUE_LIMIT
from gateway.control.recent import RecentEvents
from gateway.control.records import Frame
from gateway.control.ring import Ring
from gateway.core.clock import Clock
from gateway.core.command import Command
from gateway.core.quality import Reason
from gateway.core.reading import Sample, Value
from gateway.core.role import Role
from gateway.local.letters import Letter, read_letter
from gateway.local.polling import Outcome
from gateway.local.server import Peer, Reply
from gateway.settings.model import Configuration
from rules.engine import Engine

SAMPLES_LIMIT = 20_000
"""Rows of one samples frame."""


class Control(Protocol):
    """What the handler asks of the running control; every member may be read from any thread."""

    @property
    def engine(self) -> Engine:
        """The engine in force."""
        ...

    @property
    def configuration(self) -> Configuration:
        """The configuration in force."""
        ...

    def driven(self) -> dict[str, Value | None]:
        """The level on each output's line."""
        ...

    def condition(self) -> dict[str, Any]:
        """The inner health for the query `health`, without ring and peers."""
        ...


@dataclass(frozen=True, slots=True)
class Intake:
    """Where what peers send goes: polls and events of field's devices, and health (process, points).

    events: returns the number up to which everything is taken.
    """

    outcomes: Callable[[list[Outcome]], None]
    events: Callable[[Letter], int]
    health: Callable[[str, dict[str, object]], None]


class ControlHandler:
    """Runs in the server's thread; nothing here waits."""

    def __init__(
        self,
        control: Control,
        ring: Ring,
        recent: RecentEvents,
        *,
        commands: Commands,
        intake: Intake,
        clock: Clock,
        sim: bool,
    ) -> None:
        self._control = control
        self._ring = ring
        self._recent = recent
        self._commands = commands
        self._intake = intake
        self._clock = clock
        self._sim = sim
        self._started_ns = clock.now_ns()
        self._time = views.WallTime(clock)
        self._peers: dict[Peer, str] = {}  # peer → the configuration it has been told of
        self._subscriber: Peer | None = None

    def hello(self) -> dict[str, Any]:
        """Who we are."""
        return {
            "process": "control",
            "run": self._ring.run,
            "boot": self._clock.boot_id,
            "sim": self._sim,
            "configuration": self._control.configuration.hash,
        }

    def command(self, peer: Peer, command: Command, reply: Reply) -> None:
        """Carry out."""
        self._meet(peer)
        self._commands.carry_out(command, reply)

    def refused(self, peer: Peer, fields: dict[str, Any], message: str) -> None:
        """Audit."""
        self._commands.refused(peer.who, peer.role.value, fields, message)

    def query(self, peer: Peer, what: str, arguments: dict[str, Any]) -> object:
        """One of docs/local-protocol.md's questions. Raises ValueError for another."""
        self._meet(peer)
        answers: dict[str, Callable[[dict[str, Any]], object]] = {
            "points": self._points,
            "outputs": self._outputs,
            "alarms": lambda _: self._rows(self._control.engine.alarms_view()),
            "interlocks": lambda _: self._rows(self._control.engine.interlocks_view()),
            "why": self._why,
            "health": self._health,
        }
        if what not in answers:
            raise ValueError(f"unknown query {what!r:.40}: use one of {', '.join(answers)}")
        return answers[what](arguments)

    def frame(self, peer: Peer, header: dict[str, Any], body: bytes | None) -> None:
        """subscribe, ack, samples, events or health. Raises ValueError for a malformed one."""
        self._meet(peer)
        kind = header["kind"]
        if kind == "samples":
            self._intake.outcomes(read_samples(body))
        elif kind == "events":
            self._take_events(peer, header, body)
        elif kind == "health":
            self._intake.health(peer.role.value, _dict(header, "points"))
        elif kind == "subscribe":
            have = _dict(header, "have")
            self._ring.subscribe(_text(header, "run"), {lane: _number(have, lane) for lane in have})
            self._subscriber = peer
            self.pump(peer)
        elif peer is self._subscriber:
            if _text(header, "run") != self._ring.run:
                raise ValueError(f"an acknowledgement of run {header['run']!r:.40}: this run is {self._ring.run}")
            self._ring.acknowledge(_text(header, "lane"), _number(header, "upto"))
            self.pump(peer)

    def _take_events(self, peer: Peer, header: dict[str, Any], body: bytes | None) -> None:
        letter = read_letter(header, body, self._clock.now_ns())
        peer.send({"kind": "ack", "run": letter.run, "upto": self._intake.events(letter)})

    def pump(self, peer: Peer) -> None:
        """Send the subscriber its records, and tell of another configuration."""
        self._meet(peer)
        now = self._control.configuration.hash
        if self._peers[peer] != now:
            self._peers[peer] = now
            if peer.role in (Role.RECORDER, Role.FIELD):
                peer.send({"kind": "configuration", "hash": now})
        if peer is not self._subscriber:
            return
        frames = self._ring.take()
        while peer.room and (frame := next(frames, None)) is not None:
            peer.send(self._header(frame), frame.body)

    def closed(self, peer: Peer) -> None:
        """Forget a peer; the ring keeps what it had not acknowledged."""
        self._peers.pop(peer, None)
        if peer is self._subscriber:
            self._subscriber = None

    def _meet(self, peer: Peer) -> None:
        # Its hello told it the configuration of that moment.
        self._peers.setdefault(peer, self._control.configuration.hash)

    def _header(self, frame: Frame) -> dict[str, Any]:
        named = {"run": self._ring.run, "lane": frame.lane, "class": frame.kind, "first": frame.first}
        if frame.body is None:
            return {"kind": "gap", **named, "last": frame.last}
        times = {"mono": frame.mono_ms, "ts": frame.ts_ms, "trusted": frame.trusted}
        return {
            "kind": "records",
            **named,
            "count": frame.count,
            "boot": self._clock.boot_id,
            **times,
            "sim": self._sim,
        }

    def _points(self, _arguments: dict[str, Any]) -> object:
        engine, units = self._control.engine, self._control.configuration.rulebook.points
        return views.points(list(engine.points.values()), units, self._time.adjust(), self._started_ns)

    def _outputs(self, _arguments: dict[str, Any]) -> object:
        driven = self._control.driven()
        rows = self._rows(self._control.engine.outputs_view())
        return [{**row, "driven": driven.get(row["output"])} for row in rows]

    def _rows(self, view: list[dict[str, Any]]) -> list[dict[str, Any]]:
        time = self._time.adjust()
        return [time.row(row) for row in view]

    def _why(self, arguments: dict[str, Any]) -> object:
        time = self._time.adjust()
        return [views.event(event, time) for event in self._recent.about(_text(arguments, "target"))]

    def _health(self, _arguments: dict[str, Any]) -> object:
        peers = [{"name": peer.name, "role": peer.role.value, "who": peer.who} for peer in self._peers]
        return {"ring": self._ring.counts(), "peers": peers, **self._control.condition()}


def read_samples(body: bytes | None) -> list[Outcome]:
    """The rows of a samples frame. Raises ValueError saying which row is malformed."""
    try:
        rows = json.loads(body or b"")
    except ValueError as error:
        raise ValueError(f"the samples are not JSON: {error}") from None
    if not isinstance(rows, list) or len(rows) > SAMPLES_LIMIT:
        raise ValueError(f"samples must be a list of at most {SAMPLES_LIMIT} rows")
    return [_outcome(row) for row in rows]


def _outcome(row: Any) -> Outcome:
    match row:
        case [str(device), int(time_ns), dict(values)]:
            samples = tuple(_sample(channel, entry) for channel, entry in values.items())
            return Outcome(device, time_ns, samples)
        case [str(device), int(time_ns), None, str(name), str(detail)] if name.startswith("Bad"):
            return Outcome(device, time_ns, None, Reason(name), detail)
    raise ValueError(f"malformed sample {row!r:.100}")


def _sample(channel: str, entry: Any) -> Sample:
    """A good value by itself; another with its reason and words; none where the reason is Bad."""
    match entry:
        case [None, str(name), str(detail)] if name.startswith("Bad"):
            return Sample.missing(channel, Reason(name), detail)
        case [value, str(name), str(detail)] if _is_value(value) and not name.startswith("Bad"):
            return Sample(channel, value, Reason(name), detail)
    if _is_value(entry):
        return Sample(channel, entry)
    raise ValueError(f"malformed value of {channel}: {entry!r:.100}")


def _is_value(value: object) -> bool:
    """A number that fits a float (NaN and infinities are judged later), or a truth value."""
    return isinstance(value, bool | float) or (isinstance(value, int) and abs(value) <= VALUE_LIMIT)


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise ValueError(f'"{key}" must be a text')
    return value


def _number(fields: dict[str, Any], key: str) -> int:
    value = fields.get(key)
    if type(value) is not int or value < 0:
        raise ValueError(f'"{key}" must be a whole number from 0 on')
    return value


def _dict(fields: dict[str, Any], key: str) -> dict[str, Any]:
    value = fields.get(key)
    if not isinstance(value, dict):
        raise ValueError(f'"{key}" must be an object')
    return value
