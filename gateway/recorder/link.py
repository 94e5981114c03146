"""The connection to control: records in, acknowledgements, health and cloud commands out."""

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from gateway.core.errors import GatewayError
from gateway.core.record import Batch, Gap, Lane, RecordClass
from gateway.core.role import Role
from gateway.local.client import Connection
from gateway.recorder.intake import Intake

HEALTH_S = 1.0
COMMANDS_LIMIT = 64
_RETRY_S = (0.05, 1.0)
_SEND_TIMEOUT_S = 5.0
_FRAMES_PER_TURN = 256
_LOOK_S = 0.02
_log = logging.getLogger(__name__)

Answer = Callable[[bool, str], None]


class Books(Protocol):
    """What the link must know of the store before it may ask for records."""

    opened: threading.Event

    def have(self, run: str) -> dict[str, int]:
        """The last number stored of this run, per lane."""
        ...

    @property
    def ok(self) -> bool:
        """Whether records can be kept now."""
        ...


class Link:
    """Keeps one connection to control for ever, in a thread of its own; control may come and go.

    health: the points to tell every second. greeted: called with control's hello and with every new configuration hash.
    """

    def __init__(
        self,
        path: Path,
        intake: Intake,
        health: Callable[[], dict[str, Any]],
        greeted: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._intake = intake
        self._health = health
        self._greeted = greeted
        self._books: Books | None = None
        self._out: deque[dict[str, Any]] = deque()
        self._answers: dict[int, Answer] = {}
        self._handing_over = threading.Lock()  # a command and the end of its connection
        self._number = 0
        self._run = ""
        self._subscribed = False
        self._health_due_s = 0.0
        self._turned_s = time.monotonic()
        self._stopping = threading.Event()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._work, name="link", daemon=True)
        self.connected = False
        self.hello: dict[str, Any] = {}

    def start(self, books: Books) -> None:
        """Begin to connect."""
        self._books = books
        self._thread.start()

    def stop(self) -> None:
        """Hang up; waits at most 2 s."""
        self._stopping.set()
        self._wake()
        self._thread.join(2.0)

    def alive(self) -> bool:
        """Whether the thread runs and has turned within the last 15 s; a send may take 5 of them."""
        return self._thread.is_alive() and time.monotonic() - self._turned_s < 15.0

    def acknowledge(self, lane: Lane, run: str, upto: int) -> None:
        """Tell control what is durable. Any thread."""
        if run == self._run:
            self._send({"kind": "ack", "run": run, "lane": lane.value, "upto": upto})

    def command(self, fields: dict[str, Any], answer: Answer) -> None:
        """Hand a command to control; `answer(ok, message)` comes once, from the link's thread. Any thread."""
        header = {"kind": "command", **fields}
        with self._handing_over:
            refusal = self._refusal()
            if not refusal:
                self._number += 1
                self._answers[self._number] = answer
                self._send(header | {"id": self._number})
        if refusal:
            answer(False, refusal)

    def _refusal(self) -> str:
        """Why no command can be taken now, "" when one can."""
        if not self.connected:
            return "control is not running: nothing was done; try again"
        if len(self._answers) >= COMMANDS_LIMIT:
            return f"{COMMANDS_LIMIT} commands wait already: try again later"
        return ""

    def _send(self, header: dict[str, Any]) -> None:
        self._out.append(header)
        self._wake()

    def _wake(self) -> None:
        os.eventfd_write(self._wakeup, 1)

    def _work(self) -> None:
        retry_s, told = _RETRY_S[0], False
        while not self._stopping.is_set():
            self._turned_s = time.monotonic()
            try:
                with Connection(self._path, "recorder", Role.RECORDER, _SEND_TIMEOUT_S) as connection:
                    retry_s, told = _RETRY_S[0], False
                    self._serve(connection)
            except (OSError, GatewayError, ValueError) as error:
                if not told and not self._stopping.is_set():
                    _log.warning("no connection to control: %s", error)
                    told = True
            except Exception:
                _log.exception("the link stumbled and connects again")
            self._lost()
            self._stopping.wait(retry_s)
            retry_s = min(retry_s * 2, _RETRY_S[1])

    def _lost(self) -> None:
        with self._handing_over:  # nothing may slip in that the next connection would send
            self.connected = self._subscribed = False
            self._out.clear()
            answers, self._answers = list(self._answers.values()), {}
        self._intake.clear()  # not acknowledged: control holds it
        for answer in answers:
            answer(False, "control went away: it may or may not have happened; read the output's state")

    def _serve(self, connection: Connection) -> None:
        """One connection's life. Raises ConnectionError when it ends."""
        self.hello = connection.hello
        self._run = str(connection.hello.get("run", ""))
        self._health_due_s = 0.0
        self.connected = True
        self._greeted(connection.hello)
        _log.info("connected to control, run %s", self._run)
        while not self._stopping.is_set():
            self._turned_s = time.monotonic()
            self._subscribe(connection)
            busy = self._receive(connection)
            self._talk(connection)
            self._sleep(connection, busy)
        self._talk(connection)  # the last acknowledgements

    def _subscribe(self, connection: Connection) -> None:
        """Ask for records once the store knows what it has."""
        assert self._books is not None
        if not self._subscribed and self._books.opened.is_set() and self._books.ok:
            self._subscribed = True
            connection.send({"kind": "subscribe", "run": self._run, "have": self._books.have(self._run)})

    def _receive(self, connection: Connection) -> bool:
        """Take what has come; whether more may wait."""
        for _ in range(_FRAMES_PER_TURN):
            if self._intake.full:
                return False
            frame = connection.receive(0)
            if frame is None:
                return False
            self._handle(*frame)
        return True

    def _handle(self, header: dict[str, Any], body: bytes | None) -> None:
        kind = header["kind"]
        if kind in ("records", "gap"):
            self._intake.put(read_arrival(header, body))
        elif kind == "response":
            answer = self._answers.pop(header.get("id", 0), None)
            if answer is not None:
                answer(header.get("ok") is True, str(header.get("message", "")))
        elif kind == "configuration":
            self._greeted({"configuration": header.get("hash")})
        elif kind == "error":
            raise ConnectionError(f"control hung up: {header.get('message', '')}")

    def _talk(self, connection: Connection) -> None:
        now_s = time.monotonic()
        if now_s >= self._health_due_s:
            self._health_due_s = now_s + HEALTH_S
            connection.send({"kind": "health", "points": self._health()})
        while self._out:
            connection.send(self._out.popleft())

    def _sleep(self, connection: Connection, busy: bool) -> None:
        if busy or self._out:
            return
        wait_s = max(0.0, self._health_due_s - time.monotonic())
        if not self._subscribed or self._intake.full:
            wait_s = min(wait_s, _LOOK_S)  # the keeper does not call us: look whether it has opened, or taken some
        sources = [self._wakeup] if self._intake.full else [self._wakeup, connection.fileno()]
        ready, _, _ = select.select(sources, [], [], wait_s)
        if self._wakeup in ready:
            os.eventfd_read(self._wakeup)


def read_arrival(header: dict[str, Any], body: bytes | None) -> Batch | Gap:
    """A records or gap frame as what it means. Raises ValueError saying what is wrong with it."""
    try:
        kind = RecordClass(header["class"])
        lane = Lane(header["lane"])
        first, run = _whole(header, "first", 1), _text(header, "run")
        if kind.lane is not lane:
            raise ValueError(f"class {kind} does not belong to lane {lane}")
        if header["kind"] == "gap":
            return Gap(run, lane, kind, first, _whole(header, "last", first))
        if body is None:
            raise ValueError("a records frame without a body")
        return Batch(
            run,
            lane,
            kind,
            first,
            _whole(header, "count", 1),
            _text(header, "boot"),
            _whole(header, "mono", 0),
            _whole(header, "ts", 0),
            header.get("trusted") is True,
            header.get("sim") is True,
            body,
        )
    except KeyError as error:
        raise ValueError(f"a {header.get('kind')} frame lacks {error}") from None


def _whole(header: dict[str, Any], key: str, least: int) -> int:
    value = header[key]
    if type(value) is not int or not least <= value < 1 << 53:
        raise ValueError(f'"{key}" is {value!r:.40}: a whole number from {least} is needed')
    return value


def _text(header: dict[str, Any], key: str) -> str:
    value = header[key]
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise ValueError(f'"{key}" is {value!r:.40}: a text of 1 to 64 characters is needed')
    return value
