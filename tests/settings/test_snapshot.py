"""Snapshots: the same configuration comes back, damage is refused, writing is atomic."""

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.driver import Channel
from gateway.core.errors import ConfigurationError
from gateway.settings import snapshot
from gateway.settings.compiler import compile_files
from gateway.settings.model import Configuration
from tests.settings.parts import HEAD, KITCHEN, Shelf, compiled, part


@pytest.fixture(scope="module")
def kitchen() -> Configuration:
    return compile_files(KITCHEN)


def test_a_configuration_comes_back_equal(kitchen: Configuration) -> None:
    """Loading a dump gives the very same data, slots, policies and actions included."""
    assert snapshot.load(snapshot.dump(kitchen)) == kitchen


def test_what_json_lacks_comes_back_too(tmp_path: Path) -> None:
    """Infinite ranges of a channel and tuples among a driver's options survive."""
    open_ended = part("p", lambda _: (), channels=lambda _: (Channel("level", "Cel"),))
    text = HEAD + (
        "buses: {one: {type: i2c, device: /dev/i2c-1}}\n"
        "devices: {a: {driver: p, address: 1, every: 1 s, names: [x, y], limits: [1 Cel, 2 Cel]}}\n"
    )
    configuration = compiled(tmp_path, text, Shelf(open_ended))
    loaded = snapshot.load(snapshot.dump(configuration))
    assert loaded == configuration
    assert loaded.devices[0].channels[0].low == float("-inf")
    assert loaded.devices[0].options["names"] == ("x", "y")


def test_the_same_files_give_the_same_bytes(kitchen: Configuration) -> None:
    """A dump is canonical: sorted keys, no spaces, nothing of the moment in it."""
    data = snapshot.dump(kitchen)
    assert data == snapshot.dump(compile_files(KITCHEN))
    assert json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == data


def test_the_hash_is_of_everything_else(kitchen: Configuration) -> None:
    """The hash changes with any field and does not depend on itself."""
    assert snapshot.digest(replace(kitchen, hash="")) == kitchen.hash
    assert snapshot.digest(replace(kitchen, allow_sim_with_cloud=True)) != kitchen.hash


@pytest.mark.parametrize("position", range(0, 20_000, 997))
def test_a_changed_byte_is_refused(kitchen: Configuration, position: int) -> None:
    """One flipped bit anywhere in the snapshot is a ConfigurationError that says what to do."""
    data = bytearray(snapshot.dump(kitchen))
    data[position % len(data)] ^= 0x01
    with pytest.raises(ConfigurationError, match="gateway check FILE --compile"):
        snapshot.load(bytes(data))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"hash":"x"}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    """Whatever the file holds, the answer is a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        snapshot.load(data)


def rehashed(tree: dict[str, Any]) -> bytes:
    tree.pop("hash")
    body = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    tree["hash"] = hashlib.sha256(body).hexdigest()
    return json.dumps(tree).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), True),
        (("site", "language"), "de"),
        (("site", "colour"), "red"),
        (("buses", 0, "baud"), "9600"),
        (("devices", 0, "every_s"), None),
        (("devices", 0, "process"), "cloud"),
        (("outputs", 0, "policy", "safe"), "off"),
        (("rulebook", "interlocks", 0, "slot"), "TOP"),
        (("rulebook", "interlocks", 0, "outputs", "gas_valve"), "open"),
        (("rulebook", "rules", 0, "then", 0), {"output": "x"}),
        (("devices",), {}),
    ],
)
def test_a_snapshot_of_another_release_is_refused(kitchen: Configuration, path: tuple[Any, ...], value: object) -> None:
    """A field that is missing, new, of another type or out of its words is refused although the hash fits."""
    tree = json.loads(snapshot.dump(kitchen))
    place = tree
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ConfigurationError, match="another release"):
        snapshot.load(rehashed(tree))


def test_loading_takes_milliseconds_and_no_yaml(kitchen: Configuration, tmp_path: Path) -> None:
    """Control loads the kitchen in a few milliseconds, without yaml or a driver in its memory."""
    path = tmp_path / "current.json"
    snapshot.write(path, kitchen)
    code = (
        "import sys; from pathlib import Path; from gateway.settings import snapshot;"
        f"c = snapshot.read(Path({str(path)!r})); assert c.hash == {kitchen.hash!r};"
        "print([m for m in sys.modules if m.split('.')[0] in ('yaml', 'drivers', 'sqlite3', 'asyncio', 'ssl')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
    data = path.read_bytes()
    took = []
    for _ in range(5):
        began = time.perf_counter()
        snapshot.load(data)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.02


def test_writing_replaces_in_one_step(kitchen: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails half-way leaves the old snapshot and no litter; the data is synced before it is renamed."""
    path = tmp_path / "config" / "current.json"
    snapshot.write(path, kitchen)
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        steps.append("sync")
        real_sync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        steps.append("replace")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replaced)
    snapshot.write(path, kitchen)
    assert steps == ["sync", "replace", "sync"]

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        snapshot.write(path, replace(kitchen, hash="other"))
    assert [each.name for each in path.parent.iterdir()] == ["current.json"]
    assert snapshot.read(path) == kitchen


def test_a_missing_snapshot_says_what_to_do(tmp_path: Path) -> None:
    """Without a snapshot the message names the file and the command that makes one."""
    with pytest.raises(ConfigurationError, match=r"current\.json: the snapshot can't be read .*gateway check"):
        snapshot.read(tmp_path / "current.json")
