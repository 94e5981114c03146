"""The rulebook of config/kitchen.yaml, by hand: a day in which most things go wrong."""

from typing import Any

import pytest

from gateway.core.event import EventClass
from gateway.core.output import OutputPolicy, Slot
from gateway.core.role import Verb
from rules.definition import Alarm, BadInput, Interlock, Rule, Rulebook, SetOutput
from rules.engine import Engine
from tests.rules.stage import BAD, Stage, installer, operator

TEMPERATURES = (
    "walkin_air", "walkin_core", "freezer_air", "freezer_core", "freezer_coil", "fryer_oil", "oven_chamber",
)  # fmt: skip
SWITCHES = (
    "walkin_door.open", "back_door.open", "oven_door.open", "fan_proving.closed", "estop.pressed",
    "suppression.discharged", "gas_valve_limit.open", "compressor_aux.closed",
)  # fmt: skip
POINTS = {
    **{f"{name}.temperature": "Cel" for name in TEMPERATURES},
    **dict.fromkeys(SWITCHES, ""),
    "gas.concentration": "%{LEL}",
}
TRIP = BadInput("trip")
INTERLOCKS = (
    Interlock(
        "emergency_stop", "trip", "estop.pressed",
        {"gas_valve": False, "fryer_contactor": False, "oven_contactor": False}, TRIP, Slot.ESTOP,
    ),
    Interlock("gas_leak", "trip", "gas.concentration > 20 %{LEL}", {"gas_valve": False, "siren": True}, TRIP),
    Interlock(
        "suppression_discharge", "trip", "suppression.discharged",
        {"gas_valve": False, "fryer_contactor": False, "oven_contactor": False, "siren": True}, TRIP,
    ),
    Interlock(
        "gas_needs_ventilation", "permissive", "fan_proving.closed", {"gas_valve": False}, TRIP, Slot.PERMISSIVE,
        latch=False,
    ),
    Interlock(
        "fryer_overtemperature", "trip", "fryer_oil.temperature >= 218 Cel", {"fryer_contactor": False}, TRIP,
        Slot.EQUIPMENT_TRIP, for_s=3, bypass_max_s=1800,
    ),
)  # fmt: skip
ALARMS = (
    Alarm("gas_warning", "gas.concentration >= 10 %{LEL}", priority="urgent", latch=True),
    Alarm("walkin_warm", "walkin_core.temperature > 5 Cel", for_s=900, priority="high"),
    Alarm("freezer_warm", "freezer_core.temperature > -15 Cel", for_s=1800, priority="high"),
    Alarm("walkin_door_open", "walkin_door.open", for_s=120),
    Alarm("back_door_open", "back_door.open", for_s=300, priority="low"),
    Alarm("fryer_hot", "fryer_oil.temperature >= 200 Cel", priority="high"),
)
OFF, ON, HOLD = BadInput("off"), BadInput("on"), BadInput("hold", 1800)


def sets(output: str) -> tuple[SetOutput, ...]:
    return (SetOutput(output, True),)


RULES = (
    Rule(
        "walkin_cooling", "walkin_air.temperature > 4 Cel", sets("walkin_compressor"),
        until="walkin_air.temperature < 2 Cel", on_bad_input=HOLD,
    ),
    Rule(
        "freezer_cooling", "freezer_air.temperature > -18 Cel", sets("freezer_compressor"),
        until="freezer_air.temperature < -22 Cel", on_bad_input=HOLD,
    ),
    Rule(
        "hood_follows_heat", "fryer_oil.temperature > 60 Cel or oven_chamber.temperature > 60 Cel", sets("hood_fan"),
        off_delay_s=600, on_bad_input=ON,
    ),
    Rule("gas_with_ventilation", "fan_proving.closed", sets("gas_valve"), for_s=2, on_bad_input=OFF),
    Rule(
        "fryer_thermostat", "fryer_oil.temperature < 170 Cel", sets("fryer_contactor"),
        until="fryer_oil.temperature > 176 Cel", on_bad_input=OFF,
    ),
    Rule(
        "oven_thermostat", "oven_chamber.temperature < 180 Cel and not oven_door.open", sets("oven_contactor"),
        until="oven_chamber.temperature > 186 Cel or oven_door.open", on_bad_input=OFF,
    ),
    Rule("walkin_light_with_door", "walkin_door.open", sets("walkin_light"), off_delay_s=30, on_bad_input=OFF),
)  # fmt: skip
OUTPUTS = (
    OutputPolicy("gas_valve", read_back="gas_valve_limit.open"),
    OutputPolicy("fryer_contactor"),
    OutputPolicy("oven_contactor"),
    OutputPolicy("hood_fan"),
    OutputPolicy("walkin_compressor", min_off_s=180, min_on_s=60, read_back="compressor_aux.closed"),
    OutputPolicy("freezer_compressor", min_off_s=180, min_on_s=60),
    OutputPolicy("siren"),
    OutputPolicy("walkin_light"),
)
MORNING: dict[str, Any] = {
    **{name.replace(".", "__"): False for name in SWITCHES},
    "fan_proving__closed": True,
    "gas__concentration": 0.5,
    "walkin_air__temperature": 3.0,
    "walkin_core__temperature": 3.0,
    "freezer_air__temperature": -20.0,
    "freezer_core__temperature": -19.0,
    "freezer_coil__temperature": -25.0,
    "fryer_oil__temperature": 165.0,
    "oven_chamber__temperature": 183.0,
}


@pytest.fixture
def kitchen() -> Stage:
    """The kitchen in the morning, four minutes after the start: gas open, fryer heating, hood running."""
    site = Stage(Engine(Rulebook(POINTS, INTERLOCKS, ALARMS, RULES), OUTPUTS))
    assert not any(value for name, value in site.at(0).drive.items() if name != "siren")
    site.at(0.5, **MORNING)
    site.at(2.5, gas_valve_limit__open=True)
    site.at(240)
    assert site.decisions.drive == {
        "gas_valve": True, "fryer_contactor": True, "oven_contactor": False, "hood_fan": True,
        "walkin_compressor": False, "freezer_compressor": False, "siren": False, "walkin_light": False,
    }  # fmt: skip
    return site


def test_gas_leak(kitchen: Stage) -> None:
    """The valve closes and the siren sounds at once; the latch outlives the gas; the reset opens the valve again."""
    kitchen.at(250, gas__concentration=12.0)
    assert kitchen.alarm("gas_warning") == "UNACK"
    drive = kitchen.at(251, gas__concentration=31.2).drive
    assert (drive["gas_valve"], drive["siren"], drive["hood_fan"]) == (False, True, True)
    assert not kitchen.ask(252, installer(Verb.RESET, "gas_leak")).ok
    kitchen.at(300, gas__concentration=0.4, gas_valve_limit__open=False)
    assert not kitchen.decisions.drive["gas_valve"]
    assert not kitchen.ask(301, operator(Verb.SET, "gas_valve", True, 60)).message.endswith("for 60 s")
    assert not kitchen.decisions.drive["gas_valve"]
    assert not kitchen.ask(302, installer(Verb.BYPASS, "gas_leak", for_s=60, reason="hurry")).ok
    assert kitchen.ask(303, installer(Verb.RESET, "gas_leak")).ok
    assert (kitchen.decisions.drive["gas_valve"], kitchen.decisions.drive["siren"]) == (True, False)
    assert kitchen.alarm("gas_warning") == "LUNACK"


def test_fan_fails(kitchen: Stage) -> None:
    """Without proven ventilation the gas is off at once, and back two seconds after the fan is proven again."""
    assert kitchen.at(250, fan_proving__closed=False).drive["gas_valve"] is False
    assert kitchen.at(260, fan_proving__closed=True).drive["gas_valve"] is False
    assert kitchen.at(262).drive["gas_valve"] is True


def test_emergency_stop_beats_everyone(kitchen: Stage) -> None:
    """Slot 1 stops gas, fryer and oven, whatever a person or the cloud has set."""
    kitchen.at(250, operator(Verb.SET, "oven_contactor", True, 600))
    drive = kitchen.at(251, estop__pressed=True).drive
    assert [drive[name] for name in ("gas_valve", "fryer_contactor", "oven_contactor")] == [False] * 3
    assert kitchen.output("oven_contactor")["slots"] == {"1": False, "8": True}
    kitchen.at(252, estop__pressed=False)
    kitchen.at(253, installer(Verb.RESET, "emergency_stop"))
    assert kitchen.decisions.drive["oven_contactor"] is True


def test_suppression_keeps_the_exhaust(kitchen: Stage) -> None:
    """A discharge stops fuel and heat and sounds the siren; the exhaust keeps running."""
    drive = kitchen.at(250, suppression__discharged=True).drive
    assert [drive[n] for n in ("gas_valve", "fryer_contactor", "oven_contactor")] == [False] * 3
    assert (drive["siren"], drive["hood_fan"]) == (True, True)


def test_fryer_overheats_and_loses_its_probe(kitchen: Stage) -> None:
    """218 °C for 3 s trips with a manual reset; a lost probe stops the heat at once, trips, and keeps the hood on."""
    kitchen.at(250, operator(Verb.SET, "fryer_contactor", True, 3600))
    assert kitchen.at(251, fryer_oil__temperature=219.0).drive["fryer_contactor"] is True
    assert kitchen.at(254).drive["fryer_contactor"] is False
    assert kitchen.alarm("fryer_hot") == "UNACK"
    kitchen.at(300, operator(Verb.RELEASE, "fryer_contactor"), fryer_oil__temperature=160.0)
    assert not kitchen.decisions.drive["fryer_contactor"]
    kitchen.at(301, installer(Verb.RESET, "fryer_overtemperature"))
    assert kitchen.decisions.drive["fryer_contactor"]
    drive = kitchen.at(302, fryer_oil__temperature=BAD).drive
    assert (drive["fryer_contactor"], drive["hood_fan"]) == (False, True)
    kitchen.at(305)
    assert kitchen.interlock("fryer_overtemperature")["latched"]


def test_cold_chain(kitchen: Stage) -> None:
    """The compressor keeps its minimum times, bridges a lost sensor for half an hour, and a warm core alarms."""
    assert kitchen.at(250, walkin_air__temperature=4.5).drive["walkin_compressor"] is True
    kitchen.at(251, compressor_aux__closed=True)
    assert kitchen.at(260, walkin_air__temperature=1.9).drive["walkin_compressor"] is True
    assert kitchen.at(310).drive["walkin_compressor"] is False
    kitchen.at(311, compressor_aux__closed=False)
    assert kitchen.at(320, walkin_air__temperature=6.0).drive["walkin_compressor"] is False
    assert kitchen.at(490).drive["walkin_compressor"] is True
    kitchen.at(491, compressor_aux__closed=True)
    kitchen.at(500, walkin_air__temperature=BAD, walkin_core__temperature=5.5)
    assert kitchen.at(2299.9).drive["walkin_compressor"] is True
    assert kitchen.alarm("walkin_warm") == "UNACK"
    assert kitchen.at(2300).drive["walkin_compressor"] is False
    assert kitchen.alarm("mismatch/walkin_compressor") == "NORM"
    kitchen.at(2302)
    assert kitchen.alarm("mismatch/walkin_compressor") == "UNACK"


def test_doors_and_light(kitchen: Stage) -> None:
    """The light follows the door for 30 s more; doors left open tell after their time; an open oven does not heat."""
    assert kitchen.at(250, walkin_door__open=True, back_door__open=True).drive["walkin_light"] is True
    kitchen.at(370)
    assert (kitchen.alarm("walkin_door_open"), kitchen.alarm("back_door_open")) == ("UNACK", "NORM")
    assert kitchen.at(371, walkin_door__open=False).drive["walkin_light"] is True
    assert kitchen.at(401).drive["walkin_light"] is False
    assert kitchen.at(402, oven_chamber__temperature=170.0).drive["oven_contactor"] is True
    assert kitchen.at(403, oven_door__open=True).drive["oven_contactor"] is False


def test_valve_that_does_not_close(kitchen: Stage) -> None:
    """A gas valve whose limit switch stays open after a trip raises the mismatch alarm."""
    kitchen.at(250, gas__concentration=31.2)
    kitchen.at(252)
    assert kitchen.alarm("mismatch/gas_valve") == "UNACK"
    (event,) = kitchen.events(EventClass.OUTPUT, "gas_valve")
    assert event.data["reason"] == "gas_valve is commanded off, gas_valve_limit.open shows on"
