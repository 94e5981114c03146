"""The `interlocks`, `alarms` and `rules` of a site: their conditions compile, and what they act on is there."""

import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass

from gateway.core.output import OutputPolicy, Slot
from gateway.core.reading import Value
from gateway.settings.problems import Place, Problems, shown
from gateway.settings.structure import Entry
from gateway.settings.tree import Mapping, Node, Scalar
from gateway.settings.values import Unfit, quantity
from gateway.settings.wiring import Wiring
from gateway.settings.words import AlarmEntry, InterlockEntry, RuleEntry, ThenEntry
from rules.definition import Action, Alarm, BadInput, Effect, Interlock, Log, RaiseAlarm, Rule, SetOutput
from rules.expression import Expression, ExpressionError, compile_expression

_HOLD = re.compile(r"hold\((.+)\)")
_HOLD_MAX_S = 7 * 86400.0
_ALARM_BAD_INPUT = BadInput("hold", 60.0)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """The rule that sets an output in a slot, and to what."""

    rule: str
    value: Value
    place: Place


class Judge:
    """Turns entries into definitions the engine can run, collecting every fault.

    points: every point there is, with its unit. alarms: names a rule may raise.
    """

    def __init__(self, wiring: Wiring, points: dict[str, str], alarms: frozenset[str], problems: Problems) -> None:
        self._wiring = wiring
        self._points = points
        self._alarms = alarms
        self._problems = problems
        self._set_by: dict[tuple[str, Slot], _Claimed] = {}

    def interlock(self, entry: Entry[InterlockEntry]) -> Interlock | None:
        """The checked interlock, None when something about it is wrong."""
        before = len(self._problems)
        data = entry.data
        if bool(data.trip) == bool(data.permissive):
            what = f"interlock {entry.name!r} needs exactly one cause"
            self._problems.add(entry.place, what, "write either 'trip: …' or 'permissive: …'")
            return None
        kind = "trip" if data.trip else "permissive"
        condition = self._condition(entry, kind, data.trip or data.permissive)
        slot = Slot[data.priority.upper()] if data.priority else Slot.LIFE_SAFETY if data.trip else Slot.PERMISSIVE
        if slot is Slot.ESTOP and condition is not None:
            self._only_wired_inputs(entry, kind, condition)
        bad_input = self._bad_input(entry, data.on_bad_input, ("trip", "hold"))
        effects = self._effects(entry.at("outputs"), entry.node.items["outputs"], data.outputs)
        if not data.outputs:
            self._problems.add(entry.at("outputs"), f"interlock {entry.name!r} forces nothing", "name its outputs")
        if len(self._problems) > before or bad_input is None:
            return None
        bypass_max_s = 0.0 if data.bypass_max_s == "forbidden" else data.bypass_max_s
        text = data.trip or data.permissive
        return Interlock(
            entry.name, "trip" if data.trip else "permissive", text, effects, bad_input, slot, data.for_s, data.latch,
            bypass_max_s,
        )  # fmt: skip

    def alarm(self, entry: Entry[AlarmEntry]) -> Alarm | None:
        """The checked alarm, None when something about it is wrong."""
        before = len(self._problems)
        data = entry.data
        if data.when:
            self._condition(entry, "when", data.when)
        bad_input: BadInput | None = _ALARM_BAD_INPUT
        if data.on_bad_input:
            bad_input = self._bad_input(entry, data.on_bad_input, ("off", "on", "hold"))
        if len(self._problems) > before or bad_input is None:
            return None
        return Alarm(
            name=entry.name,
            condition=data.when,
            for_s=data.for_s,
            off_delay_s=data.off_delay_s,
            priority=data.priority,
            group=data.group,
            latch=data.latch,
            shelve_max_s=data.shelve_max_s,
            on_bad_input=bad_input,
            text={str(language): text for language, text in data.text.items()} or None,
        )

    def rule(self, entry: Entry[RuleEntry]) -> Rule | None:
        """The checked rule, None when something about it is wrong."""
        before = len(self._problems)
        data = entry.data
        self._condition(entry, "when", data.when)
        if data.until:
            self._condition(entry, "until", data.until)
        slot = Slot[data.priority.upper()]
        bad_input = self._bad_input(entry, data.on_bad_input, ("off", "on", "hold"))
        then = self._actions(entry, data.then, slot)
        if len(self._problems) > before or bad_input is None:
            return None
        return Rule(entry.name, data.when, then, data.until, data.for_s, data.off_delay_s, slot, bad_input)

    def _condition(
        self, entry: Entry[InterlockEntry] | Entry[AlarmEntry] | Entry[RuleEntry], key: str, text: str
    ) -> Expression | None:
        try:
            return compile_expression(text, self._points)
        except ExpressionError as error:
            if not self._wiring.mentions_broken(text):
                self._report(entry.node.items[key], error)
            return None

    def _report(self, node: Node, error: ExpressionError) -> None:
        start = node.start if isinstance(node, Scalar) else None
        what = error.message
        cure = "" if re.search(r"[;?]|: ", what) else "see docs/rules.md"
        if start is None:  # folded over lines: the column counts from the condition's first character
            self._problems.add(node.place, f"column {error.column} of the condition: {what}", cure)
            return
        place = Place(start.file, start.line, start.column + error.column - 1)
        self._problems.add(place, what, cure, with_column=True)

    def _bad_input(
        self, entry: Entry[InterlockEntry] | Entry[AlarmEntry] | Entry[RuleEntry], text: str, allowed: tuple[str, ...]
    ) -> BadInput | None:
        written = " | ".join("hold(30 s)" if word == "hold" else word for word in allowed)
        hold = _HOLD.fullmatch(text)
        word = "hold" if hold else text
        place = entry.at("on_bad_input")
        if word not in allowed:
            self._problems.add(place, f"'on_bad_input': {shown(text)} is not possible here", f"write one of {written}")
            return None
        if hold is None:
            return BadInput("trip" if word == "trip" else "off" if word == "off" else "on")
        try:
            hold_s = quantity(hold[1], "s")
        except Unfit as error:
            self._problems.add(place, f"'on_bad_input': {error.what}", "write it as hold(30 s)")
            return None
        if not 0 < hold_s <= _HOLD_MAX_S:
            self._problems.add(
                place, f"'on_bad_input': {shown(text)} is out of range", "hold more than 0 s, at most 7 d"
            )
            return None
        return BadInput("hold", hold_s)

    def _only_wired_inputs(self, entry: Entry[InterlockEntry], key: str, condition: Expression) -> None:
        devices = self._wiring.devices
        for point in sorted(condition.inputs):
            device = devices.get(point.partition(".")[0])
            if device is None or device.direction != "input":
                what = f"priority estop with {point!r}, which is no wired input"
                self._problems.add(entry.at(key), what, "use a contact, or priority life_safety")

    def _effects(self, place: Place, node: Node, wanted: MappingOf[str, Effect]) -> dict[str, Effect]:
        """The outputs' own values for what is written, such as 100 % of an analog one for on."""
        outs, effects = self._wiring.outputs, dict[str, Effect]()
        for name, effect in wanted.items():
            where = node.at(name) if isinstance(node, Mapping) else place
            if name in outs:
                effects[name] = self._effect(where, outs[name].policy, effect)
            elif name not in self._wiring.broken:
                self._problems.unknown(where, "output", name, outs)
        return effects

    def _effect(self, place: Place, policy: OutputPolicy, effect: Effect) -> Effect:
        if isinstance(effect, str):
            return effect
        try:
            return policy.value_of(effect)
        except ValueError as error:
            what, _, cure = str(error).partition(": ")
            self._problems.add(place, what, cure)
            return policy.off

    def _actions(self, entry: Entry[RuleEntry], then: ThenEntry, slot: Slot) -> tuple[Action, ...]:
        node = entry.node.items["then"]
        assert isinstance(node, Mapping)  # ThenEntry is built from mappings only
        wanted = self._effects(node.at("set"), node.items["set"], then.set) if then.set else {}
        values = {output: value for output, value in wanted.items() if not isinstance(value, str)}
        for output, value in values.items():
            self._check_conflict(_Claimed(entry.name, value, node.at("set")), output, slot)
        raised = (then.alarms,) if isinstance(then.alarms, str) else then.alarms
        raised = tuple(name for name in raised if name)
        for name in raised:
            if name not in self._alarms:
                self._problems.unknown(node.at("raise"), "alarm", name, self._alarms)
        actions: list[Action] = [SetOutput(output, value) for output, value in values.items()]
        actions += [RaiseAlarm(name) for name in raised]
        actions += [Log(then.log)] if then.log else []
        if not actions and not then.set:
            cure = "add set: {output: on}, raise: alarm or log: text"
            self._problems.add(entry.at("then"), f"rule {entry.name!r} does nothing", cure)
        return tuple(actions)

    def _check_conflict(self, claimed: _Claimed, output: str, slot: Slot) -> None:
        first = self._set_by.setdefault((output, slot), claimed)
        if first.value == claimed.value:
            return
        what = f"rules {first.rule!r} ({first.place}) and {claimed.rule!r} set {output!r} to different values"
        cure = f"both have priority {slot.name.lower()}: give one of them another"
        self._problems.add(claimed.place, what, cure)
