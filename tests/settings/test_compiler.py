"""A site's files to a configuration: what the sample kitchen becomes, defaults, drivers of others, merging."""

from pathlib import Path

import pytest

from gateway.core.driver import Channel
from gateway.core.errors import ConfigurationError
from gateway.core.output import OutputPolicy, Slot
from gateway.settings.compiler import compile_files
from gateway.settings.model import Bus, Configuration
from rules.definition import BadInput, Interlock, Log, RaiseAlarm, SetOutput
from tests.settings.parts import HEAD, KITCHEN, Shelf, compiled, part


def problems_of(path: Path, overlay: Path | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        compile_files(path, overlay)
    return [problem.replace(f"{path.parent}/", "") for problem in refused.value.problems]


@pytest.fixture(scope="module")
def kitchen() -> Configuration:
    return compile_files(KITCHEN)


def test_the_sample_kitchen_compiles(kitchen: Configuration) -> None:
    """`config/kitchen.yaml` holds a whole kitchen: about 30 points of devices and 8 outputs."""
    measured = [point for point in kitchen.rulebook.points if not point.startswith("gateway/")]
    assert len(kitchen.devices) == 22
    assert len(kitchen.outputs) == 8
    assert 30 <= len(measured) <= 45
    assert kitchen.site.name == "데모 주방"
    assert len(kitchen.hash) == 64


def test_a_polled_device_is_in_base_units(kitchen: Configuration) -> None:
    """Keys written with units arrive in seconds, volts and degrees, ready for the driver's options."""
    devices = {device.name: device for device in kitchen.devices}
    gas = devices["gas"]
    assert (gas.every_s, gas.bus, gas.process, gas.direction) == (0.2, "sensors", "control", "polled")
    assert gas.options["low_v"] == 0.5
    assert gas.options["address"] == 0x48
    assert gas.channels[0].unit == "%{LEL}"
    assert devices["walkin_core"].offsets == {"temperature": -0.2}
    assert devices["dry_store_air"].process == "field"
    door = devices["walkin_door"]
    assert (door.direction, door.every_s, door.options["line"]) == ("input", 0.0, 6)


def test_an_output_has_its_policy(kitchen: Configuration) -> None:
    """An output's limits arrive in seconds, its safe state as a value."""
    outputs = {output.name: output for output in kitchen.outputs}
    assert outputs["walkin_compressor"].policy == OutputPolicy(
        "walkin_compressor", False, 10.0, 60.0, 180.0, 0.0, "compressor_aux.closed", 2.0
    )
    assert outputs["walkin_light"].options == {"line": 10, "active": "low"}


def test_interlocks_alarms_and_rules_are_definitions(kitchen: Configuration) -> None:
    """Words become slots, policies and seconds that the engine takes as they are."""
    interlocks = {each.name: each for each in kitchen.rulebook.interlocks}
    assert interlocks["gas_leak"] == Interlock(
        "gas_leak",
        "trip",
        "gas.concentration > 20 %{LEL}",
        {"gas_valve": False, "siren": True},
        BadInput("trip"),
        Slot.LIFE_SAFETY,
    )
    assert interlocks["emergency_stop"].slot is Slot.ESTOP
    assert interlocks["gas_needs_ventilation"].kind == "permissive"
    assert interlocks["fryer_overtemperature"].bypass_max_s == 1800
    rules = {each.name: each for each in kitchen.rulebook.rules}
    assert rules["walkin_cooling"].then == (SetOutput("walkin_compressor", True),)
    assert rules["walkin_cooling"].on_bad_input == BadInput("hold", 1800.0)
    alarms = {each.name: each for each in kitchen.rulebook.alarms}
    assert (alarms["walkin_warm"].for_s, alarms["walkin_warm"].group) == (900, "cold_holding")


def test_health_points_and_alarms_are_there_without_being_written(kitchen: Configuration) -> None:
    """The gateway's own points exist in every configuration, and its alarms stand on them."""
    points = kitchen.rulebook.points
    assert points["gateway/recorder.backlog"] == "1"
    assert points["gateway/control.ring_fill"] == "%"
    assert points["gateway/buses.sensors"] == ""
    alarms = {each.name: each for each in kitchen.rulebook.alarms}
    silent = alarms["gateway/recorder_silent"]
    assert (silent.for_s, silent.priority, silent.condition) == (10, "high", "not gateway/recorder.connected")
    assert (alarms["gateway/uplink_down"].for_s, alarms["gateway/uplink_down"].priority) == (300, "low")
    assert all(set(each.text or {}) == {"en", "ko"} for each in alarms.values() if each.name.startswith("gateway/"))
    assert {"gateway/field_silent", "gateway/store_failing", "gateway/state_not_durable"} <= alarms.keys()
    assert alarms["gateway/bus_dead_sensors"].priority == "medium"


def test_health_alarms_follow_what_the_site_has(tmp_path: Path) -> None:
    """Without field devices and cloud nobody is told of their absence; a site may define a health alarm itself."""
    own = "alarms:\n  gateway/recorder_silent: {when: not gateway/recorder.connected, for: 1 min, priority: low}\n"
    alarms = compiled(tmp_path, HEAD + own).rulebook.alarms
    assert sorted(each.name for each in alarms) == [
        "gateway/disk_full",
        "gateway/outputs_failing",
        "gateway/recorder_silent",
        "gateway/state_not_durable",
        "gateway/store_failing",
    ]
    assert next(each for each in alarms if each.name == "gateway/recorder_silent").for_s == 60


def test_a_gpio_bus_need_not_be_written(tmp_path: Path) -> None:
    """The Pi's header is there by itself when no gpio bus is declared, and one bus of a kind needs no naming."""
    text = HEAD + (
        "buses: {only: {type: i2c, device: /dev/i2c-1}}\n"
        "devices:\n"
        "  air: {driver: sht4x, every: 2 s}\n"
        "  door: {driver: contact, line: GPIO6, pull: up, active: high, channel: open}\n"
        "outputs: {fan: {driver: relay, line: 17, active: high}}\n"
    )
    configuration = compiled(tmp_path, text)
    assert Bus("gpio", "gpio", "/dev/gpiochip0") in configuration.buses
    assert [device.bus for device in configuration.devices] == ["only", "gpio"]
    assert configuration.outputs[0].bus == "gpio"
    assert configuration.rulebook.points["fan.on"] == ""


def test_a_driver_of_others_gets_every_kind_of_option(tmp_path: Path) -> None:
    """Numbers, units, words, lists, tables, switches and lines of a foreign driver arrive typed."""
    shelf = Shelf(part("probe", lambda options: (f"address {options.address}",)))
    text = HEAD + (
        "buses: {one: {type: i2c, device: /dev/i2c-1}}\n"
        "devices:\n"
        "  a: {driver: probe, every: 1 min, address: 0x10, gain: 2, mode: fast, settle: 20 ms,"
        " limits: [-5 Cel, '41 [degF]'], names: [on, 12], table: {x: 1}, invert: on,"
        " pin: GPIO9, offset: {level: '0.9 [degF]'}, deadline: 300 ms}\n"
    )
    device = compiled(tmp_path, text, shelf).devices[0]
    assert device.options == {
        "address": 16,
        "gain": 2.0,
        "mode": "fast",
        "settle_s": 0.02,
        "limits_c": (-5.0, pytest.approx(5.0)),
        "names": ("on", "12"),
        "table": {"x": 1.0},
        "invert": True,
        "pin": 9,
    }
    assert device.offsets == {"level": pytest.approx(0.5)}
    assert (device.every_s, device.deadline_s) == (60.0, 0.3)


def test_a_claim_to_the_whole_holds_its_parts(tmp_path: Path) -> None:
    """`address 0x48` and `address 0x48 input 0` conflict in either order; 0x4 is no part of 0x48; buses are apart."""
    whole = part("whole", lambda options: (f"address {options.address}",))
    inlet = part("inlet", lambda options: (f"address {options.address}/input {options.gain:g}",))
    buses = "buses: {one: {type: i2c, device: /dev/i2c-1}, two: {type: i2c, device: /dev/i2c-2}}\ndevices:\n"
    lines = {
        "a": "driver: whole, bus: one, address: 48",
        "b": "driver: inlet, bus: one, address: 48",
        "c": "driver: inlet, bus: two, address: 48, gain: 1",
        "d": "driver: inlet, bus: two, address: 48, gain: 2",
        "e": "driver: whole, bus: two, address: 48",
        "f": "driver: whole, bus: two, address: 4",
    }
    entries = "".join(f"  {name}: {{{keys}, every: 1 s}}\n" for name, keys in lines.items())
    with pytest.raises(ConfigurationError) as refused:
        compiled(tmp_path, HEAD + buses + entries, Shelf(whole, inlet))
    assert [problem.partition("yaml:")[2] for problem in refused.value.problems] == [
        "6: 'b' and 'a' (at line 5) both claim address 48/input 1 on bus 'one'; give one of them another",
        "9: 'e' and 'c' (at line 7) both claim address 48 on bus 'two'; give one of them another",
    ]


def test_a_driver_that_cannot_be_loaded_is_a_problem(tmp_path: Path) -> None:
    """A broken third-party driver is named with file and line instead of stopping the check."""

    class Broken(Shelf):
        def load(self, name: str) -> None:  # type: ignore[override]  # it never returns
            raise RuntimeError("no module named smbus9")

    with pytest.raises(ConfigurationError, match=r"site.yaml:4: driver 'x' can't be loaded \(no module named smbus9\)"):
        compiled(tmp_path, HEAD + "devices:\n  a: {driver: x}\n", Broken(part("x", lambda _: ())))


def test_channels_of_others_are_checked(tmp_path: Path) -> None:
    """A foreign driver's channel needs a name an expression can hold and a unit the gateway knows."""
    odd = part("odd", lambda _: (), channels=lambda _: (Channel("Bad Name", "Cel"), Channel("good", "furlong")))
    text = HEAD + "buses: {one: {type: i2c, device: /dev/i2c-1}}\ndevices: {a: {driver: odd, address: 1, every: 1 s}}\n"
    with pytest.raises(ConfigurationError) as refused:
        compiled(tmp_path, text, Shelf(odd))
    assert len(refused.value.problems) == 2


def test_one_bus_serves_one_process(tmp_path: Path) -> None:
    """A bus can't be opened by control and by field at once."""
    shelf = Shelf(part("here", lambda _: ("a",)), part("there", lambda _: ("b",), process="field"))
    text = HEAD + (
        "buses: {one: {type: i2c, device: /dev/i2c-1}}\n"
        "devices:\n  a: {driver: here, address: 1, every: 1 s}\n  b: {driver: there, address: 1, every: 1 s}\n"
    )
    with pytest.raises(ConfigurationError, match="'b' belongs to process field, but bus 'one' to control"):
        compiled(tmp_path, text, shelf)


def test_control_alone_drives_outputs(tmp_path: Path) -> None:
    """A driven part whose driver runs in field is refused."""
    shelf = Shelf(part("far", lambda _: (), process="field", direction="output"))
    text = HEAD + "buses: {one: {type: i2c, device: /dev/i2c-1}}\noutputs: {a: {driver: far, address: 1}}\n"
    with pytest.raises(ConfigurationError, match="only control may drive outputs"):
        compiled(tmp_path, text, shelf)


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1e999", "9" * 30])
def test_numbers_are_finite(tmp_path: Path, number: str) -> None:
    """A number that is infinite, no number or beyond all measure is refused where it stands."""
    shelf = Shelf(part("probe", lambda _: ()))
    text = HEAD + (
        "buses: {one: {type: i2c, device: /dev/i2c-1}}\n"
        f"devices:\n  a: {{driver: probe, address: 1, every: 1 s, gain: {number}}}\n"
    )
    with pytest.raises(ConfigurationError, match=r"site.yaml:5: 'gain': the number is (not finite|too large)"):
        compiled(tmp_path, text, shelf)


def test_an_interlock_without_priority_gets_its_kinds(tmp_path: Path) -> None:
    """A trip holds slot 2 and a permissive slot 4 when the site says nothing."""
    text = HEAD + (
        "devices: {fan: {driver: contact, line: GPIO5, pull: up, active: low, channel: closed}}\n"
        "outputs: {valve: {driver: relay, line: GPIO17, active: high}}\n"
        "interlocks:\n"
        "  a: {trip: fan.closed, outputs: {valve: inhibit_start}, on_bad_input: hold(2 min)}\n"
        "  b: {permissive: fan.closed, outputs: {valve: off}, on_bad_input: trip}\n"
    )
    first, second = compiled(tmp_path, text).rulebook.interlocks
    assert (first.slot, second.slot) == (Slot.LIFE_SAFETY, Slot.PERMISSIVE)
    assert (first.outputs, first.on_bad_input) == ({"valve": "inhibit_start"}, BadInput("hold", 120.0))
    assert (first.latch, first.bypass_max_s) == (True, 0.0)


def test_a_rule_may_raise_and_log(tmp_path: Path) -> None:
    """`raise` takes one alarm or several, also one that has no condition of its own."""
    text = HEAD + (
        "alarms: {one: {}, two: {}}\n"
        "rules:\n"
        "  a: {when: gateway/recorder.backlog > 5, then: {raise: [one, two], log: the backlog grows}}\n"
        "  b: {when: not gateway/recorder.store_ok, then: {raise: one}}\n"
    )
    rules = compiled(tmp_path, text).rulebook.rules
    assert rules[0].then == (RaiseAlarm("one"), RaiseAlarm("two"), Log("the backlog grows"))
    assert rules[1].then == (RaiseAlarm("one"),)


def site(directory: Path, text: str) -> Path:
    path = directory / "site.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def test_files_in_rules_d_are_read_too(tmp_path: Path) -> None:
    """Rules, alarms and interlocks of `rules.d/*.yaml` beside the site's file belong to the site."""
    path = site(tmp_path, "alarms: {one: {}}\nrules:\n")
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "b.yaml").write_text("rules: {r: {when: gateway/field.connected, then: {raise: two}}}\n")
    (tmp_path / "rules.d" / "a.yaml").write_text("alarms: {two: {}}\n")
    rulebook = compile_files(path).rulebook
    assert [rule.name for rule in rulebook.rules] == ["r"]
    assert {"one", "two"} <= {alarm.name for alarm in rulebook.alarms}


def test_what_is_defined_twice_is_named_at_both_places(tmp_path: Path) -> None:
    """A file in rules.d can't replace what the site says, nor declare devices."""
    path = site(tmp_path, "alarms: {one: {}}\n")
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "more.yaml").write_text("alarms:\n  one: {}\ndevices: {}\n")
    assert problems_of(path) == [
        "rules.d/more.yaml:2: 'one' in 'alarms' is defined at site.yaml:3 too; rename or remove one of them",
        "rules.d/more.yaml:3: a file in rules.d can't have the key 'devices'; it may have: interlocks, alarms, rules",
    ]


def test_the_site_wins_over_the_overlay(tmp_path: Path) -> None:
    """The cloud adds entries and fills missing keys of site and store; what the site says stays whole."""
    path = site(tmp_path, "alarms: {one: {priority: high}}\nstore: {commit: 2 s}\n")
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "site: {id: other, name: From the cloud}\n"
        "alarms: {one: {priority: low, latch: on}, two: {priority: low}}\n"
        "store: {commit: 9 s, critical_budget: 32 MiB}\n"
    )
    configuration = compile_files(path, overlay)
    alarms = {alarm.name: alarm for alarm in configuration.rulebook.alarms}
    assert (alarms["one"].priority, alarms["one"].latch, alarms["two"].priority) == ("high", False, "low")
    assert (configuration.site.id, configuration.site.name) == ("demo", "From the cloud")
    assert (configuration.store.commit_s, configuration.store.critical_budget) == (2.0, 32 * 1024 * 1024)
    assert configuration.hash != compile_files(path).hash


def test_the_overlay_cannot_grant_rights(tmp_path: Path) -> None:
    """Who may do what and which broker is trusted are decided on site only."""
    path = site(tmp_path, "")
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("access: {installer_group: everyone}\nallow_sim_with_cloud: true\n")
    found = problems_of(path, overlay)
    assert [problem.split(";")[0] for problem in found] == [
        "overlay.yaml:1: the overlay can't have the key 'access'",
        "overlay.yaml:2: the overlay can't have the key 'allow_sim_with_cloud'",
    ]


def test_faults_of_several_files_come_together(tmp_path: Path) -> None:
    """Unreadable files are all reported at once."""
    path = site(tmp_path, "alarms: [\n")
    assert [problem.split(":")[0] for problem in problems_of(path, tmp_path / "absent.yaml")] == [
        "absent.yaml",
        "site.yaml",
    ]


def test_problems_stop_at_two_hundred(tmp_path: Path) -> None:
    """A file with thousands of faults shows the first two hundred and how many more there are."""
    path = site(tmp_path, "buses:\n" + "".join(f"  B{n}: {{}}\n" for n in range(1000)))
    found = problems_of(path)
    assert len(found) == 201
    assert found[-1] == "and 800 more problems; cure these first"


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    """A password written into the broker's address does not reach the messages."""
    path = site(tmp_path, 'cloud: {url: "mqtt://me:hunter2@broker:99999", tenant: a, gateway: g}\n')
    assert "hunter2" not in "".join(problems_of(path))
