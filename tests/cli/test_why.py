"""`gateway why`: one story from two processes."""

from collections.abc import Callable
from typing import Any

from tests.cli.conftest import TIME

EVENT = {
    "class": "output",
    "subject": "gas_valve",
    "what": "off",
    "time": TIME,
    "data": {"value": False, "before": True, "slot": 2, "reason": "gas", "inputs": {"walkin_air.temperature": 3.5}},
}
OLD = {**EVENT, "what": "on", "time": "2026-11-23T00:00:00.000Z", "data": {**EVENT["data"], "value": True, "slot": 13}}  # type: ignore[dict-item]  # data is a dict


def test_the_story_goes_back_to_what_was_kept(gateway: Callable[..., Any], control: Any, recorder: Any) -> None:
    """Newest first from control, older ones from the recorder, with units; the limit holds."""
    control.answers["why"] = [EVENT]
    recorder.answers["why"] = [EVENT, OLD]
    lines = gateway("why", "gas_valve").out.splitlines()
    assert len(lines) == 2
    assert "gas_valve went off, held by slot 2 (life safety): gas (walkin_air.temperature = 3.5 °C)" in lines[0]
    assert "slot 13" in lines[1]
    assert [event["what"] for event in gateway("why", "gas_valve", "--json").json] == ["off", "on"]
    assert len(gateway("why", "gas_valve", "--limit", "1").out.splitlines()) == 1


def test_without_a_recorder_the_recent_story_is_told(gateway: Callable[..., Any], control: Any) -> None:
    """The recorder may be away: what control knows is told."""
    control.answers["why"] = [EVENT]
    answer = gateway("why", "gas_valve")
    assert (answer.code, len(answer.out.splitlines())) == (0, 1)


def test_a_target_without_events_or_without_existence(gateway: Callable[..., Any], control: Any) -> None:
    """Nothing happened is said so; a name that does not exist is exit code 1 with the closest one."""
    assert "nothing has happened to siren" in gateway("why", "siren").out
    answer = gateway("why", "sirene")
    assert answer.code == 1
    assert "did you mean siren?" in answer.err


def test_when_control_is_dead_the_kept_story_is_told(gateway: Callable[..., Any], recorder: Any) -> None:
    """Why control died is asked most of all then: the recorder answers alone."""
    recorder.answers["why"] = [EVENT, OLD]
    answer = gateway("why", "gas_valve")
    assert (answer.code, len(answer.out.splitlines())) == (0, 2)
    assert [event["what"] for event in gateway("why", "gas_valve", "--json").json] == ["off", "on"]


def test_without_control_and_recorder_nobody_tells(gateway: Callable[..., Any]) -> None:
    """Exit code 3, as for every question to a gateway that does not run."""
    assert gateway("why", "gas_valve").code == 3
