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
