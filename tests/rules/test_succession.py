"""A new configuration takes over from a running engine without an edge on an output."""

from dataclasses import replace
from typing import Any

from gateway.core.event import EventClass
from gateway.core.output import OutputPolicy
from gateway.core.role import Verb
from rules.definition import Alarm, BadInput, Interlock, Rule, Rulebook, SetOutput
from rules.engine import Engine
from tests.rules.stage import BAD, Stage, installer, operator, rulebook

LEAK = Interlock("leak", "trip", "gas.concentration > 20 %{LEL}", {"valve": False}, BadInput("trip"))
BOOK = rulebook(
    interlocks=(LEAK,),
    alarms=(Alarm("open", "door.open"),),
    rules=(
        Rule("cool", "air.temperature > 4 Cel", (SetOutput("fan", True),), until="air.temperature < 2 Cel"),
        Rule("gas", "fan.closed", (SetOutput("valve", True),)),
    ),
)
OUTPUTS = (OutputPolicy("valve", read_back="aux.closed"), OutputPolicy("fan", min_off_s=100, min_on_s=60))
CALM: dict[str, Any] = {"gas__concentration": 3.0, "fan__closed": True, "air__temperature": 5.0, "door__open": True}


def running() -> Stage:
    site = Stage(Engine(BOOK, OUTPUTS))
    site.at(0, **CALM)
    site.at(100)
    site.at(120, air__temperature=3.0, aux__closed=True)
    assert site.decisions.drive == {"valve": True, "fan": True}
    return site


def successor(site: Stage, now_s: float, book: Rulebook = BOOK) -> Stage:
    new = Stage(Engine(book, OUTPUTS))
    new.engine.succeed(site.engine, round(now_s * 1e9))
    return new


def test_nothing_moves() -> None:
    """The same configuration again: no output and no alarm changes, no event, minimum times run on."""
    site = running()
    since_ns = site.output("fan")["since_ns"]
    new = successor(site, 130)
    assert new.at(130).drive == {"valve": True, "fan": True}
    assert not new.events(EventClass.OUTPUT)
    assert not new.events(EventClass.ALARM)
    assert new.output("fan")["since_ns"] == since_ns
    assert new.alarm("open") == "UNACK"
    new.at(140, air__temperature=1.0)
    assert (since_ns, new.output("fan")["slot"]) == (100_000_000_000, 6)
    assert new.at(160).drive["fan"] is False
    assert new.at(170, air__temperature=5.0).drive["fan"] is False


def test_a_latch_and_a_persons_claim_go_on() -> None:
    """A latched trip and a manual claim act in the very first step of the new engine."""
    site = running()
    site.at(125, operator(Verb.SET, "fan", True, 600), gas__concentration=30.0)
    site.at(126, gas__concentration=3.0)
    new = successor(site, 130)
    assert new.at(130).drive == {"valve": False, "fan": True}
    assert new.output("fan")["slot"] == 8
    assert new.ask(131, installer(Verb.RESET, "leak")).ok


def test_a_stricter_limit_acts_at_once() -> None:
    """A changed condition is judged on the values that are known, in the first step."""
    site = running()
    stricter = replace(BOOK, interlocks=(replace(LEAK, condition="gas.concentration > 2 %{LEL}"),))
    new = successor(site, 130, stricter)
    assert new.at(130).drive["valve"] is False
    assert new.interlock("leak")["latched"]


def test_a_removed_latch_is_told() -> None:
    """A latched interlock that the new configuration no longer has is told of, not silently forgotten."""
    site = running()
    site.at(125, gas__concentration=30.0)
    new = successor(site, 130, replace(BOOK, interlocks=()))
    new.at(130)
    parts = {event.data["part"] for event in new.events(EventClass.SYSTEM)}
    assert parts == {"interlocks/leak", "alarms/interlock/leak"}


def test_a_bad_input_stays_bad() -> None:
    """An input that is bad when the configuration changes holds its output safe from the first step on."""
    site = running()
    site.at(125, gas__concentration=BAD)
    new = successor(site, 130)
    assert new.at(130).drive["valve"] is False
    assert new.interlock("leak")["latched"]


def test_a_mismatch_goes_on() -> None:
    """A standing read-back mismatch stays raised and clears when the point agrees again."""
    site = running()
    site.at(125, aux__closed=False)
    site.at(128)
    new = successor(site, 130)
    new.at(130)
    assert new.alarm("mismatch/valve") == "UNACK"
    new.at(131, aux__closed=True)
    assert new.alarm("mismatch/valve") == "RTNUN"


def test_smaller_limits_cut_short_and_lose_no_latch() -> None:
    """A bypass or a shelving longer than now allowed ends sooner; the trip and the alarm under it stay."""
    book = rulebook(interlocks=(replace(LEAK, bypass_max_s=600),), alarms=(Alarm("open", "door.open", latch=True),))
    site = Stage(Engine(book, OUTPUTS))
    site.at(0, **CALM)
    site.at(1, installer(Verb.BYPASS, "leak", for_s=600, reason="test"), gas__concentration=30.0)
    site.at(2, operator(Verb.SHELVE, "open", for_s=600, reason="repair"), gas__concentration=3.0)
    for limit_s, ends_s in ((60, 62), (0, 2)):
        stricter = rulebook(
            interlocks=(replace(LEAK, bypass_max_s=limit_s),),
            alarms=(Alarm("open", "door.open", latch=True, shelve_max_s=limit_s),),
        )
        new = successor(site, 2, stricter)
        new.at(2)
        assert new.interlock("leak")["latched"]
        assert (new.interlock("leak")["bypassed_until_ns"] is not None) == (limit_s > 0)
        assert new.alarm("open") == ("SHLVD" if limit_s else "UNACK")
        new.at(ends_s)
        assert new.interlock("leak")["bypassed_until_ns"] is None
        assert new.alarm("open") == "UNACK"


def test_a_held_verdict_goes_on() -> None:
    """A condition that holds its last verdict over a bad input goes on holding it, for what is left of the time."""
    held = replace(LEAK, on_bad_input=BadInput("hold", 60))
    book = rulebook(interlocks=(held,), rules=BOOK.rules)
    site = Stage(Engine(book, OUTPUTS))
    site.at(0, **CALM)
    assert site.at(10, gas__concentration=BAD).drive["valve"] is True
    new = successor(site, 40, book)
    assert new.at(40).drive["valve"] is True
    assert new.at(69.9).drive["valve"] is True
    assert new.at(70).drive["valve"] is False


def test_forced_for_want_of_data_stays_forced() -> None:
    """Outputs forced since the start stay so over a change of configuration until the data speak."""
    book = rulebook(interlocks=(replace(LEAK, for_s=20),), rules=BOOK.rules)
    site = Stage(Engine(book, OUTPUTS))
    site.at(0, fan__closed=True)
    assert site.at(1, gas__concentration=30.0).drive["valve"] is False
    new = successor(site, 2, book)
    assert new.at(2).drive["valve"] is False
    assert new.at(3, gas__concentration=3.0).drive["valve"] is True
