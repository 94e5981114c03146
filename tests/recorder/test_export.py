"""Export: what is kept, whole, in files that other programs read."""

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.core.record import Lane
from gateway.local.paths import StatePaths
from gateway.recorder.export import Exported, export
from gateway.recorder.outbox import Outbox
from tests.recorder.fakes import event, new_file, telemetry


@pytest.fixture
def kept(directory: Path, outbox: Outbox) -> Path:
    """Six readings, one of them Bad, and two events."""
    bad = [{"d": "fridge", "m": "temperature", "t": 0, "v": None, "q": "BadTimeout"}]
    outbox.commit([telemetry(1, 5), telemetry(6, 1, body=json.dumps(bad).encode())])
    new_file(directory, Lane.EVENTS)
    critical = Outbox(directory, Lane.EVENTS, 2 << 20)
    critical.open()
    critical.commit([event(1, count=2)])
    critical.close()
    return outbox.path.parent


def test_sqlite_has_every_reading_and_event_once(kept: Path, tmp_path: Path) -> None:
    """Identity, time, value and reason of each; a Bad reading has no value; JSON stays JSON."""
    target = tmp_path / "kept.db"
    assert export(kept, target) == Exported(6, 2)
    with closing(sqlite3.connect(target)) as database:
        readings = database.execute("SELECT n, point, value, reason FROM reading ORDER BY n").fetchall()
        events = database.execute("SELECT n, class, subject, what, data FROM event ORDER BY n").fetchall()
    assert readings[:2] == [(1, "fridge.temperature", 1, "Good"), (2, "fridge.temperature", 2, "Good")]
    assert readings[5] == (6, "fridge.temperature", None, "BadTimeout")
    assert events == [(n, "alarm", "walkin_warm", "UNACK", json.dumps({"number": n})) for n in (1, 2)]


def test_csv_has_the_readings_since_a_time(kept: Path, tmp_path: Path) -> None:
    """Older readings are left out; the head names the columns."""
    target = tmp_path / "kept.csv"
    assert export(kept, target, since_ms=1_795_470_000_000 + 1 + 30) == Exported(2, 0)
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["n"], row["value"]) for row in rows] == [("4", "4"), ("5", "5")]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No store, a target that exists, an unknown ending: exit 1 and words; nothing is overwritten."""
    state = tmp_path / "state"
    words = ["export", str(tmp_path / "kept.db"), "--state", str(state)]
    assert main(words) == 1
    assert "nothing is kept" in capsys.readouterr().err
    StatePaths(state).create()
    new_file(StatePaths(state).database_dir, Lane.TELEMETRY)
    (tmp_path / "kept.db").write_text("mine")
    assert main(words) == 1
    assert "exists" in capsys.readouterr().err
    assert (tmp_path / "kept.db").read_text() == "mine"
    assert main(["export", str(tmp_path / "kept.xls"), "--state", str(state)]) == 1
    assert ".db or .csv" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "new.db"), "--since", "7 x", "--state", str(state)]) == 1
    assert "unit" in capsys.readouterr().err
