"""docs/mqtt.md is true: its examples are what the code writes and takes, its numbers are the code's."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.output import OutputPolicy
from gateway.core.record import Batch, Gap, Lane, RecordClass
from gateway.recorder.keeper import _gap_data
from gateway.recorder.ledger import ACCOUNT_FIELDS
from gateway.settings.model import Output
from gateway.uplink import commands, connection, payload, sender, uplink
from gateway.uplink.commands import Incoming
from gateway.uplink.conversation import STATUS_S
from gateway.uplink.sender import Verdict
from gateway.uplink.topics import Topics
from tests.recorder.fakes import FakeClock, configuration

PAGE = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text(encoding="utf-8")
TOPICS = Topics("demo", "demo-kitchen", "kitchen-01")


def _example(name: str) -> Any:
    found = re.findall(rf"^```json {name}\n(.*?)^```", PAGE, flags=re.S | re.M)
    assert len(found) == 1, f"one example called {name}"
    return json.loads(found[0])


def _shape(value: Any) -> Any:
    """Keys in order and kinds of values; numbers are one kind, whole or not."""
    if isinstance(value, dict):
        return [(key, _shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [_shape(inner) for inner in value[:1]]
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else "text"


@pytest.mark.parametrize(("name", "kind"), [("tm", RecordClass.TELEMETRY), ("ev", RecordClass.OUTPUT)])
def test_record_messages(name: str, kind: RecordClass) -> None:
    """A batch with the example's fields is published as the example, key by key and in its order."""
    example = _example(name)
    body = json.dumps(example["r"], separators=(",", ":")).encode()
    batch = Batch(
        example["run"], kind.lane, kind, example["n"], len(example["r"]), example["boot"], example["mono"],
        example["ts"], example["sync"], example["sim"], body,
    )  # fmt: skip
    assert payload.rows(batch) == json.dumps(example, separators=(",", ":")).encode()


def test_own_messages_have_the_documented_shape() -> None:
    """status, offline, birth, cfg/reported, st and the answer have exactly the keys and kinds of the page."""
    clock = FakeClock()
    accounts = {"telemetry": dict.fromkeys(ACCOUNT_FIELDS, 0)}
    fan = Output("fan", "pwm", "header", {}, OutputPolicy("fan", safe=0.0, unit="%"))
    site = replace(configuration(), outputs=(*configuration().outputs, fan))
    value = {"temperature": {"m": "temperature", "ts": 1, "v": 3.72}}
    made = {
        "status": payload.status(clock, False, accounts),
        "offline": payload.offline(clock, False, "lost"),
        "birth": payload.birth(site, clock, False),
        "reported": payload.reported(site, clock),
        "st": payload.state(1, True, False, value),
        "answer": payload.reply(clock, "7f3a", True, "done"),
    }
    for name, message in made.items():
        assert _shape(json.loads(message)) == _shape(_example(name)), name
    for what in ("devices", "outputs"):
        assert json.loads(made["birth"])[what] == _example("birth")[what]


def test_a_lost_range_is_told_as_documented() -> None:
    """The data of the event is the page's, key by key."""
    told = _gap_data(Gap("06711e35d6495f63", Lane.TELEMETRY, RecordClass.TELEMETRY, 91000, 91099, "overflow"))
    assert told == _example("lost")["x"]


def test_the_example_command_is_taken() -> None:
    """The command of the page is understood, and so is every key of its table."""
    request = commands.read(TOPICS, Incoming(1, TOPICS.commands.replace("+", "hood_fan"), _text("command")))
    assert request.fields == {
        "verb": "set", "target": "hood_fan", "value": True, "for_s": 600.0, "reason": "pre-heat",
    }  # fmt: skip
    table = re.findall(r"^\| `(\w+)` \|", PAGE.split("## Commands")[1], flags=re.M)
    assert set(table) == commands._KEYS


def test_every_topic_is_in_the_table() -> None:
    """The leaves the code publishes or subscribes to are the leaves of the table."""
    leaves = set(re.findall(r"`([a-z]+(?:/[a-z{}]+)?)`", PAGE.split("| leaf |")[1].split("\n\n")[0]))
    made = [TOPICS.status, TOPICS.birth, TOPICS.reported, TOPICS.live, TOPICS.backlog, TOPICS.state("{device}")]
    made += [TOPICS.event(kind) for kind in RecordClass if kind.lane is Lane.EVENTS]
    made += [TOPICS.commands.replace("+", "{output}"), TOPICS.reply("{requester}")]
    assert {topic.removeprefix(TOPICS.root + "/") for topic in made} == leaves
    assert all(topic.count("/") <= 7 for topic in made)
    assert TOPICS.root in PAGE


def test_the_numbers_of_the_page_are_the_codes() -> None:
    """Time-outs, limits and the verdict on each reason code stand on the page as they are."""
    for words in (
        f"min({sender.WINDOW}, the broker's Receive Maximum)",
        f"No answer within {uplink.PUBACK_S:g} s",
        f"every {STATUS_S:g} s",
        f"away for {connection.WILL_DELAY_S} s",
        f"outlives that ({connection.SESSION_EXPIRY_S} s)",
        f"within {commands.ANSWER_S:g} s",
        f"more than {commands.PAYLOAD_LIMIT // 1024} KiB",
        payload.CONTENT_TYPE,
    ):
        assert words in PAGE, words
    rows = re.findall(r"^\| (0x[^|]*)\|([^|]*)\|$", PAGE, flags=re.M)
    for codes, meaning in rows:
        wanted = Verdict.TAKEN if meaning.strip() == "delivered" else Verdict.LATER
        wanted = Verdict.NEVER if "rejected" in meaning else wanted
        for code in re.findall(r"0x\d\d", codes):
            assert sender.judge(int(code, 16)) is wanted, code


def _text(name: str) -> bytes:
    return json.dumps(_example(name)).encode()
