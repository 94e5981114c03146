"""Alarms: every transition of the oracle, delays, shelving, latching, bad input."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.event import EventClass
from gateway.core.role import Role, Verb
from rules.alarms import State, Trigger, transition
from rules.definition import Alarm, BadInput, RaiseAlarm, Rule
from tests.rules.stage import BAD, Stage, installer, operator, stage

ORACLE = list(csv.DictReader((Path(__file__).parent.parent / "oracles" / "alarm_transitions.csv").open()))
NOT_OFFERED = {"realarm_timer", "suppress", "unsuppress", "remove_from_service", "return_to_service", "restart"}
NOT_OFFERED_GUARDS = {"one_shot", "not latching and auto_ack"}
WARM = Alarm("warm", "air.temperature > 8 Cel", shelve_max_s=3600)


def offered(row: dict[str, str]) -> bool:
    return row["event"] not in NOT_OFFERED and row["guard"] not in NOT_OFFERED_GUARDS


@pytest.mark.parametrize(
    "row", [row for row in ORACLE if offered(row)], ids=lambda row: f"{row['from']}-{row['event']}"
)
def test_oracle(row: dict[str, str]) -> None:
    """Every transition of the oracle that has a trigger here leads to the oracle's state."""
    guard = row["guard"]
    latch = "latching" in guard and "not latching" not in guard
    on = row["event"] == "condition_on" or guard in ("condition on", "condition still on", "still active")
    for state in list(State) if row["from"] == "*" else [State(row["from"])]:
        for event in row["event"].split("|"):
            expected = State(row["to"])
            assert (transition(state, Trigger(event), latch, on) or state) is expected


def test_oracle_is_covered() -> None:
    """Each transition in the table stands in the oracle: nothing was invented."""
    known = {(row["from"], event) for row in ORACLE for event in row["event"].split("|")}
    for state in State:
        for trigger in Trigger:
            if transition(state, trigger, True, True) or transition(state, trigger, False, False):
                assert (state.value, trigger.value) in known or ("*", trigger.value) in known


def site_with(alarm: Alarm = WARM, *rules: Rule) -> Stage:
    site = stage(alarms=(alarm,), rules=rules)
    site.at(0, air__temperature=3.0, door__open=False)
    return site


def test_life_of_an_alarm() -> None:
    """On, acknowledged, off: UNACK, ACKED, NORM, each an event with its inputs and an edge to keep."""
    site = site_with()
    site.at(1, air__temperature=9.0)
    (event,) = site.events(EventClass.ALARM)
    assert (event.subject, event.what, event.data["before"]) == ("warm", "UNACK", "NORM")
    assert event.data["inputs"] == {"air.temperature": 9.0}
    assert event.data["reason"] == "alarm warm: air.temperature = 9 Cel > 8 Cel"
    assert site.decisions.persist
    assert not site.at(1.5, air__temperature=9.5).persist
    assert site.ask(2, operator(Verb.ACK, "warm")).ok
    assert site.alarm("warm") == "ACKED"
    assert "nothing to acknowledge" in site.ask(3, operator(Verb.ACK, "warm")).message
    site.at(4, air__temperature=3.0)
    assert site.alarm("warm") == "NORM"


def test_delays() -> None:
    """`for` and `off_delay` need the condition to stand that long without a break."""
    site = site_with(replace(WARM, for_s=60, off_delay_s=30))
    assert site.at(1, air__temperature=9.0).next_ns == 10_000_000_000
    site.at(50, air__temperature=3.0)
    assert site.at(51, air__temperature=9.0).next_ns == 111_000_000_000
    site.at(110.9)
    assert site.alarm("warm") == "NORM"
    site.at(111)
    assert site.alarm("warm") == "UNACK"
    site.at(120, air__temperature=3.0)
    site.at(149.9)
    assert site.alarm("warm") == "UNACK"
    site.at(150)
    assert site.alarm("warm") == "RTNUN"


def test_latched_alarm_needs_ack_and_reset() -> None:
    """A latching alarm stays after its cause is gone until it is both acknowledged and reset, in any order."""
    site = site_with(replace(WARM, latch=True))
    site.at(1, air__temperature=9.0)
    assert "still active" in site.ask(2, installer(Verb.RESET, "warm")).message
    site.at(3, air__temperature=3.0)
    assert site.alarm("warm") == "LUNACK"
    assert site.ask(4, installer(Verb.RESET, "warm")).ok
    assert site.alarm("warm") == "RTNUN"
    site.ask(5, operator(Verb.ACK, "warm"))
    assert site.alarm("warm") == "NORM"
    site.at(6, air__temperature=9.0)
    site.ask(7, operator(Verb.ACK, "warm"))
    site.at(8, air__temperature=3.0)
    assert site.alarm("warm") == "LACKED"
    assert site.ask(9, installer(Verb.RESET, "warm")).ok
    assert site.alarm("warm") == "NORM"
    assert not site.ask(10, installer(Verb.RESET, "warm")).ok


def test_shelving_is_limited_and_ends() -> None:
    """Shelving needs a time within its maximum and a reason; it ends by itself or on demand, by the condition."""
    site = site_with()
    site.at(1, air__temperature=9.0)
    assert "at most 3600" in site.ask(2, operator(Verb.SHELVE, "warm", for_s=3601, reason="defrost")).message
    assert not site.ask(2, operator(Verb.SHELVE, "warm", for_s=float("nan"), reason="x")).ok
    assert "reason" in site.ask(2, operator(Verb.SHELVE, "warm", for_s=60)).message
    assert "for_s" in site.ask(2, operator(Verb.SHELVE, "warm", reason="x")).message
    assert "not shelved" in site.ask(2, operator(Verb.UNSHELVE, "warm")).message
    assert site.ask(3, operator(Verb.SHELVE, "warm", for_s=60, reason="defrost")).ok
    assert site.alarm("warm") == "SHLVD"
    site.at(62.9)
    assert site.alarm("warm") == "SHLVD"
    site.at(63)
    assert site.alarm("warm") == "UNACK"
    site.ask(64, operator(Verb.SHELVE, "warm", for_s=60, reason="defrost"))
    site.at(65, air__temperature=3.0)
    assert site.alarm("warm") == "SHLVD"
    assert site.ask(66, operator(Verb.UNSHELVE, "warm")).ok
    assert site.alarm("warm") == "NORM"


@pytest.mark.parametrize(
    ("policy", "at_once", "later"), [("hold", "UNACK", "RTNUN"), ("off", "RTNUN", "RTNUN"), ("on", "UNACK", "UNACK")]
)
def test_bad_input(policy: str, at_once: str, later: str) -> None:
    """hold keeps the alarm for its time, off ends it, on keeps it."""
    site = site_with(replace(WARM, on_bad_input=BadInput(policy, 60)))  # type: ignore[arg-type] # a parameter's literal
    site.at(20, air__temperature=9.0)
    site.at(21, air__temperature=BAD)
    assert site.alarm("warm") == at_once
    site.at(81)
    assert site.alarm("warm") == later


def test_no_data_yet_is_no_alarm() -> None:
    """While the first data are awaited an alarm keeps quiet; afterwards policy `on` raises it."""
    site = stage(alarms=(replace(WARM, on_bad_input=BadInput("on")),))
    site.at(0)
    site.at(9.9)
    assert site.alarm("warm") == "NORM"
    site.at(10)
    assert site.alarm("warm") == "UNACK"


def test_rules_raise_alarms() -> None:
    """An alarm without a condition follows the rules that raise it: on with the first, off with the last."""
    rules = (
        Rule("door", "door.open", (RaiseAlarm("care"),)),
        Rule("warm", "air.temperature > 8 Cel", (RaiseAlarm("care"),)),
    )
    site = site_with(Alarm("care"), *rules)
    site.at(1, door__open=True)
    assert site.alarm("care") == "UNACK"
    (event,) = site.events(EventClass.ALARM)
    assert event.data["reason"] == "rule door: door.open = on"
    site.at(2, air__temperature=9.0)
    site.at(3, door__open=False)
    assert site.alarm("care") == "UNACK"
    site.at(4, air__temperature=3.0)
    assert site.alarm("care") == "RTNUN"


def test_language_of_the_text() -> None:
    """The view speaks the site's language and falls back to English, then to the name."""
    from rules.engine import Engine
    from tests.rules.stage import rulebook

    texts = (Alarm("a", text={"en": "Warm", "ko": "더움"}), Alarm("b", text={"en": "Warm"}), Alarm("c"))
    view = Engine(rulebook(alarms=texts), (), "ko").alarms_view()
    assert [alarm["text"] for alarm in view] == ["더움", "Warm", "c"]


def test_viewer_may_not_acknowledge() -> None:
    """A role that may not acknowledge is refused here too, and the refusal is audited."""
    site = site_with()
    site.at(1, air__temperature=9.0)
    reply = site.ask(2, replace(operator(Verb.ACK, "warm"), role=Role.VIEWER))
    assert not reply.ok
    (audit,) = site.events(EventClass.AUDIT)
    assert (audit.subject, audit.data["ok"], audit.data["role"]) == ("warm", False, "viewer")
