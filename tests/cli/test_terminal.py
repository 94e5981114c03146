"""Tables, words and stories: what people read."""

import string
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.cli.terminal.messages import MESSAGES, Words
from gateway.cli.terminal.story import merged, sentence
from gateway.cli.terminal.table import Cell, table, width
from gateway.cli.terminal.words import age_s, clock, duration, seconds, shown


@pytest.mark.parametrize("key", MESSAGES)
def test_every_text_exists_in_english_and_korean(key: str) -> None:
    """The catalogue has each text in both languages, and the Korean one is Korean."""
    texts = MESSAGES[key]
    assert texts.keys() == {"en", "ko"}
    assert all(texts.values())
    assert not set(texts["ko"]) <= set(string.printable)
    assert Words("ko")(key) == texts["ko"]


def test_a_word_outside_the_catalogue_stays() -> None:
    """A state of a later version is shown as it is."""
    assert Words("ko")("NEWSTATE") == "NEWSTATE"


def test_columns_are_aligned_with_korean_too() -> None:
    """A Korean letter takes two columns of the terminal."""
    lines = table(("a", "b"), [("경보", "x"), ("ab", "y")]).splitlines()
    assert {width(line[: line.index(end)]) for line, end in zip(lines, "bxy", strict=True)} == {6}
    assert width("e\u0301") == 1


def test_control_characters_are_shown_not_obeyed() -> None:
    """A text from a device can't move the cursor or colour the terminal."""
    assert "\x1b" not in table(("a",), [("\x1b[31mred\n",)])


def test_colours_are_for_terminals() -> None:
    """Tones become colours only where they are asked for."""
    rows = [(Cell("x", "bad"), "y")]
    assert "\x1b[31mx\x1b[0m" in table(("a", "b"), rows, colour=True)
    assert "\x1b" not in table(("a", "b"), rows)


@pytest.mark.parametrize(
    ("text", "expected"), [("10 min", 600.0), ("90", 90.0), ("1.5 h", 5400.0), ("250 ms", 0.25), ("1 d", 86400.0)]
)
def test_durations_are_read(text: str, expected: float) -> None:
    """A time is a number with its unit, or seconds."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("span_s", "expected"),
    [
        (None, "–"),
        (-0.1, "0.0 s"),
        (0.44, "0.4 s"),
        (59, "59 s"),
        (180, "3 min"),
        (7500, "2 h 5 min"),
        (349200, "4 d 1 h"),
    ],
)
def test_durations_are_written(span_s: float | None, expected: str) -> None:
    """A span is written as a person would say it."""
    assert duration(span_s) == expected


def test_values_are_written_with_their_unit() -> None:
    """Numbers lose noise, two-state values become words, and no value is a dash."""
    en, ko = Words("en"), Words("ko")
    assert [shown(value, "Cel", en) for value in (3.7200001, -18.0, None)] == ["3.72 °C", "-18 °C", "–"]
    assert (shown(True, "", en), shown(False, "", ko), shown(0.5, "1", en)) == ("on", "꺼짐", "0.5")


def test_times_are_local_and_ages_are_true() -> None:
    """An instant is shown in local time to the millisecond; its age counts from then."""
    assert clock(None) == "–"
    assert clock("2026-11-24T00:00:00.123Z").endswith(".123")
    assert age_s("2026-11-24T00:00:00.000Z", datetime(2026, 11, 24, 0, 1, tzinfo=UTC)) == 60
    assert age_s(None) is None


UNITS = {"gas.concentration": "%{LEL}"}
STORIES = [
    (
        {
            "class": "output",
            "subject": "gas_valve",
            "what": "off",
            "data": {
                "value": False,
                "before": True,
                "slot": 2,
                "reason": "interlock gas_leak: gas.concentration > 20 %{LEL}",
                "inputs": {"gas.concentration": 35.2},
                "overruled": {"13": True},
            },
        },
        "gas_valve went off, held by slot 2 (life safety): interlock gas_leak: gas.concentration > 20 %{LEL} "
        "(gas.concentration = 35.2 %LEL); overruled: slot 13 (rule) wanted on",
    ),
    (
        {
            "class": "output",
            "subject": "siren",
            "what": "on",
            "data": {
                "value": True,
                "before": True,
                "slot": 8,
                "reason": "set on by chef",
                "inputs": {},
                "overruled": {},
            },
        },
        "siren stays on, held by slot 8 (manual): set on by chef",
    ),
    (
        {"class": "output", "subject": "gas_leak", "what": "tripped", "data": {"reason": "gas", "slot": 2}},
        "gas_leak tripped: gas",
    ),
    (
        {
            "class": "alarm",
            "subject": "gas_warning",
            "what": "UNACK",
            "data": {"before": "NORM", "reason": "gas.concentration >= 10", "inputs": {"gas.concentration": None}},
        },
        "alarm gas_warning is active (before: normal): gas.concentration >= 10 (gas.concentration = –)",
    ),
    (
        {
            "class": "audit",
            "subject": "siren",
            "what": "set",
            "data": {
                "verb": "set",
                "who": "chef",
                "role": "operator",
                "ok": False,
                "value": True,
                "for_s": 600,
                "message": "no",
            },
        },
        "chef (operator) asked to set siren on for 10 min and was refused: no",
    ),
    (
        {"class": "system", "subject": "gas_valve", "what": "drive_failed", "data": {"message": "EIO"}},
        "gas_valve drive_failed: message EIO",
    ),
    ({"class": "later", "subject": "x", "what": "y", "data": None}, "x y"),
]


@pytest.mark.parametrize(("event", "told"), STORIES)
def test_events_are_told_as_sentences(event: dict[str, object], told: str) -> None:
    """What happened, which slot holds, why, with the values, and who was overruled."""
    assert sentence(event, UNITS) == told


def test_recent_and_kept_events_are_told_once() -> None:
    """What control still knows and the recorder has kept too is told once; older ones follow, newest first."""
    recent = [_event("2026-11-24T00:00:10.000Z"), _event("2026-11-24T00:00:05.000Z")]
    seconds = ("10.001", "05.002", "01.000", "00.000")
    older = [_event(f"2026-11-24T00:00:{second}Z") for second in seconds]
    assert merged(recent, older) == recent + older[2:]
    assert merged([], older) == older


def _event(time: str) -> dict[str, Any]:
    return {"class": "output", "subject": "x", "what": "on", "time": time, "data": {}}
