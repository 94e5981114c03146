"""Any site's parts on a bench: what a compiled configuration names is on the wires."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import registry
from drivers.buses import open_bus
from fake_hw import client
from fake_hw.inject import install
from gateway.settings import snapshot
from gateway.settings.compiler import compile_files

SITE = """
version: 1
site: {id: two-airs}
buses:
  cold: {type: i2c, device: /dev/i2c-1}
  warm: {type: i2c, device: /dev/i2c-5}
devices:
  a: {driver: sht4x, bus: cold, address: 0x44, every: 1 s}
  b: {driver: sht4x, bus: warm, address: 0x44, every: 1 s}
"""


@pytest.fixture
def site(root: str) -> Iterator[str]:
    """The bench as a process of its own."""
    file, compiled = Path(root, "site.yaml"), Path(root, "site.json")
    file.write_text(SITE)
    compiled.write_bytes(snapshot.dump(compile_files(file)))
    command = [sys.executable, "-m", "fake_hw", "--root", root, "--site", str(compiled), "--die-with-parent"]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 10
    while not Path(root, "ready").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
    undo = install(root)
    yield root
    undo()
    process.terminate()
    assert process.wait(5) == 0


def test_devices_answer_on_their_own_buses(site: str) -> None:
    """Each device senses its own truth, which `set` moves; a bus is unplugged by its configured name."""
    configuration = compile_files(Path(site, "site.yaml"))
    buses = {bus.name: bus for bus in configuration.buses}
    spec = registry.load("sht4x")
    sensors = {
        device.name: spec.open(open_bus(buses[device.bus], site), spec.options(**device.options))
        for device in configuration.devices
    }
    assert client.command(site, "set a.temperature 4")["ok"]
    assert client.command(site, "set b.temperature 60")["ok"]
    assert sensors["a"].read()[0].value == pytest.approx(4, abs=0.3)
    assert sensors["b"].read()[0].value == pytest.approx(60, abs=0.3)
    assert client.command(site, "unplug warm")["ok"]
    with pytest.raises(OSError, match="/dev/i2c-5"):
        sensors["b"].read()
    assert client.command(site, "status")["status"]["quantities"]["a.temperature"] == 4
