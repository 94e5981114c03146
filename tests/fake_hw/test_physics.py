"""The kitchen's physics in virtual time: numbers that a cook, a fitter and a gas engineer would recognise."""

import random
from collections.abc import Collection

import pytest

from fake_hw.physics.kitchen import DOORS, QUANTITIES, Kitchen, read, write


@pytest.fixture
def kitchen() -> Kitchen:
    """A kitchen in virtual time."""
    return Kitchen(random.Random(1))


def seconds_until(kitchen: Kitchen, name: str, limit: float, energised: Collection[str], step_s: float = 0.1) -> float:
    """How long until a quantity crosses a limit."""
    above = read(kitchen, name) > limit
    began = kitchen.time_s
    while (read(kitchen, name) > limit) == above:
        kitchen.step(step_s, energised)
        assert kitchen.time_s - began < 86_400, f"{name} never reaches {limit}"
    return kitchen.time_s - began


def thermostat(
    kitchen: Kitchen, name: str, output: str, on_above: float, off_below: float, hours: float
) -> tuple[int, float]:
    """(starts, share of time on) under a two-point control."""
    on, starts, seconds_on, seconds = False, 0, 0, int(hours * 3600)
    for _ in range(seconds):
        value = read(kitchen, name)
        starts += not on and value > on_above
        on = value > on_above or (on and value > off_below)
        kitchen.step(1.0, {output} if on else ())
        seconds_on += on
    return starts, seconds_on / seconds


def test_fryer_heats_in_ten_minutes_and_runs_away_in_three(kitchen: Kitchen) -> None:
    """14 kW bring 22.7 kg of oil to 177 °C in about 10.4 min; a stuck contactor takes it to 218 °C in about 177 s."""
    kitchen.fryer.oil_c = 20.0
    assert seconds_until(kitchen, "fryer.oil", 177, {"fryer_contactor"}) == pytest.approx(10.4 * 60, rel=0.1)
    assert seconds_until(kitchen, "fryer.oil", 218, {"fryer_contactor"}) == pytest.approx(177, rel=0.1)
    assert seconds_until(kitchen, "fryer.oil", 229.9, {"fryer_contactor"}) < 120
    for _ in range(100):
        kitchen.step(10.0, {"fryer_contactor"})
    assert read(kitchen, "fryer.oil") < 231, "the fryer's own limiter ends it"


def test_walkin_cycles_and_keeps_its_food(kitchen: Kitchen) -> None:
    """Under its rule the cooler starts 4 to 15 times an hour and keeps the product below 5 °C."""
    starts, duty = thermostat(kitchen, "walkin.air", "walkin_compressor", 4, 2, hours=6)
    assert 4 < starts / 6 < 15
    assert 0.05 < duty < 0.35
    assert read(kitchen, "walkin.product") < 4


def test_walkin_without_cooling_or_door(kitchen: Kitchen) -> None:
    """Without its compressor the food passes 5 °C after one to four hours; a door stuck open gets there sooner."""
    assert 3600 < seconds_until(kitchen, "walkin.product", 5, (), 1.0) < 4 * 3600
    other = Kitchen(random.Random(1))
    other.set_door("walkin", True)
    assert seconds_until(other, "walkin.product", 5, {"walkin_compressor"}, 1.0) < 3600
    assert 12 < read(other, "walkin.air") < 20


def test_freezer_holds_and_defrosts(kitchen: Kitchen) -> None:
    """The freezer holds its rule's band; a defrost warms the coil to 10 °C, drips, and the food hardly notices."""
    _, duty = thermostat(kitchen, "freezer.air", "freezer_compressor", -18, -22, hours=4)
    assert 0.05 < duty < 0.6
    assert read(kitchen, "freezer.coil") < -17
    food = read(kitchen, "freezer.product")
    kitchen.freezer.defrost()
    assert 120 < seconds_until(kitchen, "freezer.coil", 9.5, {"freezer_compressor"}, 1.0) < 1800
    kitchen.step(10.0, {"freezer_compressor"})
    assert not kitchen.freezer.heater_on
    thermostat(kitchen, "freezer.air", "freezer_compressor", -18, -22, hours=1)
    assert read(kitchen, "freezer.air") < -17
    assert abs(read(kitchen, "freezer.product") - food) < 1.0


def test_freezer_defrosts_three_times_a_day(kitchen: Kitchen) -> None:
    """The freezer's own clock starts a defrost every 8 h."""
    starts, before = 0, False
    for _ in range(24 * 360):
        kitchen.step(10.0, {"freezer_compressor"})
        starts += kitchen.freezer.heater_on and not before
        before = kitchen.freezer.heater_on
    assert starts in {2, 3}


def test_gas_leak_is_felt_in_three_seconds_and_ends_with_the_valve(kitchen: Kitchen) -> None:
    """A leak behind the open valve passes 20 %LEL within 3 s; closing the valve brings it back within 15 s."""
    running = {"hood_fan", "gas_valve"}
    kitchen.step(10.0, running)
    assert read(kitchen, "gas.concentration") < 1
    assert read(kitchen, "gas.pressure") == pytest.approx(28, abs=0.5)
    kitchen.gas.leak = "line"
    assert seconds_until(kitchen, "gas.concentration", 20, running) < 3
    kitchen.step(5.0, running)
    assert seconds_until(kitchen, "gas.concentration", 20, {"hood_fan"}) < 15
    assert read(kitchen, "gas.pressure") < 10


def test_gas_clears_within_ten_seconds_after_the_leak(kitchen: Kitchen) -> None:
    """After the leak has been mended the sensor falls below 20 %LEL within 10 s, with the valve still open."""
    running = {"hood_fan", "gas_valve"}
    kitchen.gas.leak = "line"
    kitchen.step(60.0, running)
    assert read(kitchen, "gas.concentration") > 50
    kitchen.gas.leak = ""
    assert seconds_until(kitchen, "gas.concentration", 20, running) < 10


def test_only_an_upstream_leak_outlives_the_valve(kitchen: Kitchen) -> None:
    """With the valve closed a leak behind it never shows; one before it does."""
    kitchen.gas.leak = "line"
    kitchen.step(60.0, {"hood_fan"})
    assert read(kitchen, "gas.concentration") < 1
    kitchen.gas.leak = "upstream"
    assert seconds_until(kitchen, "gas.concentration", 20, {"hood_fan"}) < 3


def test_fan_is_proved_after_about_one_and_a_half_seconds(kitchen: Kitchen) -> None:
    """The proving switch closes 1 to 2 s after start, opens within 1 s of the stop; a broken belt never proves."""

    def proved() -> bool:
        return kitchen.hood.proved

    for energised, low_s, high_s in (({"hood_fan"}, 1.0, 2.0), (set(), 0.2, 1.0)):
        began, before = kitchen.time_s, proved()
        while proved() == before:
            kitchen.step(0.05, energised)
        assert low_s < kitchen.time_s - began < high_s
    kitchen.hood.broken = True
    kitchen.step(30.0, {"hood_fan"})
    assert not proved()


@pytest.mark.parametrize("output", ["gas_valve", "walkin_compressor"])
def test_contacts_follow_their_relays_after_half_a_second(kitchen: Kitchen, output: str) -> None:
    """Valve limit switch and compressor auxiliary contact answer after about 0.5 s, both ways."""

    def made() -> bool:
        return kitchen.gas.is_open if output == "gas_valve" else kitchen.compressor_running

    for energised, expected in (({output}, True), (set(), False)):
        began = kitchen.time_s
        while made() != expected:
            kitchen.step(0.01, energised)
        assert 0.0 < kitchen.time_s - began < 0.6


def test_the_meter_sees_every_load(kitchen: Kitchen) -> None:
    """Power is the sum of what is on, motors lower the power factor, energy adds up in watt hours."""
    kitchen.step(1.0, ())
    base = read(kitchen, "mains.power")
    kitchen.step(1.0, {"fryer_contactor", "oven_contactor", "hood_fan"})
    assert read(kitchen, "mains.power") == pytest.approx(base + 14_000 + 6_000 + 550)
    assert kitchen.mains.amperes < 100, "the meter's range"
    assert 0.9 < kitchen.mains.power_factor < 1
    before = read(kitchen, "mains.energy")
    kitchen.step(3600.0, ())
    assert read(kitchen, "mains.energy") - before == pytest.approx(base, rel=0.01)


def test_cooking_takes_stock_and_heat(kitchen: Kitchen) -> None:
    """Each basket takes a portion from the stock and heat from the oil; an empty sack is replaced."""
    kitchen.cooks.cooking = True
    weight, oil = read(kitchen, "stock.weight"), read(kitchen, "fryer.oil")
    kitchen.step(60.0, ())
    cooled = oil - read(kitchen, "fryer.oil")
    idle = Kitchen(random.Random(1))
    idle.step(60.0, ())
    assert cooled > 2 * (oil - read(idle, "fryer.oil"))
    assert read(kitchen, "stock.weight") == pytest.approx(weight - 0.6)
    kitchen.step(6 * 3600.0, {"fryer_contactor"})
    assert 1.0 <= read(kitchen, "stock.weight") <= 24.0


def test_people_open_doors_and_close_them(kitchen: Kitchen) -> None:
    """Nobody touches a door by default; with people each door is opened now and then, and closed again."""

    def openings(hours: float) -> dict[str, int]:
        seen = dict.fromkeys(("walkin", "freezer", "back"), 0)
        for _ in range(int(hours * 3600)):
            kitchen.step(1.0, ())
            seen["walkin"] += kitchen.walkin.door_open
            seen["freezer"] += kitchen.freezer.room.door_open
            seen["back"] += kitchen.room.back_door_open
        return seen

    assert set(openings(1).values()) == {0}
    kitchen.cooks.busy = True
    seconds_open = openings(4)
    assert all(0 < seconds < 4 * 3600 * 0.2 for seconds in seconds_open.values()), seconds_open


def test_the_same_seed_lives_the_same_day() -> None:
    """Physics and people are deterministic for a seed, and another seed differs."""

    def day(seed: int) -> list[float]:
        kitchen = Kitchen(random.Random(seed))
        kitchen.cooks.busy = kitchen.cooks.cooking = True
        for _ in range(3600):
            kitchen.step(1.0, {"walkin_compressor"})
        return [read(kitchen, name) for name in QUANTITIES]

    assert day(3) == day(3)
    assert day(3) != day(4)


def test_long_steps_are_split(kitchen: Kitchen) -> None:
    """A step of an hour ends where 3600 steps of a second end: `--speed` does not make the physics unstable."""
    other = Kitchen(random.Random(1))
    kitchen.step(3600.0, {"walkin_compressor", "fryer_contactor"})
    for _ in range(3600):
        other.step(1.0, {"walkin_compressor", "fryer_contactor"})
    assert [read(kitchen, name) for name in QUANTITIES] == [read(other, name) for name in QUANTITIES]


def test_every_quantity_and_door_can_be_moved(kitchen: Kitchen) -> None:
    """Whatever `status` names, `set` can move; every door opens and closes."""
    for name in QUANTITIES:
        write(kitchen, name, 12.5)
        assert read(kitchen, name) == 12.5
    for door in DOORS:
        kitchen.set_door(door, True)
        kitchen.set_door(door, False)
    assert not any((kitchen.walkin.door_open, kitchen.oven.door_open, kitchen.room.back_door_open))


def test_the_rooms_air_is_a_mass_balance(kitchen: Kitchen) -> None:
    """A closed kitchen with burners on passes 2,000 ppm CO2 within minutes; the hood brings it near the street's."""
    kitchen.cooks.cooking = True
    kitchen.step(900.0, {"gas_valve"})
    assert read(kitchen, "room.co2") > 2_000
    fumes = read(kitchen, "room.pm25")
    assert fumes > 50
    kitchen.step(1800.0, {"gas_valve", "hood_fan"})
    assert 420 < read(kitchen, "room.co2") < 900
    assert read(kitchen, "room.pm25") < fumes / 2


def test_people_alone_raise_co2_to_their_balance(kitchen: Kitchen) -> None:
    """One person at light work in one air change an hour: 420 ppm outdoors plus 0.0078 l/s over 150 m³/h."""
    kitchen.step(86_400.0, ())
    assert read(kitchen, "room.co2") == pytest.approx(420 + 0.0078e-3 / (150 / 3600) * 1e6, abs=5)


def test_a_day_is_the_same_day_for_the_same_seed(kitchen: Kitchen) -> None:
    """Everything random comes from the seed: two kitchens live the same day, a third one another."""
    twin, other = Kitchen(random.Random(1)), Kitchen(random.Random(2))
    for each in (kitchen, twin, other):
        each.cooks.busy = each.cooks.cooking = True
        each.step(3600.0, {"walkin_compressor", "hood_fan"})
    states = [[read(each, name) for name in QUANTITIES] for each in (kitchen, twin, other)]
    assert states[0] == states[1]
    assert states[0] != states[2]
