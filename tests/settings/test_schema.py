"""The JSON Schema for editors agrees with the reader."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.settings.problems import Problems
from gateway.settings.schema import json_schema
from gateway.settings.tree import plain
from gateway.settings.yaml_reader import read_bytes, read_file
from tests.settings.parts import KITCHEN, ROOT

CASES = Path(__file__).parent / "cases"
SHAPES = (
    "bus_wrong",
    "missing_keys",
    "unknown_option",
    "unknown_driver",
    "unknown_section",
    "site_wrong",
    "version_2",
    "interlock_priority",
    "alarm_keys",
    "rule_keys",
    "store",
    "bool_words",
    "section_no_mapping",
    "modbus_map",
)
"""Cases whose fault a schema can see; claims, names and conditions are beyond it."""


def faults(instance: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(json_schema())
    return [error.message for error in validator.iter_errors(instance)]


def written(path: Path) -> Any:
    root = read_file(path, Problems())
    assert root is not None
    return plain(root)


def test_the_committed_schema_is_up_to_date() -> None:
    """`config/schema.json` is what the code says: run `python -m gateway.settings.schema > config/schema.json`."""
    assert json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8")) == json_schema()


def test_the_schema_is_a_schema() -> None:
    """It is valid JSON Schema 2020-12 itself."""
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_sample_kitchen_fits_the_schema() -> None:
    """An editor with the schema finds nothing wrong in `config/kitchen.yaml`."""
    assert faults(written(KITCHEN)) == []


@pytest.mark.parametrize("name", SHAPES)
def test_an_editor_sees_faults_of_shape(name: str) -> None:
    """Misspelt keys, wrong words and missing keys are seen while typing."""
    assert faults(written(CASES / f"{name}.yaml")) != []


def test_switches_may_be_written_in_four_ways() -> None:
    """on, off, true and false fit where a two-state value belongs, whichever YAML the editor speaks."""
    for word in ("on", "off", "true", "false"):
        text = f"version: 1\nsite: {{id: a}}\nallow_sim_with_cloud: {word}\n"
        root = read_bytes(text.encode(), "site.yaml", Problems())
        assert root is not None
        assert faults(plain(root)) == []
