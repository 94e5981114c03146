"""What every driver owes, proven from its SPEC alone."""

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from drivers import pages, registry
from gateway.core.driver import Spec
from gateway.core.units import UNITS
from gateway.settings.keys import keys_of

SPECS = [registry.load(name) for name in registry.known()]
each = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
DOCS = Path(__file__).parents[2] / "docs" / "drivers"


def test_the_parts_of_the_kitchen_are_there() -> None:
    """A built-in driver is a file with the driver's name."""
    expected = {
        "ads1115",
        "bh1750",
        "bme280",
        "contact",
        "dht22",
        "ds18b20",
        "pms5003",
        "pzem004t",
        "relay",
        "scale",
        "scd41",
        "sen66",
        "sgp41",
        "sht3x",
        "sht4x",
        "sps30",
        "veml7700",
    }
    assert expected <= set(registry.known())


def test_an_unknown_driver_is_named_with_the_known_ones() -> None:
    """A typo in a driver's name gets the list to choose from."""
    with pytest.raises(registry.UnknownDriver, match=r"no driver 'sht99'; known: ads1115, .*sht4x"):
        registry.load("sht99")


@pytest.mark.parametrize("name", ["registry", "pages", "buses", "os"])
def test_a_module_that_is_no_part_is_no_driver(name: str) -> None:
    """Only parts can be named in a configuration."""
    with pytest.raises(registry.UnknownDriver):
        registry.load(name)


@each
def test_the_sample_is_yaml_that_makes_options(spec: Spec) -> None:
    """The documented example can be pasted: one entry that names its driver and satisfies every option."""
    ((_, entry),) = yaml.safe_load(spec.sample).items()
    assert entry["driver"] == spec.name
    assert "bus" in entry
    assert isinstance(pages.sample_options(spec), spec.options)


@each
def test_the_sample_is_a_valid_entry_of_a_site(spec: Spec) -> None:
    """The real settings compiler knows each key of the sample: options by their YAML names, the rest its own."""
    ((_, entry),) = yaml.safe_load(spec.sample).items()
    own = {pages.yaml_key(field) for field in dataclasses.fields(spec.options)}
    devices = {"driver", "bus", "every", "offset"}
    outputs = {"driver", "bus", "safe", "lease", "min_on", "min_off", "max_on", "read_back"}
    assert set(entry) <= own | (outputs if spec.direction == "output" else devices)


@each
def test_a_sample_takes_no_line_that_the_header_uses_otherwise(spec: Spec) -> None:
    """Installers copy samples: I2C (2, 3), SPI (7 to 11) and the serial port (14, 15) keep their lines."""
    lines = {int(number) for number in re.findall(r"GPIO(\d+)", spec.sample)}
    assert not lines & {0, 1, 2, 3, *range(7, 12), 14, 15}


@each
def test_channels_are_unique_and_their_units_known(spec: Spec) -> None:
    """A channel is addressed by its name and converted by its unit."""
    channels = spec.channels(pages.sample_options(spec))
    names = [channel.name for channel in channels]
    assert names
    assert len(set(names)) == len(names)
    for channel in channels:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", channel.name)
        assert channel.is_binary or channel.unit in UNITS
        assert channel.low < channel.high


@each
def test_claims_are_stable_and_tell_two_parts_apart(spec: Spec) -> None:
    """Equal options make equal claims, so that two devices on one address are found before hardware is opened."""
    options = pages.sample_options(spec)
    assert spec.claims(options) == spec.claims(pages.sample_options(spec))
    assert all(claim and claim == claim.strip() for claim in spec.claims(options))


@each
def test_options_say_what_they_are(spec: Spec) -> None:
    """Options are frozen, each has a help text, and a unit that settings can convert."""
    assert spec.options.__dataclass_params__.frozen  # type: ignore[attr-defined]  # set by the decorator
    for field in dataclasses.fields(spec.options):
        assert field.metadata["help"]
        unit = field.metadata["unit"]
        assert not unit or unit in UNITS
    assert [key.name for key in keys_of(spec.options)] == [
        pages.yaml_key(each) for each in dataclasses.fields(spec.options)
    ]


@each
def test_the_module_says_what_part_it_is(spec: Spec) -> None:
    """The docstring names what was read and how far the driver is proven."""
    text = inspect.getdoc(__import__(f"drivers.{spec.name}", fromlist=["SPEC"])) or ""
    assert f"verified: {spec.verified}" in text
    assert spec.faults
    assert spec.datasheet
    assert 0 < spec.min_every_s <= spec.deadline_of(pages.sample_options(spec)) * 10


def test_the_pages_are_up_to_date() -> None:
    """docs/drivers says what the code says; `python -m drivers.pages` writes it."""
    written = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    assert written == pages.pages()


def test_drivers_import_no_hardware_library() -> None:
    """A part's file knows Protocols; only drivers/buses touches libraries."""
    for spec in SPECS:
        source = Path(inspect.getfile(spec.options)).read_text(encoding="utf-8")
        modules = set(re.findall(r"^\s*(?:from|import) ([\w.]+)", source, re.MULTILINE))
        own = {module for module in modules if module.startswith(("gateway.core.", "drivers.decoding."))}
        assert modules - own <= {
            "collections",
            "collections.abc",
            "contextlib",
            "dataclasses",
            "datetime",
            "drivers.decoding",
            "enum",
            "itertools",
            "math",
            "re",
            "struct",
            "time",
            "typing",
        }


def test_the_buses_of_control_bring_nothing_heavy() -> None:
    """What `gateway control` opens loads no network, database, YAML or Adafruit code."""
    program = (
        "import sys; from drivers import registry; from drivers.buses import open_bus\n"
        "from gateway.core.driver import Bus\n"
        "for kind in ('i2c', 'spi', 'serial', 'onewire', 'iio', 'gpio'): open_bus(Bus('x', kind, '/dev/x')).close()\n"
        "for name in registry.known(): registry.load(name)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=DOCS.parents[1]
    )
    loaded = set(done.stdout.split())
    assert {"smbus2", "serial", "gpiozero"} <= loaded
    assert not loaded & {
        "paho",
        "sqlite3",
        "ssl",
        "asyncio",
        "yaml",
        "adafruit_dht",
        "adafruit_blinka",
        "board",
        "lgpio",
        "biip",
    }
