"""The uplink's thread: connects, talks, and begins again whatever the broker does."""

import logging
import os
import random
import threading
import time
from typing import Any

from gateway.core.clock import Clock
from gateway.uplink import payload
from gateway.uplink.broker import Broker, ConnectionLost
from gateway.uplink.commands import Desk, Forward
from gateway.uplink.conversation import Conversation, Site
from gateway.uplink.source import Source

PUBACK_S = 15.0
_FAST_RETRY_S = (0.3, 0.9)
_FAST_FOR_S = 60.0
_SLOW_RETRY_S = (2.0, 30.0)
_STEADY_S = 10.0
_log = logging.getLogger(__name__)


class Uplink:
    """Connects to one broker for ever, in a thread of its own. The worst a broker can do is end one connection."""

    def __init__(
        self, site: Site, source: Source, forward: Forward, clock: Clock, *, puback_s: float = PUBACK_S
    ) -> None:
        self._site = site
        self._source = source
        self._clock = clock
        self._puback_s = puback_s
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._desk = Desk(site.broker.topics, forward, self.wake)
        self._stopping = threading.Event()
        self._steady_s = time.monotonic()  # when a connection that had lasted was lost
        self._retry_s = 0.0
        self._told = ""
        self._conversation: Conversation | None = None
        self.connected = False
        self.problem = "not connected yet"
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, so that the broker keeps the will to itself; waits at most 7 s, for a connect under way."""
        self._stopping.set()
        self.wake()
        self._thread.join(7.0)

    def alive(self) -> bool:
        """Whether the thread runs. It may wait for a disk or a name server: a second one would wait there too."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Something may be sent. Any thread; never blocks."""
        os.eventfd_write(self._wakeup, 1)

    def configure(self, site: Site) -> None:
        """Another configuration for the same broker: tell it. Any thread."""
        if site != self._site:
            self._site = site
            self.wake()

    @property
    def broker(self) -> Broker:
        """Where it connects to."""
        return self._site.broker

    @property
    def sim(self) -> bool:
        """Whether it says that its data are simulated."""
        return self._site.sim

    def summary(self) -> dict[str, Any]:
        """For people: connected, what is wrong, messages in flight, topics the broker refuses and its reason code."""
        conversation = self._conversation
        talk = conversation.summary() if conversation else {"in_flight": 0, "refused": {}}
        url = self._site.broker.cloud.url
        return {"url": url, "connected": self.connected, "problem": self.problem, **talk}

    def _run(self) -> None:
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                self._connect_and_talk()
            except Exception as error:  # a rude broker must never end this thread
                self._explain(error)
            finally:
                self._hang_up(began_s)
            self._rest()

    def _connect_and_talk(self) -> None:
        from gateway.uplink.connection import Connection  # paho costs 13 MB: only who has a broker pays

        site = self._site
        connection = Connection(site.broker, payload.offline(self._clock, site.sim, "lost"))
        polite = False
        try:
            connection.open()
            if self._stopping.is_set():  # `stop` may have ceased to wait, and another uplink begun
                raise ConnectionLost("stopped while it connected")
            self._begin(
                Conversation(connection, site, self._source, self._desk, clock=self._clock, puback_s=self._puback_s)
            )
            self._talk(site)
            polite = True
        finally:
            connection.close(polite)

    def _begin(self, conversation: Conversation) -> None:
        conversation.begin()
        self._conversation = conversation
        self.connected, self.problem, self._told = True, "", ""
        _log.info("connected to %s", self._site.broker.cloud.url)

    def _talk(self, site: Site) -> None:
        conversation = self._conversation
        assert conversation is not None
        while not self._stopping.is_set():
            if site is not self._site:
                site = self._site
                conversation.introduce(site)
            if conversation.turn(self._wakeup):
                os.eventfd_read(self._wakeup)
        conversation.say_goodbye()

    def _hang_up(self, began_s: float) -> None:
        now_s = time.monotonic()
        if self.connected and now_s - began_s > _STEADY_S:
            self._steady_s, self._retry_s = now_s, 0.0
        if self._conversation is not None:
            self._source.go_live(False)
        self.connected, self._conversation = False, None

    def _explain(self, error: Exception) -> None:
        """Once per kind of trouble, not once per attempt."""
        self.problem = f"{self._site.broker.cloud.url}: {error or type(error).__name__}"
        if self.problem != self._told:
            self._told = self.problem
            unforeseen = None if isinstance(error, OSError) else error
            _log.warning("no connection to %s", self.problem, exc_info=unforeseen)

    def _rest(self) -> None:
        """Short, jittered pauses in the first minute, so that a restarted broker has us back at once; then longer ones.

        A connection that breaks at once counts as none: two gateways of one name do not fight over it for ever.
        """
        wait_s = random.uniform(*_FAST_RETRY_S)
        if time.monotonic() - self._steady_s >= _FAST_FOR_S:
            self._retry_s = min(_SLOW_RETRY_S[1], max(_SLOW_RETRY_S[0], self._retry_s * 2))
            wait_s = self._retry_s * random.uniform(0.5, 1.0)
        until_s = time.monotonic() + wait_s
        while not self._stopping.is_set() and (left_s := until_s - time.monotonic()) > 0:
            self._stopping.wait(left_s)
