"""State on the disk: atomic, checked, never waited for by control."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from gateway.control import durable
from gateway.control.durable import DamagedState, StateKeeper, pack, unpack
from gateway.core.command import Command
from gateway.core.role import Role, Verb
from tests.control.fakes import FakeClock

RESET = Command(Verb.RESET, "gas_leak", Role.INSTALLER, "kim")


class Disk:
    """Writes like the real thing, but can be slow or full."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.full = False
        self.full_next = False
        self.documents: SimpleQueue[dict[str, object]] = SimpleQueue()

    def write(self, path: Path, data: bytes) -> None:
        self.entered.set()
        self.free.wait(20.0)
        if self.full:
            raise OSError(28, "No space left on device")
        durable.write_atomically(path, data)
        self.full = self.full_next
        self.documents.put(json.loads(data.splitlines()[0]))


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.free.set()


def keeper(tmp_path: Path, disk: Disk, clock: FakeClock | None = None) -> StateKeeper:
    keeper = StateKeeper(tmp_path / "state.json", clock or FakeClock(), disk.write)
    keeper.start({})
    return keeper


def test_what_was_offered_is_on_the_disk_after_stop(tmp_path: Path, disk: Disk) -> None:
    """The newest state survives a restart."""
    keep = keeper(tmp_path, disk)
    for number in range(50):
        keep.offer({"number": number})
    assert keep.stop(5.0)
    saved = durable.load(tmp_path / "state.json")
    assert saved is not None
    assert saved.state == {"number": 49}
    assert keep.ok


def test_a_stuck_disk_holds_nobody_up_and_is_told(tmp_path: Path, disk: Disk) -> None:
    """Offering never blocks; after 2 s in one write the state counts as not kept; afterwards only the newest goes."""
    clock = FakeClock()
    keep = keeper(tmp_path, disk, clock)
    disk.free.clear()
    for number in range(1000):
        keep.offer({"number": number})
    done: SimpleQueue[str] = SimpleQueue()
    keep.fulfilled(object(), done.put)
    assert disk.entered.wait(5.0)
    verdicts = [keep.ok]
    clock.advance(2.1)
    verdicts.append(keep.ok)
    assert verdicts == [True, False]
    keep.check(clock.now_ns())
    assert "was not written within 2 s" in done.get(timeout=5.0)
    disk.free.set()
    assert keep.stop(5.0)
    assert disk.documents.qsize() <= 3
    assert keep.ok


def test_a_full_disk_is_told_and_tried_again(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails answers those who wait, turns `ok` false, and is repeated until it works."""
    monkeypatch.setattr(durable, "RETRY_S", 0.01)
    keep = keeper(tmp_path, disk)
    disk.full = True
    done: SimpleQueue[str] = SimpleQueue()
    keep.intend(object(), RESET, done.put)
    assert "No space left" in done.get(timeout=5.0)
    assert not keep.ok
    disk.full = False
    disk.documents.get(timeout=5.0)
    assert keep.stop(5.0)
    assert keep.ok


def test_a_write_that_had_begun_before_counts_for_nobody_later(tmp_path: Path, disk: Disk) -> None:
    """Who comes while a write is under way waits for the next one."""
    keep = keeper(tmp_path, disk)
    disk.free.clear()
    keep.offer({})
    assert disk.entered.wait(5.0)
    done: SimpleQueue[str] = SimpleQueue()
    keep.intend(object(), RESET, done.put)
    disk.full_next = True
    disk.free.set()
    assert "No space left" in done.get(timeout=5.0)


def test_an_intent_is_on_the_disk_before_it_is_told(tmp_path: Path, disk: Disk) -> None:
    """`done` comes after the fsync; the intent goes with the first write after it was fulfilled."""
    keep = keeper(tmp_path, disk)
    intent, done = object(), SimpleQueue[str]()
    keep.intend(intent, RESET, done.put)
    assert done.get(timeout=5.0) == ""
    saved = durable.load(tmp_path / "state.json")
    assert saved is not None
    assert [each["target"] for each in saved.intents] == ["gas_leak"]
    keep.offer({"reset": True})
    keep.fulfilled(intent, done.put)
    assert done.get(timeout=5.0) == ""
    saved = durable.load(tmp_path / "state.json")
    assert saved is not None
    assert (saved.state, saved.intents) == ({"reset": True}, ())
    assert keep.stop(5.0)


def test_no_file_is_a_fresh_start(tmp_path: Path) -> None:
    """A first start has nothing to restore."""
    assert durable.load(tmp_path / "state.json") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"true", b"null"),
        lambda data: b"",
        lambda data: b"\xff" * 100,
        lambda data: data + b"x",
        lambda data: pack({"state": {}})[:-1] + b"\n" + b"more",
    ],
)
def test_a_damaged_file_is_kept_aside(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]  # a lambda
    """Half a file, a flipped value, zeros: never restored, kept for whoever investigates."""
    path = tmp_path / "state.json"
    path.write_bytes(damage(pack({"state": {"tripped": True}, "intents": []})))
    with pytest.raises(DamagedState, match="kept as"):
        durable.load(path)
    assert not path.exists()
    assert (tmp_path / "state.damaged").exists()


def test_every_single_flipped_bit_is_noticed() -> None:
    """The checksum guards each bit of the file."""
    data = pack({"state": {"a": 1}, "intents": []})
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(DamagedState):
            unpack(bytes(flipped))


def test_a_valid_seal_over_something_else_is_no_state() -> None:
    """A sealed file without the expected fields is refused too."""
    documents: tuple[dict[str, object], ...] = ({"state": {}}, {"intents": []})
    for document in documents:
        with pytest.raises(DamagedState):
            unpack(pack(document))
