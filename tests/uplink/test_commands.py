"""Commands from the cloud: nothing but a well-formed command reaches control, and each gets its one answer."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.commands import ANSWER_S, Answer, Desk, Incoming, Wrong, read
from gateway.uplink.topics import Topics
from tests.uplink.broker import ROOT

TOPICS = Topics("demo", "demo-site", "kitchen-01")
TOPIC = f"{ROOT}/cmd/gas_valve"
GOOD = {"value": True, "for_s": 60, "reason": "test", "id": "c1"}


def _message(payload: object = GOOD, **changes: Any) -> Incoming:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    fields: dict[str, Any] = {"mid": 7, "topic": TOPIC, "payload": body}
    return Incoming(**(fields | changes))


class Control:
    """Remembers what it was asked; answers when told."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: list[Callable[[bool, str], None]] = []
        self.woken = 0

    def forward(self, fields: dict[str, Any], answer: Callable[[bool, str], None]) -> None:
        self.asked.append(fields)
        self.answers.append(answer)

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def desk(control: Control) -> Desk:
    return Desk(TOPICS, control.forward, control.wake)


def test_a_command_goes_to_control_and_its_outcome_back(desk: Desk, control: Control) -> None:
    """The fields arrive as control's protocol wants them; the answer carries id and correlation to the reply topic."""
    message = _message(response_topic=f"{ROOT}/rsp/phone-4", correlation=b"\x01\x02")
    assert desk.receive(message, 10.0) == []
    assert control.asked == [
        {"verb": "set", "target": "gas_valve", "value": True, "for_s": 60.0, "reason": "test", "who": "phone-4"}
    ]
    control.answers[0](True, "gas_valve is on")
    assert control.woken == 1
    assert desk.answers(10.1) == [Answer(f"{ROOT}/rsp/phone-4", b"\x01\x02", "c1", True, "gas_valve is on", 7)]
    assert desk.answers(10.2) == []


def test_without_a_response_topic_the_requester_names_it(desk: Desk, control: Control) -> None:
    """A v3 client puts its name into the payload and listens at rsp/{requester}; without a name it is `cloud`."""
    for changes, name in (({"requester": "app-1"}, "app-1"), ({"id": "c2"}, "cloud")):
        desk.receive(_message(GOOD | changes), 0.0)
        control.answers[-1](False, "no")
        (answer,) = desk.answers(0.0)
        assert (answer.topic, answer.ok) == (f"{ROOT}/rsp/{name}", False)
        assert control.asked[-1]["who"] == name


def test_null_releases(desk: Desk, control: Control) -> None:
    """`value: null` gives the output back to the slots below; it needs no duration."""
    desk.receive(_message({"value": None}), 0.0)
    assert control.asked == [{"verb": "release", "target": "gas_valve", "reason": "", "who": "cloud"}]


@pytest.mark.parametrize(
    ("value", "meant"), [("on", True), ("off", False), (True, True), (False, False), (1, 1.0), (40.5, 40.5)]
)
def test_values(value: object, meant: object) -> None:
    """On and off may be said as words or truth values; a number stays a number."""
    fields = read(TOPICS, _message({"value": value, "for_s": 1})).fields
    assert fields["value"] == meant
    assert isinstance(fields["value"], type(meant))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "must be an object"),
        (b"null", "must be an object"),
        (b"[" * 3000, "not JSON"),
        (b'{"value": NaN, "for_s": 1}', "NaN"),
        (b'{"value": true, "value": false, "for_s": 1}', "twice"),
        (b'{"value": true, "for_s": 1e999}', "for_s"),
        (b"x" * 4097, "at most 4096"),
        ({}, '"value" is missing'),
        ({"for_s": 1}, '"value" is missing'),
        ({"value": True}, '"for_s" must say'),
        ({"value": "ON", "for_s": 1}, '"value" must be'),
        ({"value": [], "for_s": 1}, '"value" must be'),
        ({"value": 1e16, "for_s": 1}, '"value" must be'),
        ({"value": True, "for_s": 0}, "more than 0"),
        ({"value": True, "for_s": -1}, "more than 0"),
        ({"value": True, "for_s": 86_401}, "at most 86400"),
        ({"value": True, "for_s": True}, "for_s"),
        ({"value": True, "for_s": "60"}, "for_s"),
        ({"value": True, "for_s": 1, "reason": 5}, '"reason" must be'),
        ({"value": True, "for_s": 1, "reason": "x" * 201}, '"reason" must be'),
        ({"value": True, "for_s": 1, "id": {}}, '"id" must be'),
        ({"value": True, "for_s": 1, "id": "x" * 65}, '"id" must be'),
        ({"value": True, "for_s": 1, "requester": "a/b"}, '"requester" must be'),
        ({"value": True, "for_s": 1, "requester": "#"}, '"requester" must be'),
        ({"value": True, "for_s": 1, "priority": 1}, "unknown key 'priority'"),
        (b'{"value": true, "for_s": 1, "reason": "\\ud800"}', '"reason" must be'),
        (b'{"value": true, "for_s": 1, "id": "\\udfff"}', '"id" must be'),
    ],
)
def test_what_is_not_exactly_a_command_is_answered_not_done(
    desk: Desk, control: Control, payload: object, words: str
) -> None:
    """Wrong sizes, types, ranges, keys: the requester hears what is wrong, control hears nothing."""
    (answer,) = desk.receive(_message(payload, correlation=b"c"), 0.0)
    assert not answer.ok
    assert words in answer.text
    assert (answer.correlation, answer.mid) == (b"c", 7)
    assert control.asked == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retain": True}, "retained"),
        ({"topic": f"{ROOT}/cmd/a/b"}, "no command topic"),
        ({"topic": f"{ROOT}/cmd/"}, "no command topic"),
        ({"topic": "kg/v1/demo/demo-site/other/cmd/gas_valve"}, "no command topic"),
        ({"topic": ""}, "no command topic"),
        ({"response_topic": "kg/v1/other/x/y/rsp/me"}, "Response Topic must be"),
        ({"response_topic": f"{ROOT}/cmd/gas_valve"}, "Response Topic must be"),
        ({"response_topic": f"{ROOT}/rsp/+"}, "Response Topic must be"),
        ({"correlation": b"x" * 257}, "Correlation Data"),
        ({"expiry_s": 0}, "expired"),
    ],
)
def test_a_misplaced_command_is_not_done(desk: Desk, control: Control, changes: dict[str, Any], words: str) -> None:
    """Retained, expired, for another gateway, or with an answer that would leave our tree: refused, inside it."""
    (answer,) = desk.receive(_message(**changes), 0.0)
    assert words in answer.text
    assert answer.topic == f"{ROOT}/rsp/cloud"
    assert control.asked == []


def test_a_repetition_gets_the_first_outcome(desk: Desk, control: Control) -> None:
    """The same id of the same requester acts once; another requester's same id is another command."""
    desk.receive(_message(), 0.0)
    assert desk.receive(_message(mid=8), 0.1) == []
    control.answers[0](True, "done")
    (answer,) = desk.answers(0.2)
    assert answer.mid == 8, "the newest copy is the one to acknowledge"
    (again,) = desk.receive(_message(mid=9), 0.3)
    assert (again.ok, again.text, again.mid) == (True, "done", 9)
    assert len(control.asked) == 1
    desk.receive(_message(GOOD | {"requester": "other"}), 0.4)
    assert len(control.asked) == 2


def test_silence_of_control_is_answered_in_time(desk: Desk, control: Control) -> None:
    """After two seconds the requester hears that control did not answer; a later outcome changes nothing."""
    desk.receive(_message(), 10.0)
    assert desk.next_s() == 10.0 + ANSWER_S
    assert desk.answers(11.9) == []
    (answer,) = desk.answers(12.0)
    assert not answer.ok
    assert "did not answer within 2 s" in answer.text
    control.answers[0](True, "late")
    assert desk.answers(12.1) == []


def test_a_commands_life_is_not_exceeded(desk: Desk) -> None:
    """Message Expiry counts on here: an answer is given up when the command has expired."""
    desk.receive(_message(expiry_s=1), 10.0)
    assert len(desk.answers(11.0)) == 1


def test_too_many_commands_are_turned_away(desk: Desk, control: Control) -> None:
    """A flood is answered, not queued."""
    texts = [desk.receive(_message(GOOD | {"id": number}), 0.0) for number in range(20)]
    assert len(control.asked) == 16
    assert all("too many" in answers[0].text for answers in texts[16:])


def test_packet_ids_do_not_outlive_a_connection(desk: Desk, control: Control) -> None:
    """After a reconnect an answer must not acknowledge a packet id of the old connection."""
    desk.receive(_message(), 0.0)
    desk.reconnected()
    control.answers[0](True, "done")
    assert desk.answers(0.1)[0].mid == 0


@given(st.binary(max_size=300), st.text(max_size=80), st.text(max_size=80), st.binary(max_size=300))
def test_nothing_a_stranger_sends_raises(payload: bytes, topic: str, response: str, correlation: bytes) -> None:
    """Whatever comes is a command or Wrong, never another exception."""
    for where in (TOPIC, topic, f"{ROOT}/cmd/{topic}"):
        message = Incoming(1, where, payload, False, response, correlation, None)
        with contextlib.suppress(Wrong):
            read(TOPICS, message)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEY = st.sampled_from(["value", "for_s", "reason", "id", "requester", "x"])


@given(st.dictionaries(_KEY, _JSON))
def test_any_object_is_judged_field_by_field(fields: dict[str, Any]) -> None:
    """Of any JSON object, what is let through has exactly the types and ranges that control is promised."""
    try:
        request = read(TOPICS, _message(fields))
    except Wrong:
        return
    assert request.fields["target"] == "gas_valve"
    if request.fields["verb"] == "set":
        assert isinstance(request.fields["value"], bool | float)
        assert 0 < request.fields["for_s"] <= 86_400
    json.dumps(request.fields, ensure_ascii=False, allow_nan=False).encode()
