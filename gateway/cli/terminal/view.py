"""The living terminal view of `gateway run`: asks control and the recorder as a viewer, four times a second."""

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from gateway.app.supervisor import ProcessStatus
from gateway.cli.terminal.messages import site_words
from gateway.cli.terminal.picture import Picture
from gateway.core.errors import Refused
from gateway.core.role import Role
from gateway.local.client import Client, Connection
from gateway.local.paths import StatePaths

EVERY_S = 0.25
ASK_WITHIN_S = 1.0


class Source:
    """One process to ask. A process that is away costs one failed connection per look, never a wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._client: Client | None = None

    @property
    def hello(self) -> dict[str, Any] | None:
        """Who answers, None when nobody does."""
        return self._client.hello if self._client else None

    def ask(self, *questions: str) -> list[Any]:
        """The answers, None for each when nobody answers. Blocks at most about a second."""
        try:
            if self._client is None:
                self._client = Client(Connection(self._path, "terminal view", Role.VIEWER, ASK_WITHIN_S))
            return [self._client.query(question) for question in questions]
        except (ConnectionError, Refused):
            self.close()
            return [None for _ in questions]

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()
            self._client = None


class TerminalView:
    """Draws in a thread of its own on the alternate screen; the supervisor never waits for it."""

    def __init__(self, state: Path, console: Console | None = None) -> None:
        self._state = state
        self._console = console or Console()
        self._control = Source(StatePaths(state).control_sock)
        self._recorder = Source(StatePaths(state).recorder_sock)
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, processes: Callable[[], list[ProcessStatus]]) -> None:
        """Take over the terminal."""
        sys.setswitchinterval(0.001)  # the supervisor must not wait 5 ms for our drawing when control has died
        self._thread = threading.Thread(target=self._show, args=(processes,), name="view", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give the terminal back; waits at most 2 s, for a terminal that was stopped."""
        self._done.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def look(self, processes: list[ProcessStatus]) -> Picture:
        """Ask everybody. Blocks at most about two seconds, when both hang."""
        points, outputs, alarms = self._control.ask("points", "outputs", "alarms")
        (outbox,) = self._recorder.ask("outbox")
        return Picture(
            now=datetime.now(UTC),
            now_s=time.monotonic(),
            words=site_words(self._state),
            hello=self._control.hello,
            points=points,
            outputs=outputs,
            alarms=alarms,
            outbox=outbox,
            processes=processes,
        )

    def _show(self, processes: Callable[[], list[ProcessStatus]]) -> None:
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            while not self._done.is_set():
                picture = self.look(processes())
                size = self._console.size
                live.update(picture.draw(size.width, size.height), refresh=True)
                self._done.wait(EVERY_S)
        self._control.close()
        self._recorder.close()
