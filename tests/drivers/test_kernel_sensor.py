"""One attribute of the kernel's hwmon or IIO."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.buses import open_bus
from drivers.kernel_sensor import KernelSensor, Options, decode
from gateway.core.driver import Bus
from gateway.core.errors import InvalidData, NotConnected

PI = Options("cpu_thermal", "temp1_input", "temperature", "Cel", -40.0, 125.0)


def bus(root: Path) -> Any:
    """The production bus on a tree of our own."""
    return open_bus(Bus("kernel_io", "iio"), str(root))


def show(root: Path, place: str, **files: str) -> None:
    """A device as the kernel shows it."""
    for name, text in files.items():
        path = root / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


def test_reads_hwmon_and_iio_by_name(tmp_path: Path) -> None:
    """The same driver finds a device in either tree, whatever its number."""
    show(tmp_path, "sys/class/hwmon/hwmon3", name="cpu_thermal\n", temp1_input="48312\n")
    show(tmp_path, "sys/bus/iio/devices/iio:device1", name="bmp280\n", in_pressure_input="101.325\n")
    assert KernelSensor(bus(tmp_path), PI).read()[0].value == 48.312
    pressure = Options("bmp280", "in_pressure_input", "pressure", "hPa", 300.0, 1100.0, scale=10.0)
    (sample,) = KernelSensor(bus(tmp_path), pressure).read()
    assert sample.channel == "pressure"
    assert sample.value == pytest.approx(1013.25)


def test_a_device_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    """The installer sees the names there are."""
    show(tmp_path, "sys/class/hwmon/hwmon0", name="rpi_volt\n")
    with pytest.raises(NotConnected, match=r"no kernel device is called cpu_thermal \(there are: rpi_volt\)"):
        KernelSensor(bus(tmp_path), PI).read()


def test_scale_and_zero() -> None:
    """The value is scale times the kernel's number, plus zero."""
    assert decode("2000\n", replace(PI, scale=0.01, zero=-5.0)) == 15.0


@pytest.mark.parametrize("text", ["", "\n", "nan\n", "inf\n", "hot\n", "125001\n", "-40001\n"])
def test_what_is_no_number_or_impossible_is_refused(text: str) -> None:
    """Empty, words, no number, outside what can be true: an error that shows it."""
    with pytest.raises(InvalidData, match="cpu_thermal"):
        decode(text, PI)


@given(st.text(max_size=30))
def test_any_text_is_a_possible_value_or_an_error(text: str) -> None:
    """Nothing a file may hold becomes an impossible value."""
    try:
        value = decode(text, PI)
    except InvalidData:
        return
    assert math.isfinite(value)
    assert PI.low <= value <= PI.high


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attribute": "../../secret"}, "is no attribute"),
        ({"unit": "Grad"}, "unknown unit 'Grad'"),
        ({"low": 5.0, "high": 5.0}, "must be below"),
    ],
)
def test_wrong_options_are_named(changes: dict[str, Any], message: str) -> None:
    """A site file can't reach other files, and mistakes have words."""
    with pytest.raises(ValueError, match=message):
        replace(PI, **changes)
