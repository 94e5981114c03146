"""The simulated kitchen is the other end of config/kitchen.yaml's wires."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fake_hw import kitchen as wiring

CONFIG = Path(__file__).parents[2] / "config/kitchen.yaml"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """The kitchen's configuration as plain data; `off` and `on` as text."""
    loaded: dict[str, Any] = yaml.load(CONFIG.read_text(encoding="utf-8"), yaml.BaseLoader)
    return loaded


def by_driver(config: dict[str, Any], driver: str) -> dict[str, dict[str, str]]:
    return {name: each for name, each in config["devices"].items() if each["driver"] == driver}


def test_every_device_has_its_other_end(config: dict[str, Any]) -> None:
    """Names, addresses, ROMs, inputs and lines agree, and nothing is wired on one side only."""
    assert {each.name: f"GPIO{each.line}" for each in wiring.CONTACTS} == {
        name: each["line"] for name, each in by_driver(config, "contact").items()
    }
    assert {each.name: hex(each.address) for each in wiring.CLIMATES} == {
        name: each["address"].lower() for name, each in by_driver(config, "sht4x").items()
    }
    assert {each.name: (hex(wiring.ADC_ADDRESS), str(each.input)) for each in wiring.TRANSMITTERS} == {
        name: (each["address"], each["input"]) for name, each in by_driver(config, "ads1115").items()
    }
    assert {each.name: each.rom for each in wiring.PROBES} == {
        name: each["id"] for name, each in by_driver(config, "ds18b20").items()
    }
    rest = {wiring.DHT: f"GPIO{wiring.DHT_LINE}"}
    assert {name: each["line"] for name, each in by_driver(config, "dht22").items()} == rest
    for placed in wiring.PLACED:
        assert list(by_driver(config, placed.driver)) == [placed.name]
    assert list(by_driver(config, "pzem004t")) == [wiring.METER]
    assert list(by_driver(config, "scale")) == [wiring.SCALE]


def test_transmitter_ranges_agree(config: dict[str, Any]) -> None:
    """0.5 V and 4.5 V mean the same on both ends of the wire."""
    for each in wiring.TRANSMITTERS:
        device = config["devices"][each.name]
        assert (float(device["at_low"]), float(device["at_high"])) == (each.at_low, each.at_high)
        assert (device["low"], device["high"]) == ("0.5 V", "4.5 V")


def test_relays_rest_in_their_safe_state(config: dict[str, Any]) -> None:
    """Each relay's resistor holds it where the configuration calls it safe, in its own polarity."""
    assert {each.name for each in wiring.RELAYS} == set(config["outputs"])
    for relay in wiring.RELAYS:
        output = config["outputs"][relay.name]
        assert output["line"] == f"GPIO{relay.line}"
        assert relay.energised_by == (1 if output["active"] == "high" else 0)
        energised_at_rest = relay.external_pull == relay.energised_by
        assert energised_at_rest == (output["safe"] == "on")


def test_ports_and_buses_agree(config: dict[str, Any]) -> None:
    """The serial links and the names of the buses are the configuration's."""
    assert config["buses"]["meters"]["device"] == wiring.METERS
    assert config["buses"]["scales"]["device"].endswith(wiring.SCALE_PORT)
    assert set(wiring.BUSES.values()) <= set(config["buses"])
