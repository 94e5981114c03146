"""1-Wire through sysfs: one shared conversion, never an old result."""

import errno
import os
from pathlib import Path

import pytest

from drivers.buses.onewire import OneWireMaster
from gateway.core.errors import DeviceError, NotConnected

A, B = "28-00000000000a", "28-00000000000b"


class Tree:
    """A sysfs with probes; counts conversions by what is written to the trigger."""

    def __init__(self, root: str) -> None:
        self.devices = Path(root, "sys/bus/w1/devices")
        for name in (A, B, "w1_bus_master1"):
            (self.devices / name).mkdir(parents=True)
        for name in (A, B):
            (self.devices / name / "temperature").write_text("1000\n")
        self.bulk = self.devices / "w1_bus_master1" / "therm_bulk_read"
        self.bulk.write_text("0\n")
        self.now = 100.0

    def triggered(self) -> bool:
        """Whether a conversion was asked for since the last question."""
        text = self.bulk.read_text()
        self.bulk.write_text("0\n")
        return text == "trigger\n"


@pytest.fixture
def tree(root: str) -> Tree:
    return Tree(root)


@pytest.fixture
def master(tree: Tree, root: str) -> OneWireMaster:
    return OneWireMaster("", root, monotonic=lambda: tree.now)


def test_a_lone_probe_converts_by_itself(master: OneWireMaster, tree: Tree) -> None:
    """With one probe there is nothing to share."""
    assert master.read_temperature(A) == "1000\n"
    assert not tree.triggered()


def test_one_conversion_serves_all_probes(master: OneWireMaster, tree: Tree) -> None:
    """Probes that are due together cost 0.75 s once, not each."""
    master.read_temperature(A)
    assert [bool(master.read_temperature(B)), tree.triggered()] == [True, True]
    master.read_temperature(A)
    assert not tree.triggered()


def test_a_result_is_used_once(master: OneWireMaster, tree: Tree) -> None:
    """The second read of a probe is of a new conversion."""
    master.read_temperature(A)
    master.read_temperature(B)
    assert tree.triggered()
    master.read_temperature(B)
    assert tree.triggered()


def test_an_old_result_is_not_used(master: OneWireMaster, tree: Tree) -> None:
    """A result that has waited for more than a second is not taken for the temperature now."""
    master.read_temperature(A)
    master.read_temperature(B)
    assert tree.triggered()
    tree.now += 1.5
    master.read_temperature(A)
    assert tree.triggered()


def test_without_shared_conversions_each_probe_converts(master: OneWireMaster, tree: Tree) -> None:
    """An older kernel, or no right to trigger: slower, and still right. The file is never made by us."""
    tree.bulk.unlink()
    assert [master.read_temperature(name) for name in (A, B, A)] == ["1000\n"] * 3
    assert not tree.bulk.exists()


def test_an_absent_probe_and_a_failing_one(master: OneWireMaster, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """No directory: not connected. An error of the kernel: a communication error. Both name the probe."""
    with pytest.raises(NotConnected, match="28-000000000000"):
        master.read_temperature("28-000000000000")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(DeviceError, match=f"probe {A} failed"):
        master.read_temperature(A)
