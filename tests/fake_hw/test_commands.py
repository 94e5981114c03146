"""The simulator's command line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fake_hw import client
from fake_hw.physics.kitchen import read
from fake_hw.simulator import Simulator

Tell = Callable[[str], dict[str, Any]]
DOCUMENT = Path(__file__).parents[2] / "docs/simulation.md"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing to do"),
        ("gas_lek on", "unknown command 'gas_lek'; did you mean gas_leak?"),
        ("gas_leak maybe", "usage: gas_leak on|upstream|off"),
        ("door walkn open", "unknown door 'walkn'; did you mean walkin?"),
        ("door walkin", "usage: door"),
        ("unplug walkin_ar", "did you mean walkin_air?"),
        ("fault walkin_air melted", "cannot have the fault 'melted'; it can have:"),
        ("fault walkin_air nack for ever", "'ever' is not a number"),
        ("fault gas_valve nack", "it can have: cut, welded"),
        ("set walkin.air warm", "'warm' is not a number"),
        ("set walkin.air nan", "outside"),
        ("set walkin.aire 3", "did you mean walkin.air?"),
        ("speed 0 1", "usage: speed FACTOR"),
        ("speed 5000", "outside 0 to 1000"),
        ("log 0", "outside"),
        ("status now", "takes no words"),
    ],
)
def test_wrong_commands_say_what_would_be_right(kitchen: Simulator, text: str, message: str) -> None:
    """A command that means nothing is refused with what was typed and what to type."""
    answer = client.command(kitchen.root, text)
    assert answer["ok"] is False
    assert message in answer["message"]


def test_a_leak_behind_a_closed_valve_says_so(tell: Tell) -> None:
    """Whoever switches the leak on learns why nothing happens yet."""
    assert "the valve is closed" in tell("gas_leak on")["message"]
    assert tell("status")["status"]["gas_leak"] == "line"
    assert tell("gas_leak off")["message"] == "no leak"


def test_set_moves_and_hold_holds(kitchen: Simulator, tell: Tell, until: Callable[..., None]) -> None:
    """`set` lets the physics go on from the new value, `hold` keeps it until told otherwise."""
    tell("set gas.concentration 40")
    until(lambda: read(kitchen.kitchen, "gas.concentration") < 39)
    tell("hold gas.concentration 40")
    began = kitchen.kitchen.time_s
    until(lambda: kitchen.kitchen.time_s > began + 0.3)
    assert tell("status")["status"]["quantities"]["gas.concentration"] == 40
    tell("hold gas.concentration none")
    until(lambda: read(kitchen.kitchen, "gas.concentration") < 39)


def test_speed_changes_physical_time(kitchen: Simulator, tell: Tell, until: Callable[..., None]) -> None:
    """`speed` makes physical time run faster from now on."""
    tell("speed 500")
    until(lambda: kitchen.kitchen.time_s > 60, 3.0)


def test_devices_tells_what_is_wrong_and_what_could_be(tell: Tell) -> None:
    """`devices` lists every device with its plug, its fault and its possible faults."""
    tell("fault walkin_air frozen")
    tell("unplug siren")
    devices = tell("devices")["devices"]
    assert devices["walkin_air"]["fault"] == "frozen"
    assert {"nack", "crc", "frozen"} <= set(devices["walkin_air"]["faults"])
    assert devices["siren"] == {"plugged": False, "fault": "", "faults": ["cut", "welded"]}


def test_each_contact_moves_with_its_command(kitchen: Simulator, tell: Tell) -> None:
    """Every command about a contact is on its line when the command has answered."""
    for command, line, level in (
        ("door walkin open", "GPIO6", None),
        ("door freezer open", "GPIO12", None),
        ("door oven open", "GPIO21", None),
        ("door back open", "GPIO26", None),
        ("estop press", "GPIO13", None),
        ("suppression discharge", "GPIO19", None),
        ("door walkin close", "GPIO6", 0),
        ("door freezer close", "GPIO12", 0),
        ("door oven close", "GPIO21", 0),
        ("door back close", "GPIO26", 0),
        ("estop release", "GPIO13", 0),
        ("suppression restore", "GPIO19", 0),
    ):
        tell(command)
        assert kitchen.lines.lines[int(line[4:])].drive == level, command


def test_several_commands_on_one_connection(kitchen: Simulator) -> None:
    """A connection may send many lines, also several at once, and gets an answer to each in order."""
    import json
    import socket

    from fake_hw.node import connect

    with connect(f"{kitchen.root}/sim.sock", socket.SOCK_STREAM) as connection:
        connection.sendall(b'{"command": "levels"}\n{"command": "nonsense"}\n{"command": "devices"}\n')
        with connection.makefile() as answers:
            assert [json.loads(answers.readline())["ok"] for _ in range(3)] == [True, False, True]


def test_stopping_twice_is_harmless(kitchen: Simulator, tell: Tell, until: Callable[..., None]) -> None:
    """After `stop` the nodes are gone, and stopping what has stopped does nothing."""
    tell("stop")
    until(lambda: not (Path(kitchen.root) / "ready").exists())
    kitchen.stop()
    kitchen.stop()


def test_every_command_is_documented(tell: Tell) -> None:
    """docs/simulation.md has every command."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for verb in re.findall(r"\w+", tell("help")["message"].split(";")[0].split(":")[1]):
        assert f"`{verb}" in text, verb
