"""The DHT22 through adafruit_dht and Blinka's PulseIn, both unmodified, in a process of their own."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from fake_hw.simulator import Simulator

Tell = Callable[[str], dict[str, Any]]
PROGRAM = """
import json, signal, sys, adafruit_dht, board
sensor = adafruit_dht.DHT22(getattr(board, sys.argv[1]))
try:
    sensor.measure()
    print(json.dumps([sensor.temperature, sensor.humidity]))
except RuntimeError as error:
    print(json.dumps(str(error)))
finally:
    sensor.exit()
assert sensor.pulse_in.__class__.__module__ == "adafruit_blinka.microcontroller.bcm283x.pulseio.PulseIn"
"""


def measure(kitchen: Simulator, pin: str = "D4", timeout_s: float = 20.0) -> Any:
    """What a program with adafruit_dht prints: [°C, %RH] or the library's own error."""
    script = f"{kitchen.root}/measure.py"
    with open(script, "w", encoding="utf-8") as file:
        file.write(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "fake_hw.inject", kitchen.root, script, pin],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize(("temperature", "humidity"), [(24.3, 61.7), (-18.4, 33.0)])
def test_adafruit_dht_decodes_the_pulses(kitchen: Simulator, tell: Tell, temperature: float, humidity: float) -> None:
    """The library's own decoding of the simulated pulse train gives the model's values, below zero too."""
    tell(f"hold dry.temperature {temperature}")
    tell(f"hold dry.humidity {humidity}")
    assert measure(kitchen) == pytest.approx([temperature, humidity], abs=1.0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nack", "DHT sensor not found, check wiring"),
        ("garbage", "A full buffer was not returned. Try again."),
        ("crc", "Checksum did not validate. Try again."),
        ("flip", "Checksum did not validate. Try again."),
    ],
)
def test_damage_gives_the_librarys_own_errors(kitchen: Simulator, tell: Tell, fault: str, message: str) -> None:
    """No pulses, a short train and wrong bits each end in the error that adafruit_dht has for them."""
    tell(f"fault dry_store_air {fault}")
    assert measure(kitchen) == message


def test_nothing_is_wired_to_other_pins(kitchen: Simulator, tell: Tell) -> None:
    """A pin without a sensor, and an unplugged sensor, are not found."""
    assert measure(kitchen, "D5") == "DHT sensor not found, check wiring"
    tell("unplug dry_store_air")
    assert measure(kitchen) == "DHT sensor not found, check wiring"


def test_a_silent_helper_hangs_the_library(kitchen: Simulator, tell: Tell) -> None:
    """The fault `hang` reproduces the library's known hang: measure() does not return."""
    tell("fault dry_store_air hang")
    with pytest.raises(subprocess.TimeoutExpired):
        measure(kitchen, timeout_s=1.5)
