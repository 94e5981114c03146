"""A stage for engines: seconds instead of nanoseconds, points by name, the events since the last call."""

from typing import Any

from gateway.core.command import Command, Reply
from gateway.core.event import Event, EventClass
from gateway.core.output import OutputPolicy
from gateway.core.quality import Reason
from gateway.core.reading import Reading, Value
from gateway.core.role import Role, Verb
from rules.definition import Alarm, Interlock, Rule, Rulebook
from rules.engine import Decisions, Engine

POINTS = {
    "gas.concentration": "%{LEL}",
    "fan.closed": "",
    "air.temperature": "Cel",
    "core.temperature": "Cel",
    "far.temperature": "[degF]",
    "door.open": "",
    "aux.closed": "",
    "mains.power": "W",
    "mains.factor": "1",
    "gateway/recorder.connected": "",
}
BAD = object()


def rulebook(
    *, interlocks: tuple[Interlock, ...] = (), alarms: tuple[Alarm, ...] = (), rules: tuple[Rule, ...] = ()
) -> Rulebook:
    return Rulebook(POINTS, interlocks, alarms, rules)


class Stage:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.decisions = Decisions({}, (), (), False, None)

    def at(self, now_s: float, *commands: Command, **values: Any) -> Decisions:
        """Step with `gas__concentration=3.0`; BAD makes the reading bad."""
        now_ns = round(now_s * 1e9)
        readings = [reading(name.replace("__", "."), value, now_ns) for name, value in values.items()]
        self.decisions = self.engine.step(now_ns, readings, commands)
        return self.decisions

    def ask(self, now_s: float, command: Command) -> Reply:
        (reply,) = self.at(now_s, command).replies
        return reply

    def events(self, kind: EventClass, subject: str = "") -> list[Event]:
        return [e for e in self.decisions.events if e.kind is kind and subject in ("", e.subject)]

    def alarm(self, name: str) -> str:
        return next(str(a["state"]) for a in self.engine.alarms_view() if a["alarm"] == name)

    def interlock(self, name: str) -> dict[str, Any]:
        return next(i for i in self.engine.interlocks_view() if i["interlock"] == name)

    def output(self, name: str) -> dict[str, Any]:
        return next(o for o in self.engine.outputs_view() if o["output"] == name)


def reading(point: str, value: Any, now_ns: int = 0) -> Reading:
    if value is BAD:
        return Reading(point, None, Reason.BAD_TIMEOUT, now_ns, "nothing came")
    return Reading(point, value, Reason.GOOD, now_ns)


def stage(
    *,
    interlocks: tuple[Interlock, ...] = (),
    alarms: tuple[Alarm, ...] = (),
    rules: tuple[Rule, ...] = (),
    outputs: tuple[OutputPolicy, ...] = (OutputPolicy("valve"), OutputPolicy("siren"), OutputPolicy("fan")),
) -> Stage:
    return Stage(Engine(rulebook(interlocks=interlocks, alarms=alarms, rules=rules), outputs))


def operator(
    verb: Verb, target: str, value: Value | None = None, for_s: float | None = None, reason: str = ""
) -> Command:
    return Command(verb, target, Role.OPERATOR, "kim", value, for_s, reason)


def installer(
    verb: Verb, target: str, value: Value | None = None, for_s: float | None = None, reason: str = ""
) -> Command:
    return Command(verb, target, Role.INSTALLER, "lee", value, for_s, reason)


def cloud(verb: Verb, target: str, value: Value | None = None, for_s: float | None = None) -> Command:
    return Command(verb, target, Role.RECORDER, "cloud", value, for_s)
