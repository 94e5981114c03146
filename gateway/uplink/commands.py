"""Commands from the cloud: checked field by field, handed to control as role recorder (slot 9), answered within 2 s."""

import json
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.uplink.topics import Topics, is_name

PAYLOAD_LIMIT = 4096
ANSWER_S = 2.0
HOLD_LIMIT_S = 24 * 3600.0
_TEXT_LIMIT = 200
_CORRELATION_LIMIT = 256
_REMEMBERED = 256
_WAITING_LIMIT = 16
_KEYS = {"value", "for_s", "reason", "id", "requester"}
_WORDS = {"on": True, "off": False}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from the broker. mid: to acknowledge it, 0 if it needs none. expiry_s: its life left, None for ever."""

    mid: int
    topic: str
    payload: bytes
    retain: bool = False
    response_topic: str = ""
    correlation: bytes = b""
    expiry_s: int | None = None


class Wrong(ValueError):
    """The command can't be carried out as written; the words say why and what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """A checked command: the fields for control, who asks, and how it is recognised when it comes twice."""

    fields: dict[str, Any]
    requester: str
    identity: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the requester, and the message that may be acknowledged then."""

    topic: str
    correlation: bytes
    identity: str
    ok: bool
    text: str
    mid: int


@dataclass(slots=True)
class _Open:
    """A command that control has not answered yet."""

    message: Incoming
    mid: int
    reply_topic: str
    request: Request
    until_s: float


Forward = Callable[[dict[str, Any], Callable[[bool, str], None]], None]


class Desk:
    """Takes messages and gives answers, each exactly once. The uplink's thread only; control's outcome from any.

    forward: hands a command to control, its second argument is called with the outcome from any thread.
    wake: called when an answer has come.
    """

    def __init__(self, topics: Topics, forward: Forward, wake: Callable[[], None]) -> None:
        self._topics = topics
        self._forward = forward
        self._wake = wake
        self._number = 0
        self._open: dict[int, _Open] = {}
        self._outcomes: deque[tuple[int, bool, str]] = deque()
        self._done: OrderedDict[str, tuple[bool, str] | None] = OrderedDict()

    def receive(self, message: Incoming, now_s: float) -> list[Answer]:
        """Take a message; the answer when it can be given at once (wrong, refused, known), else [] for now."""
        reply_topic = self._reply_topic(message)
        try:
            request = read(self._topics, message)
        except Wrong as wrong:
            return [Answer(reply_topic, _correlation(message), "", False, str(wrong), message.mid)]
        if not message.response_topic:
            reply_topic = self._topics.reply(request.requester)
        known = self._done.get(f"{request.requester}/{request.identity}") if request.identity else None
        if known is not None:
            return [self._answer(message, reply_topic, request, known)]
        if self._is_under_way(message, request):
            return []
        if len(self._open) >= _WAITING_LIMIT:
            return [self._answer(message, reply_topic, request, (False, "too many commands at once: try again later"))]
        self._hand_over(message, reply_topic, request, now_s)
        return self.answers(now_s)

    def answers(self, now_s: float) -> list[Answer]:
        """What can be answered now: control's outcomes, and commands it did not answer in time."""
        answers = []
        while self._outcomes:
            number, ok, text = self._outcomes.popleft()
            if (waiting := self._open.pop(number, None)) is not None:
                answers.append(self._close(waiting, ok, text))
        for number, waiting in list(self._open.items()):
            if now_s >= waiting.until_s:
                del self._open[number]
                text = f"control did not answer within {ANSWER_S:g} s: read the output's state before trying again"
                answers.append(self._close(waiting, False, text))
        return answers

    def next_s(self) -> float:
        """When `answers` must be asked at the latest; infinity when nothing waits."""
        return min((waiting.until_s for waiting in self._open.values()), default=math.inf)

    def reconnected(self) -> None:
        """Packet ids of an earlier connection mean nothing now; the broker delivers again what was not acknowledged."""
        for waiting in self._open.values():
            waiting.mid = 0

    def _is_under_way(self, message: Incoming, request: Request) -> bool:
        """Whether this is a second copy of an open command: the first copy's answer is the answer to both."""
        for waiting in self._open.values():
            if request.identity and waiting.request == request:
                waiting.mid = message.mid or waiting.mid
                return True
        return False

    def _hand_over(self, message: Incoming, reply_topic: str, request: Request, now_s: float) -> None:
        self._number += 1
        number = self._number
        life_s = ANSWER_S if message.expiry_s is None else min(ANSWER_S, message.expiry_s)
        self._open[number] = _Open(message, message.mid, reply_topic, request, now_s + life_s)

        def answered(ok: bool, text: str) -> None:
            self._outcomes.append((number, ok, text))
            self._wake()

        self._forward({**request.fields, "who": request.requester}, answered)

    def _close(self, waiting: _Open, ok: bool, text: str) -> Answer:
        if waiting.request.identity:
            self._done[f"{waiting.request.requester}/{waiting.request.identity}"] = ok, text
            while len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)
        correlation = _correlation(waiting.message)
        return Answer(waiting.reply_topic, correlation, waiting.request.identity, ok, text, waiting.mid)

    def _answer(self, message: Incoming, topic: str, request: Request, outcome: tuple[bool, str]) -> Answer:
        return Answer(topic, _correlation(message), request.identity, *outcome, message.mid)

    def _reply_topic(self, message: Incoming) -> str:
        if self._topics.is_reply(message.response_topic):
            return message.response_topic
        return self._topics.reply("cloud")


def read(topics: Topics, message: Incoming) -> Request:
    """The command in a message. Raises Wrong for anything that is not exactly a command to one output."""
    output = topics.output_of(message.topic)
    if output is None:
        raise Wrong("this is no command topic of this gateway: publish to cmd/{output}")
    if message.retain:
        raise Wrong("a retained command would act again at every connection: publish without retain")
    if message.response_topic and not topics.is_reply(message.response_topic):
        raise Wrong(f"the Response Topic must be {topics.reply('{requester}')}")
    if len(message.correlation) > _CORRELATION_LIMIT:
        raise Wrong(f"the Correlation Data has more than {_CORRELATION_LIMIT} bytes")
    if message.expiry_s == 0:
        raise Wrong("the command has expired")
    fields = _object(message.payload)
    return Request(_command(output, fields), _requester(topics, message, fields), _identity(fields))


def _object(payload: bytes) -> dict[str, Any]:
    if len(payload) > PAYLOAD_LIMIT:
        raise Wrong(f"the command has {len(payload)} bytes: at most {PAYLOAD_LIMIT} are taken")
    try:
        fields = json.loads(payload.decode(), parse_constant=_no_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"the command is not JSON in UTF-8: {error}") from None
    if not isinstance(fields, dict):
        raise Wrong('the command must be an object such as {"value": true, "for_s": 600}')
    unknown = fields.keys() - _KEYS
    if unknown:
        raise Wrong(f"unknown key {min(unknown)!r:.40}: known are {', '.join(sorted(_KEYS))}")
    return fields


def _command(output: str, fields: dict[str, Any]) -> dict[str, Any]:
    if "value" not in fields:
        raise Wrong('"value" is missing: on, off or a number sets, null releases')
    reason = fields.get("reason", "")
    if not isinstance(reason, str) or len(reason) > _TEXT_LIMIT or not _is_text(reason):
        raise Wrong(f'"reason" must be a text of at most {_TEXT_LIMIT} characters')
    if fields["value"] is None:
        return {"verb": "release", "target": output, "reason": reason}
    return {
        "verb": "set",
        "target": output,
        "value": _value(fields["value"]),
        "for_s": _duration(fields.get("for_s")),
        "reason": reason,
    }


def _value(value: object) -> bool | float:
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) <= 1e15:
        return float(value)
    raise Wrong('"value" must be true, false, "on", "off", a number, or null to release')


def _duration(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= HOLD_LIMIT_S:
        raise Wrong(f'"for_s" must say how many seconds it holds: more than 0, at most {HOLD_LIMIT_S:g}')
    return float(seconds)


def _identity(fields: dict[str, Any]) -> str:
    identity = fields.get("id", "")
    if isinstance(identity, int) and not isinstance(identity, bool) and abs(identity) < 1 << 53:
        return str(identity)
    if isinstance(identity, str) and len(identity) <= 64 and _is_text(identity):
        return identity
    raise Wrong('"id" must be a text of at most 64 characters or a whole number')


def _requester(topics: Topics, message: Incoming, fields: dict[str, Any]) -> str:
    default = message.response_topic.removeprefix(topics.reply("")) if message.response_topic else "cloud"
    requester = fields.get("requester", default)
    if not isinstance(requester, str) or not is_name(requester):
        raise Wrong('"requester" must be 1 to 64 of a-z, 0-9, - and _')
    return requester


def _is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: half a surrogate pair can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _correlation(message: Incoming) -> bytes:
    return message.correlation[:_CORRELATION_LIMIT]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands there twice")
    return fields


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
