"""Interlocks: force, latch, reset, bypass, and what a bad input does."""

from dataclasses import replace

import pytest

from gateway.core.event import EventClass
from gateway.core.output import Slot
from gateway.core.role import Role, Verb
from rules.definition import BadInput, Interlock, Rule, SetOutput
from tests.rules.stage import BAD, Stage, installer, operator, stage

LEAK = Interlock("leak", "trip", "gas.concentration > 20 %{LEL}", {"valve": False, "siren": True}, BadInput("trip"))
VENT = Interlock(
    "vent", "permissive", "fan.closed", {"valve": False}, BadInput("trip"), slot=Slot.PERMISSIVE, latch=False
)
OPEN = Rule("open", "on", (SetOutput("valve", True),))


def running(*interlocks: Interlock) -> Stage:
    """A site whose valve is open, with data on every point."""
    site = stage(interlocks=interlocks, rules=(OPEN,))
    site.at(0, gas__concentration=3.0, fan__closed=True, door__open=False, air__temperature=3.0, aux__closed=True)
    assert site.decisions.drive["valve"] is True
    return site


def test_trip_forces_at_once_and_tells_why() -> None:
    """A true condition forces every output in the same step, and the event tells the values."""
    site = running(LEAK)
    drive = site.at(1, gas__concentration=31.2).drive
    assert (drive["valve"], drive["siren"]) == (False, True)
    (event,) = site.events(EventClass.OUTPUT, "valve")
    assert event.what == "off"
    assert event.time_ns == 1_000_000_000
    assert event.data == {
        "value": False,
        "before": True,
        "slot": 2,
        "reason": "interlock leak: gas.concentration = 31.2 %{LEL} > 20 %{LEL}",
        "inputs": {"gas.concentration": 31.2},
        "overruled": {"13": True},
    }
    (trip,) = site.events(EventClass.OUTPUT, "leak")
    assert trip.what == "tripped"
    assert site.decisions.persist
    assert site.alarm("interlock/leak") == "UNACK"


@pytest.mark.parametrize(
    ("slot", "priority"),
    [(Slot.ESTOP, "urgent"), (Slot.LIFE_SAFETY, "urgent"), (Slot.EQUIPMENT_TRIP, "high"), (Slot.PERMISSIVE, "high")],
)
def test_alarm_priority(slot: Slot, priority: str) -> None:
    """The built-in alarm is urgent for slots 1 and 2, high for the others, and can't be shelved."""
    site = running(replace(LEAK, slot=slot))
    alarm = next(a for a in site.engine.alarms_view() if a["alarm"] == "interlock/leak")
    assert alarm["priority"] == priority
    reply = site.ask(1, operator(Verb.SHELVE, "interlock/leak", for_s=60, reason="noise"))
    assert not reply.ok
    assert "can't be shelved" in reply.message


def test_latch_holds_until_reset() -> None:
    """A latched trip stays after its cause is gone; reset works only then, by an installer, and tells why not."""
    site = running(LEAK)
    site.at(1, gas__concentration=31.2)
    refused = site.ask(2, installer(Verb.RESET, "leak"))
    assert not refused.ok
    assert "gas.concentration = 31.2 %{LEL}" in refused.message
    assert "cause still stands" in refused.message
    assert site.at(3, gas__concentration=3.0).drive["valve"] is False
    assert site.interlock("leak")["latched"] is True
    assert not site.ask(4, operator(Verb.RESET, "leak")).ok
    site.at(5, gas__concentration=BAD)
    assert "unusable" in site.ask(6, installer(Verb.RESET, "leak")).message
    site.at(7, gas__concentration=3.0)
    reply = site.ask(8, installer(Verb.RESET, "leak"))
    assert reply.ok
    assert site.decisions.drive == {"valve": True, "siren": False, "fan": False}
    assert not site.ask(9, installer(Verb.RESET, "leak")).ok


def test_no_latch_clears_by_itself() -> None:
    """Without a latch the outputs are free when the cause is gone, and reset is refused with the reason."""
    site = running(VENT)
    assert site.at(1, fan__closed=False).drive["valve"] is False
    assert "permissive missing: fan.closed = off" in site.output("valve")["reason"]
    assert "does not latch" in site.ask(2, installer(Verb.RESET, "vent")).message
    assert site.at(3, fan__closed=True).drive["valve"] is True
    assert site.alarm("interlock/vent") == "RTNUN"


def test_for_delays_the_trip() -> None:
    """With `for` the cause must stand that long without a break; the engine asks to be called then."""
    site = running(replace(LEAK, for_s=3))
    assert site.at(1, gas__concentration=30.0).next_ns == 4_000_000_000
    site.at(3, gas__concentration=3.0)
    assert site.at(3.5, gas__concentration=30.0).next_ns == 6_500_000_000
    assert site.at(6.4).drive["valve"] is True
    assert site.at(6.5).drive["valve"] is False


def test_start_forces_without_latching() -> None:
    """Before the first data a trip policy forces, does not latch, and raises no alarm."""
    site = stage(interlocks=(LEAK,), rules=(OPEN,))
    assert site.at(100).drive["valve"] is False
    assert site.interlock("leak")["tripped"] is False
    assert site.alarm("interlock/leak") == "NORM"
    assert site.at(100.5, gas__concentration=BAD).drive["valve"] is False
    assert site.at(101, gas__concentration=3.0).drive == {"valve": True, "siren": False, "fan": False}


def test_grace_ends_in_a_real_trip() -> None:
    """Ten seconds after the first step without data the trip is real and latches."""
    site = stage(interlocks=(LEAK,), rules=(OPEN,))
    site.at(100)
    assert site.at(101).next_ns == 110_000_000_000
    assert site.at(109.9).drive["valve"] is False
    assert not site.interlock("leak")["tripped"]
    site.at(110)
    assert site.interlock("leak")["latched"]
    site.at(111, gas__concentration=3.0)
    assert site.decisions.drive["valve"] is False


def test_bad_input_after_data_trips_even_in_the_grace() -> None:
    """Once a point has had data, losing it trips for real, also within the first ten seconds."""
    site = running(LEAK)
    assert site.at(1, gas__concentration=BAD).drive["valve"] is False
    assert site.interlock("leak")["latched"]
    assert "unknown (BadTimeout)" in site.interlock("leak")["reason"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True])
def test_a_value_that_cannot_be_is_unusable(value: float | bool) -> None:
    """NaN, infinity or a switch where a number belongs counts as bad input, whatever its quality says."""
    site = running(LEAK)
    assert site.at(1, gas__concentration=value).drive["valve"] is False


@pytest.mark.parametrize(("kind", "policy", "tripped"), [
    ("trip", "off", False), ("trip", "on", True), ("trip", "trip", True),
    ("permissive", "off", True), ("permissive", "on", False), ("permissive", "trip", True),
])  # fmt: skip
def test_policies(kind: str, policy: str, tripped: bool) -> None:
    """off and on stand for the condition's value, also of a permissive; trip always acts."""
    definition = LEAK if kind == "trip" else VENT
    site = running(replace(definition, on_bad_input=BadInput(policy)))  # type: ignore[arg-type] # a parameter's literal
    site.at(20, gas__concentration=BAD, fan__closed=BAD)
    assert site.interlock(definition.name)["tripped"] is tripped


def test_hold_keeps_the_last_verdict_then_trips() -> None:
    """hold(5 s): the last verdict stays that long, then the interlock trips."""
    site = running(replace(LEAK, on_bad_input=BadInput("hold", 5)))
    assert site.at(20, gas__concentration=BAD).next_ns == 25_000_000_000
    assert site.at(24.9).drive["valve"] is True
    assert site.at(25).drive["valve"] is False
    other = running(replace(LEAK, on_bad_input=BadInput("hold", 5)))
    other.at(20, gas__concentration=BAD)
    other.at(24, gas__concentration=3.0)
    assert other.at(30).drive["valve"] is True


def test_lower_slot_wins_then_the_safe_value() -> None:
    """Of two interlocks the lower slot wins; in one slot the safe value does."""
    force_on = Interlock("purge", "trip", "door.open", {"valve": True}, BadInput("off"), slot=Slot.ESTOP, latch=False)
    site = running(LEAK, force_on)
    assert site.at(1, gas__concentration=30.0, door__open=True).drive["valve"] is True
    same = running(LEAK, replace(force_on, slot=LEAK.slot))
    assert same.at(1, gas__concentration=30.0, door__open=True).drive["valve"] is False


def test_inhibit_start_lets_it_stop_but_not_start() -> None:
    """inhibit_start leaves a running output alone; once off it stays off until the interlock lets go."""
    inhibit = Interlock("level", "trip", "door.open", {"valve": "inhibit_start"}, BadInput("trip"), latch=False)
    site = stage(interlocks=(inhibit,), rules=(Rule("open", "aux.closed", (SetOutput("valve", True),)),))
    site.at(0, door__open=False, aux__closed=True)
    assert site.at(1, door__open=True).drive["valve"] is True
    assert site.at(2, aux__closed=False).drive["valve"] is False
    assert site.at(3, aux__closed=True).drive["valve"] is False
    assert site.at(4, door__open=False).drive["valve"] is True


def test_bypass_is_limited_announced_and_ends() -> None:
    """A bypass puts the effect out of force for its time, keeps an alarm on, and ends by itself or on demand."""
    site = running(replace(LEAK, bypass_max_s=600))
    site.at(1, gas__concentration=30.0)
    assert "needs a reason" in site.ask(2, installer(Verb.BYPASS, "leak", for_s=60)).message
    assert "at most 600" in site.ask(2, installer(Verb.BYPASS, "leak", for_s=601, reason="test")).message
    assert "for_s" in site.ask(2, installer(Verb.BYPASS, "leak", reason="test")).message
    assert not site.ask(2, operator(Verb.BYPASS, "leak", for_s=60, reason="test")).ok
    assert site.ask(2, installer(Verb.BYPASS, "leak", for_s=60, reason="calibration")).ok
    assert site.decisions.drive == {"valve": True, "siren": False, "fan": False}
    assert site.alarm("bypass/leak") == "UNACK"
    assert site.interlock("leak")["bypassed_until_ns"] == 62_000_000_000
    assert site.at(61.9).drive["valve"] is True
    assert site.at(62).drive["valve"] is False
    assert site.alarm("bypass/leak") == "RTNUN"
    assert "not bypassed" in site.ask(63, installer(Verb.BYPASS, "leak", for_s=0)).message
    site.ask(64, installer(Verb.BYPASS, "leak", for_s=60, reason="calibration"))
    assert site.ask(65, installer(Verb.BYPASS, "leak", for_s=0)).ok
    assert site.decisions.drive["valve"] is False


def test_forbidden_bypass() -> None:
    """An interlock whose bypass is forbidden can't be bypassed by anyone."""
    site = running(LEAK)
    site.at(1, gas__concentration=30.0)
    reply = site.ask(2, installer(Verb.BYPASS, "leak", for_s=1, reason="please"))
    assert not reply.ok
    assert "forbidden" in reply.message
    assert site.decisions.drive["valve"] is False


def test_bypass_does_not_clear_a_latch() -> None:
    """A trip during a bypass latches: when the bypass ends the outputs are forced although the cause is gone."""
    site = running(replace(LEAK, bypass_max_s=600))
    site.ask(1, installer(Verb.BYPASS, "leak", for_s=60, reason="calibration"))
    assert site.at(2, gas__concentration=30.0).drive["valve"] is True
    site.at(3, gas__concentration=3.0)
    assert site.at(61).drive["valve"] is False


def test_roles_are_checked_here_too() -> None:
    """The recorder may neither reset nor bypass, whatever the server let through."""
    site = running(replace(LEAK, bypass_max_s=600))
    for verb in (Verb.RESET, Verb.BYPASS):
        reply = site.ask(1, replace(installer(verb, "leak", for_s=1, reason="x"), role=Role.RECORDER))
        assert not reply.ok
        assert "role recorder may not" in reply.message


def test_forced_at_start_stays_forced_through_the_delay() -> None:
    """Without data the outputs stay forced from the first step on, also while `for` runs after the grace."""
    site = stage(interlocks=(replace(LEAK, for_s=5),), rules=(OPEN,))
    site.at(100)
    for now_s in (109, 110, 112, 114.9, 115, 116):
        assert site.at(now_s).drive["valve"] is False, now_s
    assert site.interlock("leak")["latched"]


def test_first_data_that_ask_do_not_let_go() -> None:
    """The first data show the cause: forced all along; data that show none let go at once."""
    site = stage(interlocks=(replace(LEAK, for_s=5),), rules=(OPEN,))
    site.at(100)
    assert site.at(101, gas__concentration=30.0).drive["valve"] is False
    assert not site.interlock("leak")["tripped"]
    assert site.at(103, gas__concentration=3.0).drive["valve"] is True
