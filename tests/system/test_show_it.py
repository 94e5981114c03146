"""What a person sees of the running kitchen: readings, the gas leak, pulled sensors, commands, reload."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.system.kitchen import Broker, Kitchen, wait_for

PULLABLE = ("walkin_air", "walkin_core", "gas_line", "mains", "stock_scale", "dry_store_air")
NEIGHBOURS = {"freezer_air.temperature": 2.0, "freezer_core.temperature": 5.0, "fryer_oil.temperature": 1.0}


def test_first_reading_is_committed_and_every_point_can_be_read(kitchen: Kitchen) -> None:
    """A cold start reaches the first committed reading; `read --json` lists every point with all its fields."""
    wait_for("a committed reading", lambda: kitchen.accounts()["telemetry"]["captured"] > 0)
    wait_for("every device good", lambda: all(row["quality"] == "Good" for row in device_points(kitchen)), 20.0)
    answer = kitchen.gateway("read", "--json")
    assert answer.returncode == 0, answer.stderr
    rows = json.loads(answer.stdout)
    assert len([row for row in rows if not row["point"].startswith("gateway/")]) >= 30
    for row in rows:
        assert {"point", "value", "unit", "quality", "reason", "time"} <= row.keys(), row
        assert (row["value"] is None) == (row["quality"] == "Bad"), row


def device_points(kitchen: Kitchen) -> list[dict[str, object]]:
    """The rows of wired points: no health, no outputs."""
    return [row for name, row in kitchen.points().items() if not name.startswith("gateway/") and ".on" not in name]


def test_gas_leak_closes_the_valve_and_the_latch_holds(kitchen: Kitchen) -> None:
    """Leak: valve shut, siren on, latched after the gas is gone; reset only then; `why` tells it with values."""
    kitchen.sim("set fryer.oil 150")
    wait_for("the valve opens", lambda: kitchen.output("gas_valve")["value"] is True, 20.0)
    assert kitchen.gateway("sim", "gas_leak", "on").returncode == 0
    wait_for("the valve shuts", lambda: kitchen.output("gas_valve")["value"] is False, 10.0)
    assert kitchen.output("siren")["value"] is True
    assert kitchen.output("gas_valve")["slot"] == 2

    refused = kitchen.gateway("reset", "gas_leak")
    assert refused.returncode == 1, "a reset while gas is there must be refused"
    assert "gas.concentration" in refused.stdout + refused.stderr
    assert kitchen.output("gas_valve")["value"] is False

    kitchen.sim("gas_leak off")
    wait_for("the gas is gone", lambda: kitchen.point("gas.concentration")["value"] < 15, 30.0)
    assert kitchen.output("gas_valve")["value"] is False, "the latch must hold"
    reset = kitchen.gateway("reset", "gas_leak")
    assert reset.returncode == 0, reset.stdout + reset.stderr
    wait_for("the valve opens again", lambda: kitchen.output("gas_valve")["value"] is True, 20.0)

    story = kitchen.gateway("why", "gas_valve")
    assert story.returncode == 0
    assert "gas_leak" in story.stdout
    assert "gas.concentration" in story.stdout
    levels = [(row["level"], row["why"]) for row in kitchen.lines() if row["line"] == "GPIO17"]
    assert (1, "set") in levels, "the wire itself must have moved"


def test_pulled_sensors_are_bad_alone_and_recover(kitchen: Kitchen) -> None:
    """Unplug some of each bus: BAD within the deadline, their neighbours keep their rate; plugged in: GOOD again."""
    mine = {name for name in kitchen.points() if name.split(".")[0] in PULLABLE}
    wait_for("good before", lambda: {kitchen.point(name)["quality"] for name in mine} == {"Good"}, 20.0)
    for device in PULLABLE:
        kitchen.sim(f"unplug {device}")
    wait_for("bad", lambda: {kitchen.point(name)["quality"] for name in mine} == {"Bad"}, 12.0)
    assert {kitchen.point(name)["value"] for name in mine} == {None}
    for name, every_s in NEIGHBOURS.items():
        before = kitchen.point(name)["time"]
        wait_for(f"{name} goes on", partial(kitchen.fresh, name, before), every_s + 1.5)
    for device in PULLABLE:
        kitchen.sim(f"plug {device}")
    wait_for("good again", lambda: {kitchen.point(name)["quality"] for name in mine} == {"Good"}, 30.0)


def test_pulled_gas_sensor_trips_its_interlock(kitchen: Kitchen) -> None:
    """A gas sensor whose wire is cut is a trip, not a zero."""
    kitchen.sim("set fryer.oil 150")
    wait_for("the valve opens", lambda: kitchen.output("gas_valve")["value"] is True, 20.0)
    kitchen.sim("unplug gas")
    wait_for("the valve shuts", lambda: kitchen.output("gas_valve")["value"] is False, 5.0)
    assert kitchen.interlock("gas_leak")["tripped"]


def test_emergency_stop_holds_slot_one(kitchen: Kitchen) -> None:
    """The wired emergency stop acts at once in slot 1, and a manual command can't override it."""
    wait_for("readings", lambda: kitchen.point("estop.pressed")["quality"] == "Good")
    kitchen.sim("estop press")
    wait_for("slot 1 holds", lambda: kitchen.output("fryer_contactor")["slot"] == 1, 5.0)
    kitchen.command("set", "fryer_contactor", value=True, for_s=60.0, reason="test")
    assert kitchen.output("fryer_contactor")["value"] is False
    assert kitchen.output("fryer_contactor")["slots"]["8"] is True, "the command is there, overruled"


def test_invalid_configuration_never_replaces_a_running_one(kitchen: Kitchen) -> None:
    """`reload` of a broken file: the error is shown with its line, the old configuration keeps running."""
    good = kitchen.file.read_text()
    kitchen.file.write_text(good.replace("driver: sht4x", "driver: sht5x", 1))
    refused = kitchen.gateway("reload", str(kitchen.file))
    assert refused.returncode == 1
    assert "sht4x" in refused.stdout + refused.stderr, "did you mean"
    assert kitchen.point("walkin_air.temperature")

    kitchen.file.write_text(good.replace("gas.concentration > 20", "gas.concentration > 15"))
    run, valve = kitchen.ask().connection.hello["run"], kitchen.output("walkin_light")["since"]
    accepted = kitchen.gateway("reload", str(kitchen.file))
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert kitchen.ask().connection.hello["run"] == run, "a reload is no restart"
    assert kitchen.output("walkin_light")["since"] == valve, "an output that stays is not touched"


def test_second_gateway_on_the_same_state_is_refused(kitchen: Kitchen) -> None:
    """Two daemons on one state directory: the second one says so and ends; the first goes on."""
    for command in ("run", "control", "recorder"):
        words = [command, str(kitchen.file), "--sim", "--plain"] if command == "run" else [command]
        answer = kitchen.gateway(*words)
        assert answer.returncode != 0
        assert "already" in (answer.stdout + answer.stderr).lower(), answer
    assert kitchen.points()


def test_clean_stop_leaves_every_output_safe(broker: Broker) -> None:
    """Ctrl-C: exit status 0, every line at its safe level, the last events stored."""
    with Kitchen(broker) as kitchen:
        kitchen.sim("set fryer.oil 150")
        wait_for("an output is on", lambda: any(row["value"] for row in kitchen.query("outputs")), 20.0)
        root = kitchen.state / "sim"
        assert kitchen.stop() == 0
        levels: dict[str, int] = {}
        for line in (root / "lines.jsonl").read_text().splitlines():
            row = json.loads(line)
            levels[row["line"]] = row["level"]
        safe = {"GPIO17": 0, "GPIO22": 0, "GPIO23": 0, "GPIO24": 0, "GPIO27": 0, "GPIO25": 0, "GPIO18": 0, "GPIO10": 1}
        assert {line: levels[line] for line in safe} == safe


def test_terminal_view_stops_cleanly() -> None:
    """`gateway run` on a terminal shows the points and ends on Ctrl-C (in a pseudo-terminal of tmux-like size)."""
    kitchen = Kitchen()
    with kitchen.log.open("wb") as log:
        view = subprocess.Popen(
            ["script", "-qfc", f"python3 -m gateway run {kitchen.file} --state {kitchen.state} --sim", "/dev/null"],
            stdout=log,
            stdin=subprocess.DEVNULL,
            env={**kitchen.environment, "PATH": venv_path(), "TERM": "xterm-256color", "COLUMNS": "140", "LINES": "60"},
        )
    try:
        wait_for("the view shows a point", lambda: b"walkin_air" in kitchen.log.read_bytes(), 20.0)
        (supervisor,) = wait_for("the supervisor", lambda: kitchen.pids("run"))[-1:]
        os.kill(supervisor, signal.SIGINT)
        assert view.wait(20) == 0
    finally:
        view.kill()
        kitchen.__exit__()


def venv_path() -> str:
    """A PATH on which `python3` is the interpreter of these tests."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"
