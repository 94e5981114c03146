"""What each kind of bus loads, and that it loads nothing of the others."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from gateway.control.views import FORBIDDEN
from gateway.core.driver import FIELD_BUSES, BusKind

ROOT = Path(__file__).parents[3]
LIBRARIES: dict[str, set[str]] = {
    "i2c": {"smbus2"},
    "serial": {"serial"},
    "modbus_rtu": {"serial"},
    "gpio": {"gpiozero", "colorzero"},
    "mqtt": {"ssl"},  # paho comes with the first connection
}
HEAVY = FORBIDDEN | {"smbus2", "serial", "gpiozero", "colorzero", "pymodbus", "adafruit_dht", "multiprocessing"}
OURS = {"modbus", "modbus_tcp", "modbus_frames", "mqtt", "spi", "evdev", "iio", "dht", "onewire", "i2c", "serial_port"}
MODULES: dict[str, set[str]] = {
    "gpio": set(),
    "serial": {"serial_port"},
    "modbus_rtu": {"modbus", "modbus_frames", "serial_port"},
    "modbus_tcp": {"modbus_tcp", "modbus_frames"},
}
PROGRAM = """
import sys
import gateway.app.{process}
from drivers.buses import open_bus
from gateway.core.driver import Bus
if {kind!r}:
    open_bus(Bus("x", {kind!r}, "/dev/x", url="tcp://127.0.0.1:502"), "/nowhere").close()
print(*sys.modules)
"""


def loaded(process: str, kind: str) -> set[str]:
    """The names of all modules, once this process has opened such a bus."""
    program = PROGRAM.format(process=process, kind=kind)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("kind", ["", *get_args(BusKind)])
def test_a_bus_loads_its_own_library_only(kind: str) -> None:
    """A gateway without Modbus, MQTT, SPI… loads nothing of it; control stays light."""
    modules = loaded("field" if kind in FIELD_BUSES else "control", kind)
    tops = {name.partition(".")[0] for name in modules}
    assert tops & HEAVY == LIBRARIES.get(kind, set())
    assert not any(name.startswith("adafruit") for name in tops)
    buses = {name.removeprefix("drivers.buses.") for name in modules if name.startswith("drivers.buses.")}
    assert buses & OURS == (MODULES.get(kind, {kind}) if kind else set())
