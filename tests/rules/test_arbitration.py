"""The arbiter: the oracle's slots, minimum and maximum times, people's claims, read-back."""

import csv
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.event import EventClass
from gateway.core.output import OutputPolicy, Slot
from gateway.core.role import WRITE_SLOT, Verb
from rules.arbitration import Claim, PriorityArray, Ruling, decide
from rules.definition import BadInput, Interlock, Rule, SetOutput
from tests.rules.stage import BAD, Stage, cloud, installer, operator, stage

ORACLE = {
    int(row["level"]): row
    for row in csv.DictReader((Path(__file__).parent.parent / "oracles" / "bacnet_priority.csv").open())
}
STOP = Interlock("stop", "trip", "gas.concentration > 20 %{LEL}", {"fan": False}, BadInput("trip"), latch=False)
START = Interlock("start", "trip", "aux.closed", {"fan": True}, BadInput("off"), slot=Slot.ESTOP, latch=False)
RUN = Rule("run", "door.open", (SetOutput("fan", True),))


def fan(*, interlocks: tuple[Interlock, ...] = (), rules: tuple[Rule, ...] = (RUN,), **policy: object) -> Stage:
    site = stage(interlocks=interlocks, rules=rules, outputs=(OutputPolicy("fan", **policy),))  # type: ignore[arg-type] # any field
    site.at(0, door__open=False, gas__concentration=3.0, aux__closed=False)
    return site


def test_slots_are_the_oracles() -> None:
    """Each slot has the oracle's number and meaning; people write the slots the oracle gives them."""
    assert {slot.value: slot.name.lower() for slot in Slot if slot} == {
        level: row["our_name"] for level, row in ORACLE.items() if level
    }
    assert "dashboard user, with expiry" in ORACLE[WRITE_SLOT[operator(Verb.SET, "x").role]]["who_may_write"]
    assert "cloud command, with expiry" in ORACLE[WRITE_SLOT[cloud(Verb.SET, "x").role]]["who_may_write"]


claims = st.dictionaries(st.integers(1, 16).filter(lambda slot: slot != 6), st.booleans())


@settings(deadline=None)
@given(claims, st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_lowest_filled_slot_wins(
    wanted: dict[int, bool], safe: bool, is_on: bool, hold_on: bool, hold_off: bool
) -> None:
    """The value is that of the lowest filled slot, slot 6 included, but minimum-off is never overruled to energise."""
    array = PriorityArray(safe)
    for slot, value in wanted.items():
        array.put(slot, "someone", Claim(value, f"slot {slot}"))
    min_on = hold_on and is_on
    min_off = hold_off and not is_on
    minimum = Ruling(is_on, Slot.MIN_ON_OFF, Claim(is_on, "minimum")) if min_on or min_off else None
    ruling = decide(array, is_on, minimum)
    filled = dict(wanted)
    if min_on or min_off:
        filled[6] = min_on
    expected = filled[min(filled)] if filled else safe
    if min_off:
        expected = False
    assert ruling.value is expected
    assert ruling.slot == 0 or filled[ruling.slot] is expected
    stronger = [slot for slot in filled if slot < ruling.slot]
    assert min_off or not [slot for slot in stronger if filled[slot] is not expected]


@given(st.lists(st.booleans(), min_size=1), st.booleans())
def test_in_one_slot_the_safe_value_wins(values: list[bool], safe: bool) -> None:
    """Several holders of a slot: if any of them wants the safe value, that is the slot's value."""
    array = PriorityArray(safe)
    for index, value in enumerate(values):
        array.put(13, f"rule {index}", Claim(value, ""))
    assert decide(array, not safe, None).value is (safe if safe in values else not safe)


def test_relinquish_default() -> None:
    """With no slot filled the safe value holds, also when it is on."""
    assert fan(safe=True).decisions.drive["fan"] is True
    assert fan().decisions.drive["fan"] is False


def test_rules_share_a_slot() -> None:
    """Two rules that agree on a slot hold it until the last of them ends."""
    site = fan(rules=(RUN, Rule("also", "aux.closed", (SetOutput("fan", True),))))
    site.at(1, door__open=True, aux__closed=True)
    assert site.at(2, door__open=False).drive["fan"] is True
    assert site.at(3, aux__closed=False).drive["fan"] is False


def test_minimum_on() -> None:
    """A short demand runs its minimum; a manual off waits for it, a trip in slots 1 to 5 does not."""
    site = fan(interlocks=(STOP,), min_on_s=60)
    site.at(1, door__open=True)
    assert site.at(2, door__open=False).next_ns == 10_000_000_000
    assert (site.output("fan")["value"], site.output("fan")["slot"]) == (True, 6)
    assert site.at(3, operator(Verb.SET, "fan", False, 600)).drive["fan"] is True
    assert "slot 6 keeps it on" in site.decisions.replies[0].message
    assert site.at(60.9).drive["fan"] is True
    assert site.at(61).drive["fan"] is False
    assert site.output("fan")["slot"] == 8
    other = fan(interlocks=(STOP,), min_on_s=60)
    other.at(1, door__open=True)
    assert other.at(2, gas__concentration=30.0).drive["fan"] is False


def test_minimum_off_restarts_at_boot_and_yields_to_nobody() -> None:
    """From the first step on nothing energises the output for its minimum off time, not even slot 1."""
    site = fan(interlocks=(START,), min_off_s=180)
    assert site.at(1, door__open=True).next_ns == 10_000_000_000
    assert site.output("fan")["slot"] == 6
    site.at(2, operator(Verb.SET, "fan", True, 600))
    assert site.at(3, aux__closed=True).drive["fan"] is False
    assert site.at(179.9).drive["fan"] is False
    assert site.at(180).drive["fan"] is True
    site.at(190, operator(Verb.RELEASE, "fan"), aux__closed=False, door__open=False)
    assert site.decisions.drive["fan"] is False
    assert site.at(191, door__open=True).drive["fan"] is False
    assert site.at(370).drive["fan"] is True


def test_maximum_on_acts_as_slot_4_until_all_let_go() -> None:
    """After its maximum it is off in slot 4 until everything below has stopped asking; slots 1 to 3 overrule."""
    site = fan(interlocks=(START,), max_on_s=100)
    assert site.at(20, door__open=True).next_ns == 120_000_000_000
    assert site.at(120).drive["fan"] is False
    assert site.output("fan")["slot"] == 4
    assert site.decisions.persist
    assert site.at(121, operator(Verb.SET, "fan", True, 600)).drive["fan"] is False
    site.at(122, door__open=False)
    assert site.output("fan")["slot"] == 4
    site.at(123, operator(Verb.RELEASE, "fan"))
    assert site.output("fan")["slot"] == 0
    assert site.at(124, door__open=True).drive["fan"] is True
    site.at(224)
    assert site.at(225, aux__closed=True).drive["fan"] is True
    assert site.output("fan")["slot"] == 1


def test_manual_expires() -> None:
    """A person's claim needs a time of at most 24 h, holds its role's slot, and ends by itself."""
    site = fan()
    assert "for_s" in site.ask(1, operator(Verb.SET, "fan", True)).message
    for for_s in (0.0, -1.0, 86401.0, float("nan"), float("inf")):
        assert not site.ask(1, operator(Verb.SET, "fan", True, for_s)).ok
    assert "say on or off" in site.ask(1, operator(Verb.SET, "fan", 0.5, 60)).message
    assert "say what fan shall be" in site.ask(1, operator(Verb.SET, "fan", None, 60)).message
    assert "did you mean 'fan'?" in site.ask(1, operator(Verb.SET, "fann", True, 60)).message
    assert site.ask(20, operator(Verb.SET, "fan", True, 60)).ok
    assert site.decisions.drive["fan"] is True
    assert site.decisions.next_ns == 80_000_000_000
    assert site.output("fan")["slots"] == {"8": True}
    assert site.at(79.9).drive["fan"] is True
    assert site.at(80).drive["fan"] is False
    (event,) = site.events(EventClass.OUTPUT, "fan")
    assert "its time is over" in event.data["reason"]


def test_cloud_yields_to_the_panel() -> None:
    """The cloud writes slot 9: the panel's slot 8 wins, and each releases only its own."""
    site = fan()
    site.at(1, cloud(Verb.SET, "fan", True, 600))
    reply = site.ask(2, operator(Verb.SET, "fan", False, 600))
    assert reply.ok
    assert site.decisions.drive == {"fan": False}
    assert "slot 8 keeps it off" in site.ask(3, cloud(Verb.SET, "fan", True, 600)).message
    site.ask(4, operator(Verb.RELEASE, "fan"))
    assert site.decisions.drive == {"fan": True}
    assert "empty" in site.ask(5, installer(Verb.RELEASE, "fan")).message
    assert site.ask(6, cloud(Verb.RELEASE, "fan")).ok
    assert site.decisions.drive == {"fan": False}


def test_every_command_is_audited_and_answered() -> None:
    """Each command gets exactly one reply with its token and one AUDIT event, in order, refused or not."""
    from dataclasses import replace

    site = fan()
    commands = [replace(operator(Verb.SET, "fan", n == 1, 60, "why not"), token=n) for n in (1, 2)]
    commands += [replace(operator(Verb.SIM, "gas_leak on"), token=3), replace(installer(Verb.SIM, "x"), token=4)]
    site.at(1, *commands)
    assert [(reply.token, reply.ok) for reply in site.decisions.replies] == [
        (1, True),
        (2, True),
        (3, False),
        (4, False),
    ]
    audits = site.events(EventClass.AUDIT)
    assert [audit.what for audit in audits] == ["set", "set", "sim", "sim"]
    first = audits[0].data
    assert {key: first[key] for key in ("verb", "who", "role", "ok", "value", "for_s", "reason")} == {
        "verb": "set", "who": "kim", "role": "operator", "ok": True, "value": True, "for_s": 60, "reason": "why not"
    }  # fmt: skip


def test_read_back_mismatch() -> None:
    """A read-back that differs for longer than allowed raises the built-in alarm, and clears it when it agrees."""
    site = fan(read_back="aux.closed", read_back_s=2)
    assert site.at(1, door__open=True).next_ns == 3_000_000_000
    site.at(2, aux__closed=True)
    site.at(4)
    assert site.alarm("mismatch/fan") == "NORM"
    site.at(5, aux__closed=False)
    site.at(6.9)
    assert site.alarm("mismatch/fan") == "NORM"
    site.at(7)
    assert site.alarm("mismatch/fan") == "UNACK"
    (event,) = site.events(EventClass.OUTPUT, "fan")
    assert (event.what, event.data["inputs"]) == ("mismatch", {"aux.closed": False})
    site.at(8, aux__closed=BAD)
    assert site.alarm("mismatch/fan") == "UNACK"
    site.at(9, aux__closed=True)
    assert site.alarm("mismatch/fan") == "RTNUN"


def test_a_rule_that_contradicts_itself_cannot_spin() -> None:
    """A rule on its own output's point toggles at most ten times a second, and a step always ends."""
    site = fan(rules=(Rule("spin", "not fan.on", (SetOutput("fan", True),)),))
    changes = 0
    for tick in range(1, 1001):
        site.at(1 + tick / 1000)
        changes += len(site.events(EventClass.OUTPUT, "fan"))
    assert 5 <= changes <= 22


def test_output_points_act_in_the_same_step() -> None:
    """An interlock on another output's point acts in the very step that switches it."""
    needs_fan = Interlock("needs", "permissive", "fan.on", {"valve": False}, BadInput("trip"), latch=False)
    both = Rule("both", "door.open", (SetOutput("fan", True),))
    always = Rule("always", "on", (SetOutput("valve", True),))
    site = stage(interlocks=(needs_fan,), rules=(both, always))
    assert site.at(0, door__open=True).drive == {"fan": True, "valve": True, "siren": False}
    assert site.at(1, door__open=False).drive == {"fan": False, "valve": False, "siren": False}
    assert site.engine.points["fan.on"].value is False
