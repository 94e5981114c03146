"""A request to change something, from a person or the cloud, and its answer."""

from dataclasses import dataclass

from gateway.core.reading import Value
from gateway.core.role import Role, Verb


@dataclass(frozen=True, slots=True)
class Command:
    """One request, already stamped with the role the peer's credentials gave it.

    target: an output (set, release), alarm (ack, shelve, unshelve) or interlock (reset, bypass).
    for_s: how long it holds (mandatory for set, shelve and bypass). who: login name or cloud requester, for the audit.
    token: opaque to the core; the answer carries it back to whoever waits.
    """

    verb: Verb
    target: str
    role: Role
    who: str
    value: Value | None = None
    for_s: float | None = None
    reason: str = ""
    token: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of a command: `ok`, or why not and what to do."""

    token: int
    ok: bool
    message: str = ""
