"""`gateway check`: what it prints, what it returns, what it writes."""

import argparse
import json
from pathlib import Path

import pytest

from gateway.cli import check
from gateway.settings import snapshot

KITCHEN = Path(__file__).parents[2] / "config" / "kitchen.yaml"


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args([str(word) for word in words]))


def test_a_good_file_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """A good file exits 0 and shows how much of everything it holds, and its hash."""
    assert run(KITCHEN) == 0
    out = capsys.readouterr().out
    assert f"{KITCHEN}: good" in out
    assert "  devices     22\n" in out
    assert "  outputs     8\n" in out
    assert "  hash        " in out


def test_every_problem_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A faulty file exits 1 and shows all its problems, by file and line, on standard error."""
    path = tmp_path / "site.yaml"
    path.write_text("version: 1\nsite: {id: A B}\nbus: {}\n")
    assert run(path) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0].startswith(f"{path}:2: 'id': 'A B' has the wrong form")
    assert lines[1] == f"{path}:3: unknown key 'bus'; did you mean 'buses'?"
    assert lines[2] == "2 problems: nothing was changed"


def test_json_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one object in both cases."""
    assert run(KITCHEN, "--json") == 0
    good = json.loads(capsys.readouterr().out)
    assert (good["ok"], good["problems"], good["devices"]) == (True, [], 22)
    assert run(tmp_path / "absent.yaml", "--json") == 1
    bad = json.loads(capsys.readouterr().out)
    assert bad == {"ok": False, "problems": [f"{tmp_path}/absent.yaml:1: there is no such file; check the path"]}


def test_compile_writes_the_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--compile writes what the processes load; the printed hash is the snapshot's."""
    assert run(KITCHEN, "--compile", "--state", tmp_path, "--json") == 0
    configuration = snapshot.read(tmp_path / "config" / "current.json")
    assert configuration.hash == json.loads(capsys.readouterr().out)["hash"]


def test_an_invalid_file_never_replaces_a_snapshot(tmp_path: Path) -> None:
    """When the file is bad the running snapshot stays as it is."""
    run(KITCHEN, "--compile", "--state", tmp_path)
    before = (tmp_path / "config" / "current.json").read_bytes()
    path = tmp_path / "site.yaml"
    path.write_text("version: 2\n")
    assert run(path, "--compile", "--state", tmp_path) == 1
    assert (tmp_path / "config" / "current.json").read_bytes() == before


def test_without_compile_nothing_is_written(tmp_path: Path) -> None:
    """A mere check leaves no trace in the state directory."""
    assert run(KITCHEN, "--state", tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_state_directory_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot that can't be written is reported with its path, not as a crash."""
    (tmp_path / "state").write_text("a file where the directory should be")
    assert run(KITCHEN, "--compile", "--state", tmp_path / "state") == 1
    assert "current.json: the snapshot can't be written" in capsys.readouterr().err


def test_the_overlay_is_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--overlay adds the cloud's part."""
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("alarms: {from_the_cloud: {priority: low}}\n")
    run(KITCHEN, "--json")
    alone = json.loads(capsys.readouterr().out)
    assert run(KITCHEN, "--overlay", overlay, "--json") == 0
    assert json.loads(capsys.readouterr().out)["alarms"] == alone["alarms"] + 1
