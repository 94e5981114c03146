"""Every command: what it asks, what it prints, how it ends."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.__main__ import command_names, load, main
from gateway.core.role import Role, Verb

Gateway = Callable[..., Any]


def test_read_shows_value_unit_quality_and_age(gateway: Gateway, control: Any) -> None:
    """A row per point: the value in people's units, its quality with the reason, its age, and what is wrong."""
    answer = gateway("read")
    lines = {line.split()[0]: line for line in answer.out.splitlines()[1:]}
    assert answer.code == 0
    assert "3.72 °C" in lines["walkin_air.temperature"]
    assert "61 %RH" in lines["walkin_air.humidity"]
    assert " yes " in lines["walkin_door.open"]
    assert " off " in lines["gas_valve.on"]
    assert "Bad (BadTimeout)" in lines["mains.power"]
    assert "no answer within 0.5 s" in lines["mains.power"]
    assert "\x1b" not in answer.out, "no colours where nobody looks"


def test_read_json_is_the_contract(gateway: Gateway, control: Any) -> None:
    """`read --json` is a list of point, value, unit, quality, reason, time; a point, a device or a group picks."""
    rows = gateway("read", "--json").json
    assert len(rows) == 6
    assert {"point", "value", "unit", "quality", "reason", "time"} <= rows[0].keys()
    assert [row["point"] for row in gateway("read", "walkin_air", "gas_valve.on", "--json").json] == [
        "walkin_air.temperature",
        "walkin_air.humidity",
        "gas_valve.on",
    ]
    assert [row["point"] for row in gateway("read", "gateway", "--json").json] == ["gateway/recorder.connected"]


def test_a_name_that_picks_nothing_is_explained(gateway: Gateway, control: Any) -> None:
    """A misspelt name ends with exit code 1 and the closest one; with --json as JSON."""
    answer = gateway("read", "walkin_air.temprature")
    assert answer.code == 1
    assert "did you mean walkin_air.temperature?" in answer.err
    answer = gateway("outputs", "gas_valv", "--json")
    assert (answer.code, answer.json["ok"]) == (1, False)


@pytest.mark.parametrize(
    "words",
    [
        ("read",),
        ("outputs",),
        ("alarms",),
        ("interlocks",),
        ("health",),
        ("outbox",),
        ("history", "a.b"),
        ("why", "gas_valve"),
        ("set", "siren", "on", "--for", "1 min"),
        ("reload",),
        ("sim", "gas_leak", "on"),
        ("sim", "levels"),
    ],
)
def test_nobody_there_is_exit_code_3(words: tuple[str, ...], gateway: Gateway, state: Path) -> None:
    """Where no gateway runs each command says where it looked and what to do; exit code 3, also with --json."""
    answer = gateway(*words)
    assert answer.code == 3
    assert str(state) in answer.err
    assert "start it with ./run" in answer.err
    assert gateway(*words, "--json").json["ok"] is False


COMMANDS: list[tuple[tuple[str, ...], Verb, Role, dict[str, Any]]] = [
    (
        ("set", "siren", "on", "--for", "10 min", "--reason", "test"),
        Verb.SET,
        Role.OPERATOR,
        {"target": "siren", "value": True, "for_s": 600.0, "reason": "test"},
    ),
    (
        ("set", "siren", "off", "--for", "90"),
        Verb.SET,
        Role.OPERATOR,
        {"target": "siren", "value": False, "for_s": 90.0},
    ),
    (("release", "siren"), Verb.RELEASE, Role.OPERATOR, {"target": "siren"}),
    (("ack", "gas_warning"), Verb.ACK, Role.OPERATOR, {"target": "gas_warning"}),
    (
        ("shelve", "fryer_hot", "--for", "1 h", "--reason", "oil change"),
        Verb.SHELVE,
        Role.OPERATOR,
        {"target": "fryer_hot", "for_s": 3600.0, "reason": "oil change"},
    ),
    (("unshelve", "fryer_hot"), Verb.UNSHELVE, Role.OPERATOR, {"target": "fryer_hot"}),
    (("reset", "gas_leak"), Verb.RESET, Role.INSTALLER, {"target": "gas_leak"}),
    (
        ("bypass", "fryer", "--for", "5 min", "--reason", "service"),
        Verb.BYPASS,
        Role.INSTALLER,
        {"target": "fryer", "for_s": 300.0, "reason": "service"},
    ),
    (("bypass", "fryer", "--end"), Verb.BYPASS, Role.INSTALLER, {"target": "fryer", "for_s": 0.0}),
    (("sim", "fault", "gas", "stuck", "for", "5"), Verb.SIM, Role.INSTALLER, {"target": "fault gas stuck for 5"}),
    (("reload",), Verb.RELOAD, Role.INSTALLER, {"target": ""}),
]


@pytest.mark.parametrize(("words", "verb", "role", "fields"), COMMANDS)
def test_commands_carry_their_fields_as_the_least_role(
    words: tuple[str, ...], verb: Verb, role: Role, fields: dict[str, Any], gateway: Gateway, control: Any
) -> None:
    """A command arrives with exactly what was typed, asked for as the least role that may; the answer is printed."""
    answer = gateway(*words)
    assert answer.code == 0
    assert answer.out == f"{verb} {fields['target']}: done\n"
    (command,) = control.commands
    assert (command.verb, command.role) == (verb, role)
    assert {key: getattr(command, key) for key in fields} == fields

    control.refuse = "no: because; do that"
    refused = gateway(*words)
    assert (refused.code, refused.out, refused.err) == (1, "", "no: because; do that\n")
    assert gateway(*words, "--json").json == {"ok": False, "message": "no: because; do that"}


@pytest.mark.parametrize(
    "words",
    [
        ("set", "siren", "on"),
        ("set", "siren", "maybe", "--for", "1 min"),
        ("set", "siren", "nan", "--for", "1 min"),
        ("set", "siren", "1e400%", "--for", "1 min"),
        ("set", "siren", "on", "--for", "soon"),
        ("set", "siren", "on", "--for", "3 Cel"),
        ("shelve", "fryer_hot", "--for", "1 h"),
        ("bypass", "fryer"),
        ("sim",),
        ("why",),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], gateway: Gateway, control: Any) -> None:
    """What can't be meant is told before anything is asked."""
    answer = gateway(*words)
    assert answer.code == 2
    assert answer.err
    assert control.commands == []


def test_outputs_show_slot_and_line(gateway: Gateway, control: Any) -> None:
    """A row per output with the slot that holds it, the level on its line and why."""
    lines = gateway("outputs").out.splitlines()
    assert "2 life_safety" in lines[1]
    assert "interlock gas_leak" in lines[1]
    assert lines[2].split()[:4] == ["siren", "on", "off", "relinquish_default"]
    assert "unknown" in lines[3]
    assert gateway("outputs", "siren", "--json").json[0]["driven"] is False


def test_alarms_show_what_is_not_normal(gateway: Gateway, control: Any) -> None:
    """Without names only alarms that are not normal; all or named ones on demand; a word when all is well."""
    assert "gas_warning" in (short := gateway("alarms").out)
    assert "fryer_hot" not in short
    assert "fryer_hot" in gateway("alarms", "--all").out
    assert [row["alarm"] for row in gateway("alarms", "fryer_hot", "--json").json] == ["fryer_hot"]
    control.answers["alarms"] = []
    assert gateway("alarms").out == "no alarms\n"


def test_interlocks_tell_tripped_from_latched(gateway: Gateway, control: Any) -> None:
    """An interlock whose cause stands is tripped; one that only waits for its reset says so."""
    lines = [line.split(maxsplit=1) for line in gateway("interlocks").out.splitlines()[1:]]
    states = {name: rest.strip() for name, rest in lines}
    assert states["gas_leak"].startswith("tripped, cause gone: needs a reset")
    assert states["estop"].startswith("tripped  ")
    assert states["fryer"] == "bypassed"
    assert states["hood"] == "clear"


@pytest.mark.usefixtures("korean")
def test_the_sites_language_is_spoken(gateway: Gateway, control: Any) -> None:
    """Where the configuration says Korean, heads, states and qualities are Korean; JSON stays as it is."""
    assert "측정점" in gateway("read").out
    assert "발생" in gateway("alarms").out
    assert gateway("alarms", "--json").json[0]["state"] == "UNACK"


def test_outbox_shows_the_accounts(gateway: Gateway, recorder: Any) -> None:
    """A row per class with its six counts, and how the uplink and the store are."""
    answer = gateway("outbox")
    assert answer.out.splitlines()[1].split() == ["telemetry", "10", "6", "3", "0", "1", "0"]
    assert "uplink: connected False" in answer.out
    assert gateway("outbox", "--json").json["classes"]["telemetry"]["pending"] == 3


def test_history_shows_kept_readings(gateway: Gateway, recorder: Any) -> None:
    """Readings of one point with local time, value and what was wrong; the span is asked for in seconds."""
    answer = gateway("history", "walkin_air.temperature", "--since", "10 min", "--limit", "5")
    assert recorder.asked == [("history", {"point": "walkin_air.temperature", "since_s": 600.0, "limit": 5})]
    assert "3.5" in answer.out
    assert "BadTimeout" in answer.out
    assert len(gateway("history", "a.b", "--json").json) == 2


def test_health_shows_the_inner_state(gateway: Gateway, control: Any) -> None:
    """Who answers, its ring, its loop, its peers."""
    answer = gateway("health")
    assert "run: 3cc9ebb793919f48" in answer.out
    assert '  telemetry: {"held": 3}' in answer.out
    assert gateway("health", "--json").json["loop"] == {"steps": 7}


def test_reload_compiles_first_and_keeps_the_old_when_that_fails(
    gateway: Gateway, control: Any, state: Path, tmp_path: Path
) -> None:
    """A file with a fault is shown with its line and never reaches control."""
    broken = tmp_path / "kitchen.yaml"
    broken.write_text("version: 1\nsite: {id: x}\nbuzes: {}\n")
    answer = gateway("reload", str(broken))
    assert answer.code == 1
    assert "kitchen.yaml:3" in answer.err
    assert control.commands == []


def test_help_lists_every_command() -> None:
    """`gateway --help` has one line for each; each module has HELP, add_arguments and run."""
    listed = subprocess.run([sys.executable, "-m", "gateway", "--help"], capture_output=True, text=True, check=True)
    for name in command_names():
        command = load(name)
        assert f"\n    {name}" in listed.stdout
        assert " ".join(command.HELP.split()) in " ".join(listed.stdout.split())
        assert callable(command.run)
    expected = "read set release why alarms ack shelve unshelve reset bypass outbox history sim outputs health"
    assert set(f"{expected} reload control field recorder run check".split()) <= set(command_names())


@pytest.mark.parametrize("name", command_names())
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`gateway COMMAND --help` works everywhere and ends with 0."""
    with pytest.raises(SystemExit) as exit:
        main([name, "--help"])
    assert exit.value.code == 0
    assert f"gateway {name}" in capsys.readouterr().out


def test_version_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` names the release; a misspelt command is answered with the closest one and exit code 2."""
    with pytest.raises(SystemExit) as exit:
        main(["--version"])
    assert exit.value.code == 0
    assert capsys.readouterr().out.startswith("gateway 0.")
    assert main(["raed"]) == 2
    assert "did you mean read?" in capsys.readouterr().err
    assert main(["terminal"]) == 2
    assert main([]) == 2


def test_read_is_quick_and_light(control: Any, state: Path) -> None:
    """`gateway read` costs at most 100 ms of processor time and loads nothing that it does not need."""
    program = (
        "import resource, sys\nfrom gateway.__main__ import main\ncode = main(sys.argv[1:])\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = {'rich', 'yaml', 'asyncio', 'ssl', 'sqlite3', 'paho', 'ctypes', 'subprocess'} & set(sys.modules)\n"
        "print(code, used.ru_utime + used.ru_stime, sorted(heavy), file=sys.stderr)"
    )

    def measure() -> tuple[str, float, str]:
        words = [sys.executable, "-c", program, "read", "--state", str(state)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ})
        code, used_s, heavy = done.stderr.split(maxsplit=2)
        return code, float(used_s), heavy.strip()

    runs = [measure() for _ in range(3)]
    assert {(code, heavy) for code, _, heavy in runs} == {("0", "[]")}
    assert min(used_s for _, used_s, _ in runs) < 0.1


def test_a_reader_that_has_enough_is_no_error(control: Any, state: Path) -> None:
    """`gateway read | head -1` ends quietly."""
    control.answers["points"] = control.answers["points"] * 1000
    line = f"{sys.executable} -m gateway read --state {state} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_the_wires_own_log_is_shown(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gateway sim log` prints each transition, not only how many there were."""
    entry = {"t_ns": 8_512_445_345_103, "line": "GPIO17", "level": 0, "why": "claim", "pid": 2501}
    answer = {"ok": True, "message": "the last 1 transitions", "log": [entry]}
    monkeypatch.setattr("fake_hw.client.command", lambda *_: answer)
    lines = gateway("sim", "log").out.splitlines()
    assert lines == ["the last 1 transitions", "   8512.445345 s  GPIO17  0  claim (pid 2501)"]
    assert gateway("sim", "log", "--json").json == answer
