"""Rules: when, until, delays, logs, and what a bad input does."""

from dataclasses import replace

import pytest

from gateway.core.event import EventClass
from gateway.core.output import Slot
from rules.definition import BadInput, Log, Rule, SetOutput
from tests.rules.stage import BAD, Stage, stage

COOL = Rule(
    "cool", "air.temperature > 4 Cel", (SetOutput("fan", True), Log("cooling")), until="air.temperature < 2 Cel"
)
DOOR = Rule("door", "door.open", (SetOutput("fan", True),), for_s=2, off_delay_s=30)


def site_with(*rules: Rule) -> Stage:
    site = stage(rules=rules)
    site.at(0, air__temperature=3.0, door__open=False, fan__closed=False)
    return site


def test_hysteresis() -> None:
    """With `until` the rule keeps acting between its two limits, and starts only at the upper one."""
    site = site_with(COOL)
    for second, (celsius, on) in enumerate([(4.1, True), (3.0, True), (1.9, False), (3.0, False), (4.1, True)], 1):
        assert site.at(second, air__temperature=celsius).drive["fan"] is on


def test_until_wins_over_the_start() -> None:
    """While `until` is true the rule does not start, however true its condition; it does when `until` ends."""
    site = site_with(Rule("both", "fan.closed", (SetOutput("fan", True),), until="door.open"))
    site.at(1, fan__closed=True, door__open=True)
    assert not site.events(EventClass.OUTPUT)
    assert site.at(2, door__open=False).drive["fan"] is True
    assert site.at(3, door__open=True).drive["fan"] is False


def test_log_once_with_inputs() -> None:
    """A log action is one SYSTEM event when the rule becomes active."""
    site = site_with(COOL)
    site.at(1, air__temperature=5.0)
    (event,) = site.events(EventClass.SYSTEM)
    assert (event.subject, event.data["text"], event.data["inputs"]) == ("cool", "cooling", {"air.temperature": 5.0})
    site.at(2, air__temperature=6.0)
    assert not site.events(EventClass.SYSTEM)


def test_delays() -> None:
    """`for` and `off_delay` are counted without a break, and both have a deadline."""
    site = site_with(DOOR)
    assert site.at(1, door__open=True).next_ns == 3_000_000_000
    assert site.at(2.9).drive["fan"] is False
    assert site.at(3).drive["fan"] is True
    assert site.at(11, door__open=False).next_ns == 41_000_000_000
    site.at(40, door__open=True)
    assert site.at(50, door__open=False).next_ns == 80_000_000_000
    assert site.at(79.9).drive["fan"] is True
    assert site.at(80).drive["fan"] is False


def test_slot() -> None:
    """A rule writes its own slot, so a rule in a stronger slot wins."""
    off = Rule("off", "fan.closed", (SetOutput("fan", False),), slot=Slot.RULE_HIGH)
    site = site_with(COOL, off)
    site.at(1, air__temperature=5.0)
    assert site.at(2, fan__closed=True).drive["fan"] is False
    assert site.output("fan")["slot"] == 12


@pytest.mark.parametrize(
    ("policy", "at_once", "later"),
    [("off", False, False), ("on", True, True), ("hold", True, False), ("trip", False, False)],
)
def test_bad_input_while_active(policy: str, at_once: bool, later: bool) -> None:
    """off ends an active rule, on keeps it, hold keeps it for its time."""
    site = site_with(replace(COOL, on_bad_input=BadInput(policy, 60)))  # type: ignore[arg-type] # a parameter's literal
    site.at(20, air__temperature=5.0)
    assert site.at(21, air__temperature=BAD).drive["fan"] is at_once
    assert site.at(80.9).drive["fan"] is at_once
    assert site.at(81).drive["fan"] is later
    assert site.at(90, air__temperature=5.0).drive["fan"] is True


@pytest.mark.parametrize(("policy", "started"), [("off", False), ("on", True), ("hold", False)])
def test_bad_input_while_idle(policy: str, started: bool) -> None:
    """Only `on` starts a rule whose input is bad."""
    site = site_with(replace(COOL, on_bad_input=BadInput(policy, 60)))  # type: ignore[arg-type] # a parameter's literal
    assert site.at(20, air__temperature=BAD).drive["fan"] is started


def test_a_known_half_is_enough() -> None:
    """A bad input that cannot change the verdict triggers no policy."""
    either = Rule("either", "air.temperature > 4 Cel or door.open", (SetOutput("fan", True),))
    site = site_with(either)
    site.at(20, door__open=True)
    assert site.at(21, air__temperature=BAD).drive["fan"] is True


def test_nothing_begins_before_the_first_data() -> None:
    """While the first data are awaited no rule starts; ten seconds later policy `on` does."""
    site = stage(rules=(replace(COOL, on_bad_input=BadInput("on")),))
    site.at(0)
    assert site.at(9.9).drive["fan"] is False
    assert site.at(10).drive["fan"] is True
