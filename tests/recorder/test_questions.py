"""recorder.sock's answers, and reading beside the writer."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.core.errors import Refused
from gateway.core.record import Lane, RecordClass
from gateway.local.server import Peer
from gateway.recorder.outbox import Outbox
from gateway.recorder.questions import Questions
from gateway.recorder.reader import Reader
from tests.recorder.fakes import telemetry

PEER = cast(Peer, None)
"""No answer depends on who asks."""


@pytest.fixture
def questions(directory: Path) -> Questions:
    return Questions(
        directory,
        hello=lambda: {"process": "recorder"},
        outbox=lambda: {"classes": {}},
        health=dict,
        now_ms=lambda: 1_795_470_000_100,
    )


@pytest.fixture
def reader(outbox: Outbox) -> Iterator[Reader]:
    made = Reader(outbox.path.parent)
    yield made
    made.close()


def _rows(*rows: dict[str, Any]) -> bytes:
    return json.dumps(rows, separators=(",", ":")).encode()


def test_history_is_one_points_readings_newest_last(outbox: Outbox, questions: Questions) -> None:
    """Other channels, other devices and older readings are left out; the limit keeps the newest."""
    rows = [{"d": "fridge", "m": "temperature", "t": i, "v": i} for i in range(5)]
    others = [{"d": "fridge", "m": "humidity", "t": 0, "v": 1}, {"d": "fridge2", "m": "temperature", "t": 0, "v": 2}]
    outbox.commit([telemetry(1, 5, body=_rows(*rows, *others)), telemetry(8, 1, body=_rows(*others))])
    found = cast(list[dict[str, Any]], questions.query(PEER, "history", {"point": "fridge.temperature"}))
    assert [row["value"] for row in found] == [0, 1, 2, 3, 4]
    newest = cast(list[dict[str, Any]], questions.query(PEER, "history", {"point": "fridge.temperature", "limit": 2}))
    assert [row["value"] for row in newest] == [3, 4]
    late = {"point": "fridge.temperature", "since_s": 0.096}
    assert [row["value"] for row in cast(list[dict[str, Any]], questions.query(PEER, "history", late))] == [3, 4]


def test_a_device_name_outside_ascii_is_found(outbox: Outbox, questions: Questions) -> None:
    """Names are compared as control writes them, unescaped."""
    row = {"d": "냉장고", "m": "온도", "t": 0, "v": 3}
    body = json.dumps([row], ensure_ascii=False, separators=(",", ":")).encode()
    outbox.commit([telemetry(1, 1, body=body)])
    assert questions.query(PEER, "history", {"point": "냉장고.온도"})


def test_a_hanging_disk_does_not_hold_the_server_for_long(
    questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that takes too long is refused with words; the next question is refused at once meanwhile."""
    monkeypatch.setattr("gateway.recorder.questions.DISK_S", 0.05)
    release = threading.Event()
    monkeypatch.setattr(Reader, "why", lambda *_: release.wait(10) and [])
    with pytest.raises(Refused, match="did not answer within"):
        questions.query(PEER, "why", {"target": "x"})
    with pytest.raises(Refused, match="earlier question"):
        questions.query(PEER, "why", {"target": "x"})
    assert questions.query(PEER, "outbox", {}) == {"classes": {}}
    release.set()


def test_without_files_there_are_no_answers_but_no_failure_either(questions: Questions) -> None:
    """Before the first commit, history and why are empty."""
    assert questions.query(PEER, "history", {"point": "a.b"}) == []
    assert questions.query(PEER, "why", {"target": "a"}) == []


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("weather", {}),
        ("history", {}),
        ("history", {"point": 5}),
        ("history", {"point": ""}),
        ("history", {"point": "a.b", "since_s": 0}),
        ("history", {"point": "a.b", "since_s": "1"}),
        ("history", {"point": "a.b", "limit": True}),
        ("history", {"point": "a.b", "limit": 10**9}),
        ("why", {"target": ["x"]}),
    ],
)
def test_a_wrong_question_is_explained(questions: Questions, what: str, arguments: dict[str, Any]) -> None:
    """Unknown questions and wrong arguments are ValueErrors with words, nothing else."""
    with pytest.raises(ValueError, match=r"unknown query|must be"):
        questions.query(PEER, what, arguments)


@pytest.mark.parametrize("text", [_rows({"d": "fridge"}) * 20, b"[7319]"])
def test_a_row_with_other_bytes_is_named_not_sent(outbox: Outbox, reader: Reader, text: bytes) -> None:
    """One flipped bit, deflated or plain, is seen: the row is reported as damaged, its neighbours are good."""
    outbox.commit([telemetry(1), telemetry(4, body=text), telemetry(7)])
    connection = sqlite3.connect(outbox.path)
    body = bytearray(connection.execute("SELECT body FROM record WHERE id = 2").fetchone()[0])
    body[len(body) // 2] ^= 4
    connection.execute("UPDATE record SET body = ? WHERE id = 2", (bytes(body),))
    connection.commit()
    connection.close()
    found, damaged = reader.pending(Lane.TELEMETRY, "epoch", 1, 99, [RecordClass.TELEMETRY])
    assert [stored.batch.first for stored in found] == [1, 7]
    assert [(stored.row, stored.batch.first, stored.batch.count) for stored in damaged] == [(2, 4, 3)]


def test_what_is_fetched_at_once_is_bounded(outbox: Outbox, reader: Reader) -> None:
    """However large the batches, a fetch holds about a megabyte."""
    import random

    for number in range(1, 8):
        outbox.commit([telemetry(number, 1, body=random.Random(number).randbytes(250_000))])
    found, _ = reader.pending(Lane.TELEMETRY, "epoch", 1, 99, [RecordClass.TELEMETRY])
    assert len(found) == 5
    found, _ = reader.pending(Lane.TELEMETRY, "epoch", 6, 7, [RecordClass.TELEMETRY])
    assert [stored.row for stored in found] == [6]
