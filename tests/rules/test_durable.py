"""What survives a restart, and what damaged or foreign state does (nothing)."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.event import EventClass
from gateway.core.output import OutputPolicy
from gateway.core.role import Verb
from rules.definition import Alarm, BadInput, Interlock, RaiseAlarm, Rule, Rulebook, SetOutput
from rules.engine import Engine
from tests.rules.stage import Stage, installer, operator, rulebook

BOOK = rulebook(
    interlocks=(
        Interlock(
            "leak", "trip", "gas.concentration > 20 %{LEL}", {"valve": False}, BadInput("trip"), bypass_max_s=600
        ),
        Interlock("slow", "trip", "aux.closed", {"valve": False}, BadInput("trip"), for_s=60),
    ),
    alarms=(
        Alarm("warm", "air.temperature > 8 Cel", for_s=900, latch=True),
        Alarm("ajar"),
        Alarm("open", "door.open"),
    ),
    rules=(
        Rule("cool", "air.temperature > 4 Cel", (SetOutput("fan", True),), until="air.temperature < 2 Cel"),
        Rule("door", "door.open", (RaiseAlarm("ajar"), SetOutput("valve", True)), for_s=10, off_delay_s=100),
    ),
)
OUTPUTS = (OutputPolicy("valve"), OutputPolicy("fan", max_on_s=5000))
CALM: dict[str, Any] = {"gas__concentration": 3.0, "aux__closed": False, "air__temperature": 3.0, "door__open": False}


def running() -> Stage:
    site = Stage(Engine(BOOK, OUTPUTS))
    site.at(0, **CALM)
    return site


def restarted(site: Stage, now_s: float) -> Stage:
    state = json.loads(json.dumps(site.engine.state(), allow_nan=False))
    new = Stage(Engine(BOOK, OUTPUTS))
    new.engine.restore(state, round(now_s * 1e9))
    return new


def test_a_calm_site_saves_nothing() -> None:
    """Only what differs from the resting state is saved."""
    assert running().engine.state() == {"version": 1, "interlocks": {}, "alarms": {}, "rules": {}, "outputs": {}}


def test_a_latch_survives() -> None:
    """After a restart a latched trip forces at once, with its reason, and still needs the reset."""
    site = running()
    site.at(1, gas__concentration=30.0)
    new = restarted(site, 1000)
    assert new.at(1000, **CALM, fan__closed=True).drive["valve"] is False
    assert new.interlock("leak")["latched"]
    assert new.interlock("leak")["reason"] == "interlock leak: gas.concentration = 30 %{LEL} > 20 %{LEL}"
    assert new.alarm("interlock/leak") == "UNACK"
    assert not new.events(EventClass.ALARM)
    assert new.ask(1001, installer(Verb.RESET, "leak")).ok


def test_timers_pause() -> None:
    """A running `for` keeps what had passed; the time of the outage does not count."""
    site = running()
    site.at(100, aux__closed=True, air__temperature=9.0, door__open=True)
    site.at(105)
    new = restarted(site, 7000)
    new.at(7000, **{**CALM, "aux__closed": True, "air__temperature": 9.0, "door__open": True})
    assert new.at(7004.9).drive["valve"] is False
    assert new.at(7005).drive["valve"] is True
    new.at(7054.9)
    assert not new.interlock("slow")["tripped"]
    new.at(7055)
    assert new.interlock("slow")["tripped"]
    new.at(7894.9)
    assert new.alarm("warm") == "NORM"
    new.at(7895)
    assert new.alarm("warm") == "UNACK"


def test_a_rule_in_its_band_stays_active_without_acting_blindly() -> None:
    """An active thermostat goes on after a restart, but only once its input has data."""
    site = running()
    site.at(1, air__temperature=5.0)
    site.at(2, air__temperature=3.0)
    new = restarted(site, 1000)
    assert new.at(1000).drive["fan"] is False
    assert new.at(1001, air__temperature=3.0).drive["fan"] is True
    assert new.at(1002, air__temperature=1.9).drive["fan"] is False


def test_alarms_survive_silently() -> None:
    """States, shelving and raised conditions are as before; nothing is announced again."""
    site = running()
    site.at(1, door__open=True)
    site.at(11)
    site.at(12, operator(Verb.ACK, "ajar"))
    site.at(13, operator(Verb.SHELVE, "open", for_s=100, reason="delivery"))
    site.at(33)
    new = restarted(site, 1000)
    new.at(1000)
    new.at(1001, **{**CALM, "door__open": True})
    assert not new.events(EventClass.ALARM)
    assert (new.alarm("ajar"), new.alarm("open")) == ("ACKED", "SHLVD")
    new.at(1079.9)
    assert new.alarm("open") == "SHLVD"
    new.at(1080)
    assert new.alarm("open") == "UNACK"


def test_manual_slots_and_bypasses_keep_their_rest() -> None:
    """A person's claim and a bypass go on for what was left of them."""
    site = running()
    site.at(0, operator(Verb.SET, "fan", True, 600), installer(Verb.BYPASS, "leak", for_s=300, reason="calibration"))
    site.at(100)
    new = restarted(site, 5000)
    assert new.at(5000, **CALM).drive["fan"] is True
    assert new.output("fan")["slot"] == 8
    assert new.alarm("bypass/leak") == "UNACK"
    assert new.interlock("leak")["bypassed_until_ns"] == 5200_000_000_000
    new.at(5200)
    assert new.interlock("leak")["bypassed_until_ns"] is None
    assert new.at(5499.9).drive["fan"] is True
    assert new.at(5500).drive["fan"] is False


def test_minimum_off_begins_again() -> None:
    """Minimum-off runs in full after every start, also when a state was restored."""
    policies = (OutputPolicy("fan", min_off_s=180), OutputPolicy("valve"))
    site = Stage(Engine(BOOK, policies))
    site.at(0, **CALM)
    assert site.at(200, operator(Verb.SET, "fan", True, 6000)).drive["fan"] is True
    new = Stage(Engine(BOOK, policies))
    new.engine.restore(site.engine.state(), 300_000_000_000)
    assert new.at(300).drive["fan"] is False
    assert new.at(479.9).drive["fan"] is False
    assert new.at(480).drive["fan"] is True


def test_shelving_of_unknown_length_ends() -> None:
    """A shelved alarm whose rest is not known is unshelved, by its condition."""
    new = Stage(Engine(BOOK, OUTPUTS))
    state = {
        "version": 1,
        "alarms": {"open": {"state": "SHLVD", "active": True, "on": True}, "ajar": {"state": "SHLVD"}},
    }
    new.engine.restore(state, 0)
    assert (new.alarm("open"), new.alarm("ajar")) == ("UNACK", "NORM")


@pytest.mark.parametrize(
    ("state", "part"),
    [
        ({}, "state"),
        ({"version": 2}, "state"),
        ([], "state"),
        ({"version": 1, "rules": 7}, "rules"),
        ({"version": 1, "interlocks": {"gone": {"tripped": True}}}, "interlocks/gone"),
        ({"version": 1, "interlocks": {"leak": {"tripped": "yes"}}}, "interlocks/leak"),
        ({"version": 1, "interlocks": {"leak": {"bypass_ns": 86_401_000_000_000}}}, "interlocks/leak"),
        ({"version": 1, "alarms": {"open": {"state": "MAYBE"}}}, "alarms/open"),
        ({"version": 1, "alarms": {"open": {"state": ["NORM"]}}}, "alarms/open"),
        ({"version": 1, "alarms": {"open": {"delay_ns": -1}}}, "alarms/open"),
        ({"version": 1, "rules": {"cool": {"delay_ns": 1.5}}}, "rules/cool"),
        ({"version": 1, "outputs": {"fan": {"manual": {"2": {"value": True, "left_ns": 5}}}}}, "outputs/fan"),
        ({"version": 1, "outputs": {"fan": {"manual": {"8": {"value": True}}}}}, "outputs/fan"),
        ({"version": 1, "outputs": {"fan": {"manual": {"8": {"left_ns": 5}}}}}, "outputs/fan"),
    ],
)
def test_damaged_state_is_told_and_ignored(state: Any, part: str) -> None:
    """A part that is unknown or damaged is left out with a SYSTEM event; the site runs as if it were not there."""
    new = Stage(Engine(BOOK, OUTPUTS))
    new.engine.restore(state, 0)
    new.at(1, **CALM)
    assert [event.data["part"] for event in new.events(EventClass.SYSTEM, "state")] == [part]
    assert new.engine.state() == running().engine.state()


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["interlocks", "alarms", "rules", "outputs"]),
    st.sampled_from(["leak", "open", "cool", "fan"]),
    st.sampled_from(
        ["tripped", "reason", "for_ns", "bypass_ns", "state", "active", "on", "delay_ns", "manual", "max_on"]
    ),
    json_values,
)
def test_no_state_crashes(group: str, name: str, key: str, value: Any) -> None:
    """Whatever stands in the file, the engine starts and steps."""
    new = Stage(Engine(BOOK, OUTPUTS))
    new.engine.restore({"version": 1, group: {name: {key: value}}}, 0)
    new.at(1, **CALM)
    new.at(2, gas__concentration=30.0)
    assert new.decisions.drive["valve"] is False


moves = st.lists(
    st.tuples(
        st.sampled_from([0.5, 3.0, 70.0, 400.0]),
        st.fixed_dictionaries(
            {},
            optional={
                "gas__concentration": st.sampled_from([3.0, 30.0]),
                "aux__closed": st.booleans(),
                "air__temperature": st.sampled_from([1.0, 3.0, 5.0, 9.0]),
                "door__open": st.booleans(),
            },
        ),
        st.sampled_from(
            [
                None,
                operator(Verb.SET, "fan", True, 500),
                operator(Verb.ACK, "open"),
                operator(Verb.SHELVE, "warm", for_s=300, reason="x"),
                installer(Verb.RESET, "leak"),
                installer(Verb.BYPASS, "leak", for_s=300, reason="x"),
            ]
        ),
    ),
    max_size=8,
)


def play(site: Stage, start_s: float, script: list[Any], known: dict[str, Any]) -> float:
    now_s = start_s
    for wait_s, values, command in script:
        now_s += wait_s
        site.at(now_s, *([command] if command else []), **values)
        known.update(values)
    return now_s


@settings(max_examples=60, deadline=None)
@given(moves, moves)
def test_round_trip_goes_on_alike(before: list[Any], after: list[Any]) -> None:
    """An engine that was saved, restored and given its inputs again decides like the one that ran on."""
    book = with_off_delays()
    site = Stage(Engine(book, (OutputPolicy("valve"), OutputPolicy("fan"))))
    known: dict[str, Any] = dict(CALM)
    site.at(0, **CALM)
    now_s = play(site, 0, before, known)
    site.at(now_s)
    new = Stage(Engine(book, (OutputPolicy("valve"), OutputPolicy("fan"))))
    new.engine.restore(json.loads(json.dumps(site.engine.state())), round(now_s * 1e9))
    new.at(now_s, **known)
    assert new.engine.state() == site.engine.state()
    assert new.decisions.drive == site.decisions.drive
    play(site, now_s, after, {})
    play(new, now_s, after, {})
    assert new.decisions.drive == site.decisions.drive
    assert [a["state"] for a in new.engine.alarms_view()] == [a["state"] for a in site.engine.alarms_view()]
    assert new.engine.state() == site.engine.state()


def with_off_delays() -> Rulebook:
    return replace(BOOK, alarms=tuple(replace(alarm, off_delay_s=5) for alarm in BOOK.alarms))


def test_a_rule_that_ended_meanwhile_lowers_its_alarm() -> None:
    """What an active rule raised before the restart does not outlive the rule."""
    book = rulebook(alarms=(Alarm("ajar"),), rules=(Rule("door", "door.open", (RaiseAlarm("ajar"),)),))
    site = Stage(Engine(book, OUTPUTS))
    site.at(0, door__open=True)
    assert site.alarm("ajar") == "UNACK"
    new = Stage(Engine(book, OUTPUTS))
    new.engine.restore(site.engine.state(), 0)
    new.at(1)
    assert new.alarm("ajar") == "UNACK"
    new.at(2, door__open=False)
    assert new.alarm("ajar") == "RTNUN"
