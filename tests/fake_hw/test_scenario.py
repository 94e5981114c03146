"""Scenarios: commands with their times."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fake_hw import client
from fake_hw.scenario import read_scenario
from fake_hw.simulator import Simulator

DOCUMENT = Path(__file__).parents[2] / "docs/simulation.md"
VERBS = ("door", "fault", "unplug")


def test_the_documented_scenario_is_read_in_order(tmp_path: Path) -> None:
    """Times have units; steps come in the order of their times, however they are written."""
    text = DOCUMENT.read_text(encoding="utf-8").split("```yaml\ntitle:")[1].split("```")[0]
    file = tmp_path / "scenario.yaml"
    file.write_text("title:" + text, encoding="utf-8")
    scenario = read_scenario(str(file), VERBS)
    assert [(step.at_s, step.command.split()[0]) for step in scenario.steps] == [
        (0, "door"),
        (30, "fault"),
        (120, "door"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: []", "a list of"),
        ("title: [", "no YAML"),
        ("steps: [{at: 5 s}]", "step 1: write it as"),
        ("steps: [{at: soon, do: door walkin open}]", "step 1: at: 'soon' is no time within a week"),
        ("steps: [{at: 5 s, do: dor walkin open}]", "step 1: unknown command 'dor'; did you mean door?"),
        ("steps: [{at: 200 h, do: door x}, {at: 1 s, do: ''}]", "step 2: unknown command ''"),
    ],
)
def test_every_mistake_is_told_before_anything_happens(tmp_path: Path, text: str, message: str) -> None:
    """A file with a mistake is refused whole, with place and cure."""
    file = tmp_path / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"scenario\.yaml") as caught:
        read_scenario(str(file), VERBS)
    assert message in str(caught.value)


def test_a_played_scenario_reaches_the_wires(
    kitchen: Simulator, tell: Callable[[str], dict[str, Any]], until: Callable[..., None], tmp_path: Path
) -> None:
    """Its steps are carried out at their times; the next scenario takes the rest of it away."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("steps: [{at: 0.1 s, do: unplug walkin_air}, {at: 1 s, do: unplug freezer_air}]")
    second.write_text("title: b\nsteps: [{at: 0.9 s, do: plug walkin_air}]")
    assert "2 steps in 1 s" in tell(f"play {first}")["message"]
    until(lambda: not kitchen.conditions["walkin_air"].plugged)
    assert tell(f"play {second}")["message"] == "playing 'b': 1 steps in 0.9 s"
    until(lambda: kitchen.conditions["walkin_air"].plugged)
    assert kitchen.conditions["freezer_air"].plugged
    assert not client.command(kitchen.root, "play /nowhere.yaml")["ok"]
