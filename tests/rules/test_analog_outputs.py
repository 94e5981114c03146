"""Outputs that go from 0 to 100 %: the same slots, minimum times and commands as two-state ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event import EventClass
from gateway.core.output import OutputPolicy, Slot
from gateway.core.role import Verb
from rules.arbitration import Claim, PriorityArray, decide
from rules.definition import BadInput, Interlock, Rule, SetOutput
from tests.rules.stage import Stage, operator, stage

FAN = OutputPolicy("fan", safe=20.0, unit="%")
SWITCH = OutputPolicy("fan")
levels = st.floats(0, 100)


def site(policy: OutputPolicy = FAN, *rules: Rule, interlocks: tuple[Interlock, ...] = ()) -> Stage:
    made = stage(rules=rules, interlocks=interlocks, outputs=(policy,))
    made.at(0, door__open=False, gas__concentration=3.0, aux__closed=False)
    return made


@pytest.mark.parametrize(("asked", "value"), [(True, 100.0), (False, 0.0), (0.0, 0.0), (37, 37.0), (100.0, 100.0)])
def test_on_and_off_are_the_ends_of_its_range(asked: float, value: float) -> None:
    """An analog output knows on and off as 100 and 0 %; its values are floats."""
    found = FAN.value_of(asked)
    assert (found, type(found)) == (value, float)
    assert (FAN.point, FAN.off, SWITCH.point, SWITCH.off) == ("fan.level", 0.0, "fan.on", False)


@pytest.mark.parametrize(
    ("policy", "asked", "message"),
    [
        (FAN, 100.1, "from 0 to 100 %, not to 100.1: say a level between"),
        (FAN, -1.0, "not to -1"),
        (FAN, math.nan, "not to nan"),
        (FAN, math.inf, "not to inf"),
        (SWITCH, 1.0, "fan is on or off, not 1: say on or off"),
    ],
)
def test_what_an_output_cannot_be_is_refused(policy: OutputPolicy, asked: float, message: str) -> None:
    """No guess and no clamp: the message says what may be asked."""
    with pytest.raises(ValueError, match="fan") as caught:
        policy.value_of(asked)
    assert message in str(caught.value)


def test_rules_people_and_interlocks_take_turns_by_slot() -> None:
    """The lowest slot's number is driven; with none, the safe level; the point follows in percent."""
    rule = Rule("air", "door.open", (SetOutput("fan", 40.0),))
    leak = Interlock("leak", "trip", "gas.concentration > 20 %{LEL}", {"fan": 100.0}, BadInput("trip"), latch=False)
    here = site(FAN, rule, interlocks=(leak,))
    assert here.decisions.drive == {"fan": 20.0}
    assert here.at(1, door__open=True).drive == {"fan": 40.0}
    reply = here.ask(2, operator(Verb.SET, "fan", 75.0, 60))
    assert reply.message == "fan: slot 8 is 75 % for 60 s"
    assert here.decisions.drive == {"fan": 75.0}
    assert here.at(3, gas__concentration=30.0).drive == {"fan": 100.0}
    (event,) = here.events(EventClass.OUTPUT, "fan")
    assert (event.what, event.data["value"], event.data["before"]) == ("100 %", 100.0, 75.0)
    assert event.data["overruled"] == {"8": 75.0, "13": 40.0}
    here.at(4)
    assert here.engine.points["fan.level"].value == 100.0
    assert "slot 2 keeps it 100 % now" in here.ask(5, operator(Verb.SET, "fan", 10.0, 60)).message


@pytest.mark.parametrize("value", [101.0, math.nan, None])
def test_a_command_that_means_nothing_is_refused_and_changes_nothing(value: float | None) -> None:
    """People and the cloud get the range; the output stays."""
    here = site()
    assert not here.ask(1, operator(Verb.SET, "fan", value, 60)).ok
    assert here.decisions.drive == {"fan": 20.0}


def test_minimum_times_count_from_on_and_off_not_from_each_level() -> None:
    """From 40 to 60 % nothing begins anew; off within the minimum-on time keeps the level it had."""
    policy = OutputPolicy("fan", min_on_s=60, min_off_s=30, unit="%")
    here = site(policy)
    here.at(30)
    here.at(40, operator(Verb.SET, "fan", 40.0, 600))
    here.at(70, operator(Verb.SET, "fan", 60.0, 600))
    held = here.at(90, operator(Verb.SET, "fan", 0.0, 600))
    assert held.drive == {"fan": 60.0}
    assert here.output("fan")["slot"] == Slot.MIN_ON_OFF
    assert here.at(100).drive == {"fan": 0.0}
    assert here.at(120, operator(Verb.SET, "fan", 50.0, 600)).drive == {"fan": 0.0}
    assert here.at(130).drive == {"fan": 50.0}


def test_maximum_on_counts_any_level() -> None:
    """An output that is on at whatever level is switched off when its maximum is used up."""
    here = site(OutputPolicy("fan", max_on_s=60, unit="%"), Rule("air", "door.open", (SetOutput("fan", 40.0),)))
    here.at(0.5, door__open=True)
    here.at(30, operator(Verb.SET, "fan", 90.0, 600))
    assert here.at(60.5).drive == {"fan": 0.0}
    assert here.output("fan")["slot"] == Slot.PERMISSIVE


def test_inhibit_start_lets_it_run_and_stop_but_not_start() -> None:
    """More than 0 % is running."""
    lock = Interlock("lock", "trip", "aux.closed", {"fan": "inhibit_start"}, BadInput("trip"), latch=False)
    here = site(OutputPolicy("fan", unit="%"), interlocks=(lock,))
    here.at(1, operator(Verb.SET, "fan", 30.0, 600))
    assert here.at(2, aux__closed=True).drive == {"fan": 30.0}
    assert here.at(3, operator(Verb.SET, "fan", 0.0, 600)).drive == {"fan": 0.0}
    assert here.at(4, operator(Verb.SET, "fan", 30.0, 600)).drive == {"fan": 0.0}


@given(st.dictionaries(st.integers(1, 16).filter(lambda slot: slot != 6), levels), levels)
def test_lowest_filled_slot_wins(wanted: dict[int, float], safe: float) -> None:
    """BACnet's rule holds for numbers as it does for on and off."""
    array = PriorityArray(safe)
    for slot, value in wanted.items():
        array.put(slot, "someone", Claim(value, ""))
    ruling = decide(array, False, None)
    assert (ruling.slot, ruling.value) == (min(wanted), wanted[min(wanted)]) if wanted else (0, safe)


@given(st.lists(levels, min_size=1), levels)
def test_in_one_slot_the_level_nearest_to_safe_wins(values: list[float], safe: float) -> None:
    """Holders of one slot that disagree: the one that is least far from safe."""
    array = PriorityArray(safe)
    for index, value in enumerate(values):
        array.put(13, f"rule {index}", Claim(value, ""))
    assert abs(decide(array, True, None).value - safe) == min(abs(value - safe) for value in values)


def test_a_persons_level_survives_a_restart() -> None:
    """What was saved is restored; a level for what is a two-state output now is refused, and the safe value holds."""
    here = site()
    here.at(1, operator(Verb.SET, "fan", 75.0, 600))
    state = here.engine.state()
    again, changed = stage(outputs=(FAN,)), stage(outputs=(SWITCH,))
    again.engine.restore(state, 0)
    changed.engine.restore(state, 0)
    assert again.at(2).drive == {"fan": 75.0}
    assert changed.at(2).drive == {"fan": False}
