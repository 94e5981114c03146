"""Register maps: written in the entry or in a file, checked, kept in the snapshot, made into options again."""

from pathlib import Path

import pytest

from drivers import registry
from drivers.decoding.registers import Register
from drivers.modbus import Options
from gateway.core.driver import Channel
from gateway.settings import snapshot
from gateway.settings.problems import Problems
from gateway.settings.tree import plain
from gateway.settings.yaml_reader import read_file
from tests.settings.parts import HEAD, ROOT, compiled
from tests.settings.test_schema import faults

MAPS = sorted((ROOT / "config" / "modbus").glob("*.yaml"))
BUS = "buses: {machines: {type: modbus_rtu, device: /dev/ttyUSB0}}\n"
ENTRY = """devices:
  oven:
    driver: modbus
    unit: 5
    every: 2 s
    timeout: 200 ms
    registers:
      chamber: {at: 0x0100, type: s16, scale: 0.1, unit: Cel, low: -20, high: 350, invalid: [0x8000]}
      mode: {at: 0x0110, values: {0: 0, 0x03: 1}}
      door_open: {at: 2, kind: discrete}
"""
EXPECTED = Options(
    unit=5,
    registers={
        "chamber": Register(0x100, type="s16", scale=0.1, unit="Cel", low=-20, high=350, invalid=(0x8000,)),
        "mode": Register(0x110, values={0: 0.0, 3: 1.0}),
        "door_open": Register(2, "discrete"),
    },
    timeout_s=0.2,
)


def test_a_map_comes_through_the_snapshot(tmp_path: Path) -> None:
    """What the file says is what the driver is opened with after the snapshot was written and read; channels too."""
    configuration = compiled(tmp_path, HEAD + BUS + ENTRY)
    loaded = snapshot.load(snapshot.dump(configuration))
    assert loaded == configuration
    (oven,) = loaded.devices
    assert registry.load("modbus").options_of(oven.options) == EXPECTED
    assert oven.channels == (
        Channel("chamber", "Cel", -20, 350, digits=1),
        Channel("mode", "1", 0, 1, digits=0),
        Channel("door_open"),
    )
    assert oven.deadline_s == pytest.approx(0.5 + 3 * 0.5)


def test_a_map_in_a_file_is_the_same_as_one_in_the_entry(tmp_path: Path) -> None:
    """`map` names a file in a folder beside the site file; what the entry itself says wins."""
    (tmp_path / "modbus").mkdir()
    registers = "".join(line[4:] + "\n" for line in ENTRY.splitlines()[6:])
    (tmp_path / "modbus" / "oven.yaml").write_text("unit: 9\ntimeout: 200 ms\n" + registers, encoding="utf-8")
    entry = "devices: {oven: {driver: modbus, unit: 5, every: 2 s, map: modbus/oven.yaml}}\n"
    (oven,) = compiled(tmp_path, HEAD + BUS + entry).devices
    assert registry.load("modbus").options_of(oven.options) == EXPECTED


def test_editors_know_maps(tmp_path: Path) -> None:
    """The schema takes a map in the entry or in a file, and misses one that is nowhere."""
    path = tmp_path / "site.yaml"
    for entry, is_right in (
        (ENTRY, True),
        ("devices: {oven: {driver: modbus, unit: 5, every: 2 s, map: modbus/oven.yaml}}\n", True),
        ("devices: {oven: {driver: modbus, unit: 5, every: 2 s}}\n", False),
        (ENTRY.replace("0x03: 1", "three: 1"), False),
    ):
        path.write_text(HEAD + BUS + entry, encoding="utf-8")
        root = read_file(path, Problems())
        assert root is not None
        assert (faults(plain(root)) == []) is is_right, entry


@pytest.mark.parametrize("path", MAPS, ids=lambda path: path.stem)
def test_the_shipped_maps_pass_and_name_their_source(tmp_path: Path, path: Path) -> None:
    """Each is taken by the check as it is, and says where its addresses were published."""
    text = path.read_text(encoding="utf-8")
    assert "# Source: " in text
    (tmp_path / path.name).write_text(text, encoding="utf-8")
    entry = f"devices: {{part: {{driver: modbus, unit: 1, every: 2 s, map: {path.name}}}}}\n"
    (part,) = compiled(tmp_path, HEAD + BUS + entry).devices
    assert len(part.channels) >= 2
