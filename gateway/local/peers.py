"""Who is at the other end of a Unix socket, and which roles that grants (docs/local-protocol.md)."""

import grp
import pwd
import socket
import struct
from dataclasses import dataclass
from typing import Protocol

from gateway.core.role import Role
from gateway.settings.model import Access

SO_PEERGROUPS = 59  # asm-generic/socket.h; Python's socket module has no name for it
_GETSOCKOPT_LIMIT = 1024  # the longest answer Python's getsockopt takes: 256 groups


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the kernel vouches for: the process that connected, at the moment it connected."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]


class Accounts(Protocol):
    """Names of users and groups to numbers. May read files; called once per connection."""

    def group(self, name: str) -> int | None:
        """The group's id, None when there is no such group."""
        ...

    def user(self, name: str) -> int | None:
        """The user's id, None when there is no such user."""
        ...

    def login(self, uid: int) -> str:
        """The name to write into the audit."""
        ...


class SystemAccounts:
    """The machine's own users and groups."""

    def group(self, name: str) -> int | None:
        """The group's id, None when there is no such group."""
        try:
            return grp.getgrnam(name).gr_gid
        except (KeyError, ValueError):
            return None

    def user(self, name: str) -> int | None:
        """The user's id, None when there is no such user."""
        try:
            return pwd.getpwnam(name).pw_uid
        except (KeyError, ValueError):
            return None

    def login(self, uid: int) -> str:
        """The login name, or `uid 1234` for a user without one."""
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"uid {uid}"


def credentials(peer: socket.socket) -> Credentials:
    """The credentials of a connected peer. A process with more than 256 groups counts with its primary group only."""
    pid, uid, gid = struct.unpack("iII", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        packed = peer.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _GETSOCKOPT_LIMIT)
    except OSError:
        packed = b""
    groups = struct.unpack(f"{len(packed) // 4}I", packed)
    return Credentials(pid, uid, gid, frozenset((gid, *groups)))


def granted(who: Credentials, access: Access, accounts: Accounts, server_uid: int) -> frozenset[Role]:
    """The roles this peer may ask for; a name in `access` that does not exist grants nothing."""
    if who.uid in (0, server_uid):
        return frozenset(Role)
    roles = {Role.VIEWER}
    if accounts.group(access.operator_group) in who.groups:
        roles.add(Role.OPERATOR)
    if accounts.group(access.installer_group) in who.groups:
        roles |= {Role.OPERATOR, Role.INSTALLER}
    if accounts.user(access.recorder_user) == who.uid:
        roles.add(Role.RECORDER)
    if accounts.user(access.field_user) == who.uid:
        roles.add(Role.FIELD)
    return frozenset(roles)
