"""What `recorder.sock` answers: accounts from memory at once, kept readings and events from disk, never for long."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoAnswer
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.core.command import Command
from gateway.core.errors import Refused
from gateway.core.quality import Quality, Reason
from gateway.local.server import Peer, Reply
from gateway.recorder.reader import Reader

DISK_S = 2.0
"""How long an answer may wait for the disk; meanwhile nobody else is answered."""
HISTORY_LIMIT = 5000
_SINCE_LIMIT_S = 10 * 366 * 86400.0

Row = dict[str, Any]


class Questions:
    """The handler of the recorder's server. Called in the server's thread; takes no commands.

    hello, outbox, health: what to say, from memory. now_ms: the wall clock.
    """

    def __init__(
        self,
        directory: Path,
        *,
        hello: Callable[[], Row],
        outbox: Callable[[], Row],
        health: Callable[[], Row],
        now_ms: Callable[[], int],
    ) -> None:
        self._hello = hello
        self._memory = {"outbox": outbox, "health": health}
        self._now_ms = now_ms
        self._reader = Reader(directory)
        self._side = ThreadPoolExecutor(1, "reader")
        self._running: Future[list[Row]] | None = None

    def hello(self) -> Row:
        """The recorder's introduction."""
        return self._hello()

    def query(self, _peer: Peer, what: str, arguments: Row) -> object:
        """One of docs/local-protocol.md's questions. Raises ValueError, or Refused when the disk does not answer."""
        if what in self._memory:
            return self._memory[what]()
        if what == "history":
            point = _text(arguments, "point")
            since_ms = self._now_ms() - round(1000 * _number(arguments, "since_s", 3600.0, _SINCE_LIMIT_S))
            limit = round(_number(arguments, "limit", 100, HISTORY_LIMIT))
            rows = self._read(lambda: self._reader.history(point, since_ms, limit))
            return [_reading(point, row) for row in rows]
        if what == "why":
            target = _text(arguments, "target")
            limit = round(_number(arguments, "limit", 64, HISTORY_LIMIT))
            return [_event(row) for row in self._read(lambda: self._reader.why(target, limit))]
        raise ValueError(f"unknown query {what!r:.40}: use one of outbox, history, why, health")

    def command(self, _peer: Peer, command: Command, _reply: Reply) -> None:
        """Nothing is commanded here. Raises Refused."""
        raise Refused(f"the recorder carries out nothing: ask control to {command.verb}")

    def frame(self, _peer: Peer, header: Row, _body: bytes | None) -> None:
        """Nobody sends the recorder anything but questions. Raises ValueError."""
        raise ValueError(f"the recorder takes no {header['kind']}: send it to control")

    def refused(self, peer: Peer, fields: Row, message: str) -> None:
        """Control audits what people try; nothing can be tried here."""

    def pump(self, peer: Peer) -> None:
        """Nothing is sent unasked."""

    def closed(self, peer: Peer) -> None:
        """Nothing is kept of a peer."""

    def _read(self, work: Callable[[], list[Row]]) -> list[Row]:
        """Look on the disk in the side thread. Raises Refused when that takes too long."""
        if self._running is not None and not self._running.done():
            raise Refused("the disk still works on an earlier question: ask again later")
        self._running = self._side.submit(work)
        try:
            return self._running.result(DISK_S)
        except NoAnswer:
            raise Refused(f"the disk did not answer within {DISK_S:g} s: ask for less, or again later") from None


def _text(arguments: Row, key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError(f'"{key}" must be a text of 1 to 200 characters')
    return value


def _number(arguments: Row, key: str, default: float, most: float) -> float:
    value = arguments.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ValueError(f'"{key}" must be a number of more than 0 and at most {most:g}')
    return value


def _reading(point: str, row: Row) -> Row:
    return {
        "point": point,
        "value": row["value"],
        "quality": _quality(row["reason"]).value,
        "reason": row["reason"],
        "time": _time(row["ts"]),
    }


def _event(row: Row) -> Row:
    return {"class": row["class"], "subject": row["subject"], "what": row["what"]} | {
        "time": _time(row["ts"]),
        "data": row["data"],
    }


def _quality(reason: str) -> Quality:
    try:
        return Reason(reason).quality
    except ValueError:  # a reason that a later release knows
        return Quality.BAD if reason.startswith("Bad") else Quality.UNCERTAIN


def _time(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
