"""Who may do what. The peer's credentials decide its role (gateway.local); this table decides the rest."""

from enum import StrEnum


class Role(StrEnum):
    """A kind of peer on the local protocol."""

    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # a cook or manager at the panel: slot 8 with expiry, acknowledge, shelve
    INSTALLER = "installer"  # a technician on site: reset, bypass, sim, reload besides
    RECORDER = "recorder"  # the recorder, and the cloud through it: slot 9 with expiry
    FIELD = "field"  # sends samples and events of its own devices


class Verb(StrEnum):
    """What a command asks for."""

    SET = "set"
    RELEASE = "release"
    ACK = "ack"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    RESET = "reset"
    BYPASS = "bypass"
    SIM = "sim"
    RELOAD = "reload"


_OPERATOR = frozenset({Verb.SET, Verb.RELEASE, Verb.ACK, Verb.SHELVE, Verb.UNSHELVE})
ALLOWED: dict[Role, frozenset[Verb]] = {
    Role.VIEWER: frozenset(),
    Role.OPERATOR: _OPERATOR,
    Role.INSTALLER: _OPERATOR | {Verb.RESET, Verb.BYPASS, Verb.SIM, Verb.RELOAD},
    Role.RECORDER: frozenset({Verb.SET, Verb.RELEASE}),
    Role.FIELD: frozenset(),
}
WRITE_SLOT: dict[Role, int] = {Role.OPERATOR: 8, Role.INSTALLER: 8, Role.RECORDER: 9}
"""The one priority slot a role's `set` and `release` write (oracle: bacnet_priority.csv)."""
