"""The terminal view: drawn from canned data, at any size, whoever is away."""

import io
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway.app.supervisor import ProcessStatus
from gateway.cli.terminal.messages import Words
from gateway.cli.terminal.picture import Picture
from gateway.cli.terminal.view import TerminalView
from tests.cli.conftest import CONTROL, RECORDER, point

PROCESSES = (ProcessStatus("control", 4711, 2, 0.0), ProcessStatus("recorder", None, 0, 0.0))


def picture(**changes: Any) -> Picture:
    """A gateway in full swing."""
    facts: dict[str, Any] = {
        "now": datetime(2026, 11, 24, 0, 0, 3, tzinfo=UTC),
        "now_s": 60.0,
        "words": Words("en"),
        "hello": {"version": "0.1.0", "sim": True, "run": "3cc9ebb793919f48", "configuration": "67ff5dcb31cf"},
        "points": CONTROL["points"],
        "outputs": CONTROL["outputs"],
        "alarms": CONTROL["alarms"],
        "outbox": RECORDER["outbox"],
        "processes": PROCESSES,
    }
    return Picture(**{**facts, **changes})


def drawn(shown: Picture, width: int = 160, height: int = 50) -> str:
    """The picture as text of a terminal of this size."""
    console = Console(record=True, width=width, height=height, file=io.StringIO(), color_system=None)
    console.print(shown.draw(width, height))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 160])
def test_everything_is_in_the_picture(width: int) -> None:
    """Points with unit, quality and age; outputs with value and slot; alarms; accounts; processes; SIMULATED."""
    text = drawn(picture(), width)
    for part in ("3.72 °C", "Good", "3.0 s", "BadTimeout", "2 life_safety", "gas_warning", "active", "telemetry"):
        assert part in text
    for part in ("4711", "stopped", "SIMULATED", "no broker", "on !", "Ctrl-C stops"):
        assert part in text
    assert "fryer_hot" not in text, "alarms that are normal are left out"
    assert max(map(len, text.splitlines())) <= width


def test_korean_kitchens_read_korean() -> None:
    """The same picture in the site's language."""
    text = drawn(picture(words=Words("ko")))
    for part in ("측정점", "출력", "발생", "모의", "브로커 없음"):
        assert part in text


def test_whoever_is_away_is_told() -> None:
    """Without control and recorder the picture says so, and still shows the processes."""
    text = drawn(picture(hello=None, points=None, outputs=None, alarms=None, outbox=None))
    assert "control does not answer" in text
    assert "waiting for the gateway" in text
    assert "4711" in text


@pytest.mark.parametrize(("width", "height"), [(200, 60), (160, 24), (80, 24), (40, 10), (10, 3)])
def test_any_size_can_be_drawn(width: int, height: int) -> None:
    """More points than lines are counted; no size of the terminal breaks the view."""
    many = [point(f"device{number}.temperature", 1.0, "Cel") for number in range(100)]
    text = drawn(picture(points=many), width, height)
    if width >= 80:
        assert "\n│ + " in text
        assert "device0.temperature" in text


def test_the_view_follows_processes_that_come_and_go(state: Path, control: Any) -> None:
    """A look asks whoever is there; when control goes the next look shows that, and the one after its return."""
    view = TerminalView(state, Console(file=io.StringIO()))
    seen = view.look(list(PROCESSES))
    assert seen.points == CONTROL["points"]
    assert seen.outbox is None
    assert seen.hello is not None
    control.answers["points"] = lambda _: 1 / 0
    assert view.look([]).points is None
    control.answers["points"] = []
    assert view.look([]).points == []


def test_the_view_starts_and_stops(state: Path, control: Any) -> None:
    """The thread draws, takes and gives back the alternate screen, and ends at once when told."""
    screen = io.StringIO()
    view = TerminalView(state, Console(file=screen, force_terminal=True, width=120, height=40, color_system=None))
    view.start(lambda: list(PROCESSES))
    deadline = time.monotonic() + 10
    while "walkin_air" not in screen.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    view.stop()
    assert "\x1b[?1049h" in screen.getvalue()
    assert screen.getvalue().rstrip().endswith("\x1b[?1049l")
