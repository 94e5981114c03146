"""The engine as a whole: deterministic, safe in every step, readable from outside."""

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.command import Command
from gateway.core.output import OutputPolicy, Slot
from gateway.core.quality import Quality, Reason
from gateway.core.reading import Reading
from gateway.core.role import Role, Verb
from rules.alarms import AlarmState
from rules.definition import Alarm, BadInput, Interlock, RaiseAlarm, Rule, SetOutput
from rules.engine import Engine
from tests.rules.stage import BAD, POINTS, Stage, rulebook, stage

BOOK = rulebook(
    interlocks=(
        Interlock("leak", "trip", "gas.concentration > 20 %{LEL}", {"valve": False, "siren": True}, BadInput("trip")),
        Interlock(
            "vent", "permissive", "fan.closed", {"valve": False}, BadInput("trip"), slot=Slot.PERMISSIVE, latch=False
        ),
    ),
    alarms=(Alarm("warm", "air.temperature > 8 Cel", for_s=5), Alarm("ajar")),
    rules=(
        Rule("cool", "air.temperature > 4 Cel", (SetOutput("fan", True),), until="air.temperature < 2 Cel"),
        Rule("gas", "fan.closed", (SetOutput("valve", True),), for_s=1),
        Rule("door", "door.open", (RaiseAlarm("ajar"), SetOutput("fan", False)), slot=Slot.RULE_HIGH, off_delay_s=3),
    ),
)
OUTPUTS = (OutputPolicy("valve"), OutputPolicy("siren"), OutputPolicy("fan", min_on_s=6, min_off_s=9, max_on_s=40))

values = st.fixed_dictionaries(
    {},
    optional={
        "gas__concentration": st.sampled_from([3.0, 31.2, BAD]),
        "fan__closed": st.sampled_from([True, False, BAD]),
        "air__temperature": st.sampled_from([1.0, 3.0, 5.0, 9.0, BAD]),
        "door__open": st.sampled_from([True, False, BAD]),
    },
)
commands = st.builds(
    Command,
    verb=st.sampled_from(Verb),
    target=st.sampled_from(["fan", "valve", "leak", "vent", "warm", "ajar", "interlock/leak", "nobody"]),
    role=st.sampled_from(Role),
    who=st.just("someone"),
    value=st.sampled_from([True, False, None, 0.5]),
    for_s=st.sampled_from([None, 0.0, 2.0, 30.0, 1e9]),
    reason=st.sampled_from(["", "test"]),
)
scripts = st.lists(
    st.tuples(st.sampled_from([0.01, 0.2, 1.0, 4.0, 11.0]), values, st.lists(commands, max_size=2)), max_size=25
)


def fresh() -> Stage:
    return Stage(Engine(BOOK, OUTPUTS))


@settings(max_examples=120, deadline=None)
@given(scripts)
def test_safety_holds_in_every_step(script: list[Any]) -> None:
    """After every step: a standing cause has its effect, min-off is kept, each command is answered, time goes on."""
    site, now_s = fresh(), 0.0
    known: dict[str, Any] = {}
    off_since: float | None = 0.0
    for wait_s, changes, asked in script:
        now_s += wait_s
        decisions = site.at(now_s, *asked, **changes)
        known.update(changes)
        drive = decisions.drive
        gas, proved = known.get("gas__concentration", BAD), known.get("fan__closed", BAD)
        if gas is BAD or gas > 20:
            assert (drive["valve"], drive["siren"]) == (False, True)
        if proved is not True:
            assert drive["valve"] is False
        if drive["fan"] and off_since is not None:
            assert now_s - off_since >= 9 - 1e-6
        off_since = None if drive["fan"] else now_s if off_since is None else off_since
        assert len(decisions.replies) == len(asked)
        assert decisions.next_ns is None or decisions.next_ns > round(now_s * 1e9)
        for output in site.engine.outputs_view():
            assert output["value"] is drive[output["output"]]


@settings(max_examples=60, deadline=None)
@given(scripts)
def test_same_inputs_same_decisions(script: list[Any]) -> None:
    """Two engines given the same steps give the same decisions, events included."""
    one, other, now_s = fresh(), fresh(), 0.0
    for wait_s, changes, asked in script:
        now_s += wait_s
        assert one.at(now_s, *asked, **changes) == other.at(now_s, *asked, **changes)


@settings(max_examples=60, deadline=None)
@given(scripts)
def test_calling_at_next_ns_is_enough(script: list[Any]) -> None:
    """An engine stepped only when asked to ends like one that is stepped ten times as often."""
    lazy, eager, now_s = fresh(), fresh(), 0.0
    assert lazy.at(0) == eager.at(0)
    for wait_s, changes, _ in script:
        for engine, pace in ((lazy, None), (eager, wait_s / 10)):
            _run(engine, now_s, now_s + wait_s, pace)
        now_s += wait_s
        assert lazy.at(now_s, **changes).drive == eager.at(now_s, **changes).drive
    assert lazy.engine.state() == eager.engine.state()


def _run(site: Stage, start_s: float, end_s: float, pace_s: float | None) -> None:
    """Step where next_ns asks for it, and at the pace besides."""
    while True:
        next_s = site.decisions.next_ns / 1e9 if site.decisions.next_ns else end_s
        if pace_s is not None:
            next_s = min(next_s, start_s + pace_s)
        if next_s >= end_s:
            return
        start_s = next_s
        site.at(next_s)


def test_decisions_do_not_depend_on_the_hash_seed() -> None:
    """The order of events is the same in processes with different hash seeds."""
    code = (
        "from tests.rules.test_engine import fresh\n"
        "site = fresh()\n"
        "print(site.at(0, air__temperature=9.0, door__open=True, fan__closed=True, gas__concentration=30.0))\n"
        "print(site.at(20, air__temperature=1.0, door__open=False, fan__closed=False), site.engine.state())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_points_begin_without_data() -> None:
    """Every declared point and every output's point is there from the start; a new point joins without harm."""
    site = stage()
    points = site.engine.points
    assert set(points) == {*POINTS, "valve.on", "siren.on", "fan.on"}
    assert all(p.reason is Reason.BAD_WAITING_FOR_INITIAL_DATA and p.value is None for p in points.values())
    site.engine.step(5, [Reading("gateway/field.connected", True, Reason.GOOD, 5)])
    assert site.engine.points["gateway/field.connected"].value is True
    assert "gateway/field.connected" not in points
    assert site.engine.points["fan.on"] == Reading("fan.on", False, Reason.GOOD, 5)


def test_uncertain_values_count() -> None:
    """An Uncertain reading is used like a Good one; a Bad one never, even if it carries a value."""
    site = stage(interlocks=BOOK.interlocks[:1])
    site.at(0, gas__concentration=3.0)
    uncertain = Reason.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
    assert uncertain.quality is Quality.UNCERTAIN
    step = site.engine.step(1, [Reading("gas.concentration", 4.0, uncertain, 1)])
    assert step.drive["siren"] is False
    step = site.engine.step(2, [Reading("gas.concentration", 4.0, Reason.BAD_SENSOR_FAILURE, 2)])
    assert step.drive["siren"] is True


def test_several_readings_of_a_point_in_one_step() -> None:
    """The last reading of a point in a step counts."""
    site = fresh()
    readings = [Reading("gas.concentration", value, Reason.GOOD, 0) for value in (31.0, 3.0)]
    assert site.engine.step(0, readings).drive["siren"] is False


def test_a_step_always_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not settled after the last round goes on in the next step, which is asked for soon."""
    monkeypatch.setattr("rules.engine.ROUNDS_MAX", 2)
    names = [f"o{n}" for n in range(4)]
    chain = [Rule("r0", "door.open", (SetOutput("o0", True),))]
    chain += [Rule(f"r{n}", f"o{n - 1}.on", (SetOutput(f"o{n}", True),)) for n in range(1, 4)]
    site = stage(rules=tuple(chain), outputs=tuple(map(OutputPolicy, names)))
    site.at(0, door__open=False)
    now_s, steps = 20.0, 1
    site.at(now_s, door__open=True)
    while not site.decisions.drive["o3"]:
        assert site.decisions.next_ns is not None
        now_s, steps = site.decisions.next_ns / 1e9, steps + 1
        site.at(now_s)
    assert 1 < steps <= 6
    assert now_s <= 21


def test_time_never_goes_back() -> None:
    """A step with an earlier time is taken as now."""
    site = fresh()
    site.at(100, gas__concentration=3.0, fan__closed=True)
    site.at(50, gas__concentration=31.0)
    assert all(event.time_ns == 100_000_000_000 for event in site.decisions.events)


def test_events_are_json_ready() -> None:
    """Everything an event carries can be encoded as strict JSON."""
    import json

    site = fresh()
    site.at(0, Command(Verb.SET, "fan", Role.OPERATOR, "kim", float("nan"), float("inf")))
    site.at(1, gas__concentration=31.0, fan__closed=True, air__temperature=BAD)
    site.at(2, gas__concentration=BAD)
    json.dumps([event.data for event in site.decisions.events], allow_nan=False)
    again = fresh().at(0, Command(Verb.SET, "fan", Role.OPERATOR, "kim", float("nan"), float("inf")))
    json.dumps([event.data for event in again.events], allow_nan=False)
    json.dumps([site.engine.outputs_view(), site.engine.alarms_view(), site.engine.interlocks_view()], allow_nan=False)


def test_a_fault_in_a_step_leaves_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """When one alarm's fault ends a step, the next step still carries the trip of that step to its output."""
    leak = Interlock("leak", "trip", "gas.concentration > 20 %{LEL}", {"valve": False}, BadInput("trip"))
    site = stage(interlocks=(leak,), rules=(Rule("open", "door.open", (SetOutput("valve", True),)),))
    assert site.at(0, gas__concentration=3.0, door__open=True).drive["valve"] is True
    with monkeypatch.context() as broken:
        broken.setattr(AlarmState, "update", lambda _self, _board: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            site.at(1, gas__concentration=30.0)
    assert site.at(2).drive["valve"] is False
    assert site.alarm("interlock/leak") == "UNACK"
