"""The credentials matrix: what each kind of peer may be and do, tried by real processes with other credentials."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.core.role import Role, Verb
from gateway.local.peers import Accounts, Credentials, SystemAccounts, granted
from gateway.local.server import Server
from gateway.settings.model import Access

STRANGER, RECORDER_UID, FIELD_UID = 60001, 60003, 60004
OPERATORS, INSTALLERS = 70001, 70002

# docs/local-protocol.md, written down a second time: identity (uid, gid, groups) → roles; role → verbs; role → frames.
IDENTITIES: dict[str, tuple[int, int, list[int], set[str]]] = {
    "stranger": (STRANGER, STRANGER, [], {"viewer"}),
    "operator": (STRANGER, STRANGER, [123, OPERATORS], {"viewer", "operator"}),
    "operator by primary group": (STRANGER, OPERATORS, [], {"viewer", "operator"}),
    "installer": (STRANGER, STRANGER, [INSTALLERS], {"viewer", "operator", "installer"}),
    "recorder": (RECORDER_UID, STRANGER, [], {"viewer", "recorder"}),
    "field": (FIELD_UID, STRANGER, [], {"viewer", "field"}),
    "root": (0, 0, [], {"viewer", "operator", "installer", "recorder", "field"}),
}
MANUAL = {"set", "release", "ack", "shelve", "unshelve"}
VERBS: dict[str, set[str]] = {
    "viewer": set(),
    "operator": MANUAL,
    "installer": MANUAL | {"reset", "bypass", "sim", "reload"},
    "recorder": {"set", "release"},
    "field": set(),
}
FRAMES: dict[str, set[str]] = {
    "viewer": set(),
    "operator": set(),
    "installer": set(),
    "recorder": {"subscribe", "ack", "health"},
    "field": {"samples", "health"},
}

CHILD = """
import json, os, sys
from gateway.core.role import Role, Verb
from gateway.local.client import Client, Connection
path, uid, gid, groups = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
os.setgroups(groups)
os.setresgid(gid, gid, gid)
os.setresuid(uid, uid, uid)

def connects(role):
    try:
        Connection(path, "try", role).close()
    except PermissionError:
        return False
    return True

def may_send(role, kind):
    with Connection(path, f"{role} {kind}", role) as connection:
        connection.send({"kind": kind})
        try:
            connection.send({"kind": "query", "id": 1, "what": "x"})
            return connection.receive(5.0)[0]["kind"] == "response"
        except ConnectionError as error:
            assert "may not send" in str(error), error
            return False

def may_command(client, verb):
    return client.command(verb, "thing", value=True, for_s=60, reason="test")["ok"]

roles = [role.value for role in Role if connects(role)]
verbs = {}
for role in roles:
    with Client(Connection(path, role, role)) as client:
        verbs[role] = [verb.value for verb in Verb if may_command(client, verb)]
frames = {role: [k for k in ("subscribe", "ack", "samples", "health") if may_send(role, k)] for role in roles}
print(json.dumps({"roles": roles, "verbs": verbs, "frames": frames}))
"""


@pytest.fixture
def open_folder(folder: Path) -> Path:
    folder.chmod(0o711)
    return folder


@pytest.mark.parametrize("identity", IDENTITIES)
def test_credentials_decide_role_and_verbs(identity: str, open_folder: Path, server: Server, handler: Any) -> None:
    """Each identity gets exactly the roles, verbs and frames of the protocol's tables; every refusal is reported."""
    uid, gid, groups, roles = IDENTITIES[identity]
    arguments = [str(open_folder / "control.sock"), str(uid), str(gid), json.dumps(groups)]
    child = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    tried = json.loads(child.stdout)
    assert set(tried["roles"]) == roles
    assert {role: set(verbs) for role, verbs in tried["verbs"].items()} == {role: VERBS[role] for role in roles}
    assert {role: set(kinds) for role, kinds in tried["frames"].items()} == {role: FRAMES[role] for role in roles}

    refused_roles = {fields["role"] for _, fields, _ in handler.refusals if fields["kind"] == "hello"}
    assert refused_roles == {role.value for role in Role} - roles
    refused = [fields["kind"] for _, fields, _ in handler.refusals]
    assert refused.count("command") == sum(len(Verb) - len(VERBS[role]) for role in roles)
    assert len(refused) - refused.count("command") - refused.count("hello") == sum(4 - len(FRAMES[r]) for r in roles)
    assert {who for who, _, _ in handler.refusals} <= {f"uid {uid}"}
    assert all(" may not " in message and ": " in message for _, _, message in handler.refusals)
    assert len(handler.commands) == sum(len(VERBS[role]) for role in roles)


def test_the_user_that_runs_the_server_may_do_everything(accounts: Accounts) -> None:
    """Root and the server's own user get every role; nobody else does."""
    owner = Credentials(1, 4711, 4711, frozenset({4711}))
    assert granted(owner, Access(), accounts, server_uid=4711) == frozenset(Role)
    assert granted(owner, Access(), accounts, server_uid=4712) == {Role.VIEWER}


def test_names_that_do_not_exist_grant_nothing() -> None:
    """A group or user missing on this machine matches no peer."""
    access = Access("no-such-group", "no-such-group", "no-such-user", "no-such-user")
    peer = Credentials(1, 4711, 4711, frozenset({4711}))
    assert granted(peer, access, SystemAccounts(), server_uid=1) == {Role.VIEWER}


def test_system_accounts_know_root() -> None:
    """Names are resolved by the machine's own database; a user without a name is still named."""
    accounts = SystemAccounts()
    assert (accounts.user("root"), accounts.group("root"), accounts.login(0)) == (0, 0, "root")
    assert accounts.login(987654) == "uid 987654"
