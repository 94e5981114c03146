"""The serving end of the local protocol: one thread, many peers, nothing that waits."""

import logging
import os
import selectors
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import gateway
from gateway.core.command import Command
from gateway.core.errors import AlreadyRunning, Refused
from gateway.core.role import Role
from gateway.local.frames import BODY_LIMIT, LINE_LIMIT, Header, ProtocolError, encode, encode_value
from gateway.local.peers import Accounts, SystemAccounts, credentials, granted
from gateway.local.requests import (
    FRAME_ROLES,
    PROTOCOL,
    read_command,
    read_hello,
    read_id,
    read_query,
    refusal,
)
from gateway.local.session import Peer
from gateway.settings.model import Access

__all__ = ["Handler", "Peer", "Reply", "Server"]

PEER_LIMIT = 64
HELLO_WITHIN_S = 5.0
_PATH_LIMIT = 107  # sun_path, unix(7)
_FRAMES_PER_TURN = 16
_SHARE_S = 0.002  # when a peer has more to say than its share: the others, and control, go first
_REST_S = 1.0  # the longest sleep, so that `alive` and the hello deadline stay true
_SILENT_S = 10.0
_MESSAGE_LIMIT = 4000

Reply = Callable[[bool, str], None]
_log = logging.getLogger(__name__)


class Handler(Protocol):
    """What a process does with its peers. Called in the server's thread only; must never block."""

    def hello(self) -> dict[str, Any]:
        """The process's own fields of the hello answer: process, run, boot, sim, configuration."""
        ...

    def command(self, peer: Peer, command: Command, reply: Reply) -> None:
        """Carry out; call `reply(ok, message)` once, from any thread, now or later."""
        ...

    def query(self, peer: Peer, what: str, arguments: dict[str, Any]) -> object:
        """A JSON-ready answer. Raises Refused or ValueError with what is wrong and what to do."""
        ...

    def frame(self, peer: Peer, header: Header, body: bytes | None) -> None:
        """A frame of any other kind from a peer whose role may send it. ValueError ends the peer."""
        ...

    def refused(self, peer: Peer, fields: Header, message: str) -> None:
        """Something was asked that this role may not do; for the audit."""
        ...

    def pump(self, peer: Peer) -> None:
        """Send what waits for this peer while `peer.room`: after `wake`, and when room has come back."""
        ...

    def closed(self, peer: Peer) -> None:
        """A peer that had said hello is gone."""
        ...


class Server:
    """Listens on a Unix socket. `access` may be replaced while it runs and counts for new connections."""

    def __init__(self, path: Path, handler: Handler, access: Access, accounts: Accounts | None = None) -> None:
        self.access = access
        self._path = path
        self._handler = handler
        self._accounts = accounts or SystemAccounts()
        self._peers: dict[int, Peer] = {}
        self._replies: deque[tuple[Peer, bytes]] = deque()
        self._stopping = False
        self._behind = False  # a peer has frames left from its last turn
        self._turned_s = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="local-server", daemon=True)

    def start(self) -> None:
        """Replace a stale socket file and begin to serve. Raises AlreadyRunning or OSError with what to do."""
        self._listener = _listen(self._path)
        self._inode = os.stat(self._path).st_ino
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and remove the socket file; waits at most 2 s for the thread."""
        self._stopping = True
        os.eventfd_write(self._wakeup, 1)
        self._thread.join(2.0)

    def wake(self) -> None:
        """Have `handler.pump` called for every peer soon. Any thread; never blocks."""
        os.eventfd_write(self._wakeup, 1)

    def alive(self) -> bool:
        """Whether the thread runs and has turned within the last 10 s."""
        return self._thread.is_alive() and time.monotonic() - self._turned_s < _SILENT_S

    def peers(self) -> list[dict[str, Any]]:
        """Who is connected: `{name, role, who, waiting}`, waiting in bytes. Any thread."""
        return [
            {"name": peer.name, "role": peer.role.value, "who": peer.who, "waiting": peer.waiting}
            for peer in list(self._peers.values())
            if peer.greeted
        ]

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:
                _log.exception("the local server stumbled and goes on")
                time.sleep(0.1)  # a fault that stays must not become a busy loop
        self._shut()

    def _turn(self) -> None:
        ready = self._selector.select(_SHARE_S if self._behind else _REST_S)
        self._turned_s = time.monotonic()
        woken = False
        for key, events in ready:
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj == self._wakeup:
                os.eventfd_read(self._wakeup)
                woken = True
            elif events & selectors.EVENT_READ:
                key.data.receive()
        self._send_replies()
        self._behind = False
        for peer in list(self._peers.values()):
            self._serve(peer, woken)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # out of descriptors, or the peer has gone again
            _log.warning("a connection to %s could not be taken: %s", self._path, error)
            time.sleep(0.05)
            return
        connection.setblocking(False)
        peer = Peer(connection, credentials(connection), self._turned_s)
        self._peers[connection.fileno()] = peer
        if len(self._peers) > PEER_LIMIT:
            peer.end(f"{PEER_LIMIT} peers are connected already: close one")

    def _serve(self, peer: Peer, woken: bool) -> None:
        """One peer's share of a turn: hear, pump, send."""
        more = self._handle_frames(peer)
        if not peer.greeted and not peer.closing and self._turned_s - peer.since_s > HELLO_WITHIN_S:
            peer.end(f"no hello within {HELLO_WITHIN_S:g} s")
        if woken or peer.starved:
            self._pump(peer)
        peer.flush()
        if peer.dead or peer.closing:
            self._drop(peer)
            return
        self._behind = self._behind or ((more or peer.starved) and peer.room)
        self._watch(peer, hear=peer.room and not more)

    def _watch(self, peer: Peer, *, hear: bool) -> None:
        """Listen for what this peer may do next."""
        interest = selectors.EVENT_WRITE if peer.waiting else 0
        if hear:
            interest |= selectors.EVENT_READ
        if interest == peer.interest:
            return
        if not peer.interest:
            self._selector.register(peer.socket, interest, peer)
        elif not interest:
            self._selector.unregister(peer.socket)
        else:
            self._selector.modify(peer.socket, interest, peer)
        peer.interest = interest

    def _handle_frames(self, peer: Peer) -> bool:
        """Handle the peer's share of frames; whether more wait already."""
        try:
            for _ in range(_FRAMES_PER_TURN):
                frame = peer.peek()
                if frame is None:
                    return False
                if not (peer.room or peer.dead) or not self._in_share(peer, frame[0]):
                    return True
                peer.pop()
                self._handle_frame(peer, *frame)
            return peer.peek() is not None
        except ProtocolError as error:
            peer.end(str(error))
            return False

    def _in_share(self, peer: Peer, header: Header) -> bool:
        return header["kind"] not in ("query", "command") or peer.may_ask(self._turned_s)

    def _handle_frame(self, peer: Peer, header: Header, body: bytes | None) -> None:
        try:
            self._dispatch(peer, header, body)
        except (ProtocolError, Refused, ValueError) as error:
            peer.end(str(error))
        except Exception as error:
            _log.exception("the frame %s of %s failed", header.get("kind"), peer.name)
            peer.end(f"internal error ({type(error).__name__}): see the log")

    def _dispatch(self, peer: Peer, header: Header, body: bytes | None) -> None:
        kind = header["kind"]
        if not peer.greeted:
            self._greet(peer, header)
        elif kind == "query":
            self._query(peer, header)
        elif kind == "command":
            self._command(peer, header)
        elif kind not in FRAME_ROLES:
            raise ProtocolError(f"unknown kind {kind!r:.40}")
        elif peer.role not in FRAME_ROLES[kind]:
            message = f"{peer.role} may not send {kind}: connect as {' or '.join(sorted(FRAME_ROLES[kind]))}"
            self._handler.refused(peer, header, message)
            raise ProtocolError(message)
        else:
            self._handler.frame(peer, header, body)

    def _greet(self, peer: Peer, header: Header) -> None:
        hello = read_hello(header)
        peer.name, peer.who = hello.name, self._accounts.login(peer.uid)
        if hello.role not in granted(peer.credentials, self.access, self._accounts, os.getuid()):
            message = f"{peer.who} may not connect as {hello.role}: {_cure(hello.role, self.access)}"
            self._handler.refused(peer, header, message)
            raise ProtocolError(message)
        peer.role, peer.greeted = hello.role, True
        peer.send(
            {
                "kind": "hello",
                "protocol": PROTOCOL,
                "version": gateway.__version__,
                **self._handler.hello(),
                "role": peer.role,
                "credentials": {"uid": peer.uid, "gid": peer.credentials.gid},
            }
        )

    def _query(self, peer: Peer, header: Header) -> None:
        number = read_id(header)
        what, arguments = read_query(header)
        try:
            result = encode_value(self._handler.query(peer, what, arguments))
        except (Refused, ValueError) as error:
            peer.send(_response(number, False, str(error)))
        except Exception as error:
            _log.exception("the query %r of %s failed", what, peer.name)
            peer.send(_response(number, False, f"internal error ({type(error).__name__}): see the log"))
        else:
            peer.send_bytes(_answer(number, result))

    def _command(self, peer: Peer, header: Header) -> None:
        number = read_id(header)
        try:
            message = refusal(header, peer.role)
            if message is not None:
                self._handler.refused(peer, header, message)
                raise Refused(message)
            command = read_command(header, peer.role, peer.who)
            self._handler.command(peer, command, lambda ok, text: self._reply(peer, number, ok, text))
        except (Refused, ValueError) as error:
            peer.send(_response(number, False, str(error)))
        except Exception as error:
            _log.exception("the command %r of %s failed", header.get("verb"), peer.name)
            peer.send(_response(number, False, f"internal error ({type(error).__name__}): see the log"))

    def _reply(self, peer: Peer, number: int, ok: bool, message: str) -> None:
        """Answer a command from any thread."""
        self._replies.append((peer, encode(_response(number, ok, message[:_MESSAGE_LIMIT]))))
        os.eventfd_write(self._wakeup, 1)

    def _send_replies(self) -> None:
        while self._replies:
            peer, data = self._replies.popleft()
            peer.send_bytes(data)

    def _pump(self, peer: Peer) -> None:
        if not peer.greeted:
            return
        try:
            if peer.room:
                self._handler.pump(peer)
            peer.starved = not peer.room
        except Exception as error:
            _log.exception("nothing more can be sent to %s", peer.name)
            peer.end(f"internal error ({type(error).__name__}): see the log")

    def _drop(self, peer: Peer) -> None:
        if peer.closing and peer.name:
            _log.info("closed %s (%s): %s", peer.name, peer.who, peer.closing)
        if peer.interest:
            self._selector.unregister(peer.socket)
        self._peers = {number: other for number, other in self._peers.items() if other is not peer}
        peer.dead = True
        peer.socket.close()
        if peer.greeted:
            try:
                self._handler.closed(peer)
            except Exception:
                _log.exception("forgetting %s failed", peer.name)

    def _shut(self) -> None:
        for peer in list(self._peers.values()):
            peer.flush()
            self._drop(peer)
        self._listener.close()
        self._selector.close()
        try:
            if os.stat(self._path).st_ino == self._inode:  # not a successor's
                os.unlink(self._path)
        except FileNotFoundError:
            return


def _response(number: int, ok: bool, message: str) -> Header:
    return {"kind": "response", "id": number, "ok": ok, "message": message}


def _answer(number: int, result: bytes) -> bytes:
    """A query's answer: in the line, or as the body when it is long."""
    head = b'{"kind":"response","id":%d,"ok":true' % number
    if len(head) + len(result) + 12 <= LINE_LIMIT:
        return head + b',"result":' + result + b"}\n"
    if len(result) > BODY_LIMIT:
        return encode(_response(number, False, f"the answer has {len(result)} bytes: ask for less (limit, since_s)"))
    return head + b',"body":%d}\n' % len(result) + result


def _cure(role: Role, access: Access) -> str:
    groups = {Role.OPERATOR: access.operator_group, Role.INSTALLER: access.installer_group}
    if role in groups:
        return f"join the group {groups[role]} and log in again"
    users = {Role.RECORDER: access.recorder_user, Role.FIELD: access.field_user}
    return f"only the user {users.get(role, '')} may"


def _listen(path: Path) -> socket.socket:
    """A listening socket that takes the place of a stale one in a single step."""
    if len(os.fsencode(path)) > _PATH_LIMIT:
        raise OSError(f"{path} is longer than {_PATH_LIMIT} bytes, too long for a socket: choose a shorter --state")
    _refuse_if_taken(path)
    fresh = path.with_name(f".{path.name[0]}{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(str(fresh))
    os.chmod(fresh, 0o666)  # noqa: S103 - the directory decides who may connect, the credentials what they may do
    listener.listen(PEER_LIMIT)
    os.rename(fresh, path)
    return listener


def _refuse_if_taken(path: Path) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(f"{path} is in the way and is no socket: move it elsewhere")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
        except BlockingIOError:  # its queue is full: somebody is there
            pass
    raise AlreadyRunning(f"another process answers at {path}: stop it, or choose another --state")
