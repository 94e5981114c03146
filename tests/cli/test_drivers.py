"""`gateway drivers`: what an installer needs to wire a part."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers import registry
from gateway.core.driver import Spec
from gateway.settings.compiler import compile_files

Gateway = Callable[..., Any]
HEAD = "version: 1\nsite: {id: demo}\n"


def test_the_list_names_every_part(gateway: Gateway) -> None:
    """A row per driver: its name, what it is, where it hangs, how far it is proven."""
    lines = gateway("drivers").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(registry.known())
    assert "Sensirion SHT4x" in next(line for line in lines if line.startswith("sht4x"))


@pytest.mark.parametrize("name", registry.known())
def test_a_page_has_what_an_installer_asks(gateway: Gateway, name: str) -> None:
    """Wiring, options, channels, faults: no page lacks one."""
    page = gateway("drivers", name).out
    for heading in ("## Wiring", "## Options", "## Channels", "## Faults"):
        assert f"\n{heading}" in page


@pytest.mark.parametrize("name", registry.known())
def test_every_sample_is_a_site_that_compiles(gateway: Gateway, name: str, tmp_path: Path) -> None:
    """What `--sample` prints can be pasted: with a head it is a valid site file."""
    site = tmp_path / "site.yaml"
    site.write_text(HEAD + gateway("drivers", "--sample", name).out, encoding="utf-8")
    configuration = compile_files(site)
    devices = [each.driver for each in configuration.devices]
    assert devices + [each.driver for each in configuration.outputs] == [name]


def test_json_tells_the_same(gateway: Gateway) -> None:
    """Programs get the page's content as data."""
    (row,) = [row for row in gateway("drivers", "--json").json if row["driver"] == "sht4x"]
    assert row == gateway("drivers", "sht4x", "--json").json
    assert row["buses"] == ["i2c"]
    assert [channel["channel"] for channel in row["channels"]] == ["temperature", "humidity"]


@pytest.mark.parametrize(
    ("words", "message"),
    [(("drivers", "sht4"), "did you mean sht4x?"), (("drivers", "zz"), "known: "), (("drivers", "--sample"), "e.g.")],
)
def test_a_wrong_name_gets_its_cure(gateway: Gateway, words: tuple[str, ...], message: str) -> None:
    """Nothing on stdout, what to type on stderr, exit code 1."""
    answer = gateway(*words)
    assert (answer.code, answer.out) == (1, "")
    assert message in answer.err


def test_a_broken_package_of_others_hides_no_part(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list leaves it out and says why; its own page is refused with the cure."""
    load = registry.load

    def broken(name: str) -> Spec:
        if name == "sht4x":
            raise ImportError("no module named parts")
        return load(name)

    monkeypatch.setattr(registry, "load", broken)
    listed = gateway("drivers")
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == [n for n in registry.known() if n != "sht4x"]
    assert "driver 'sht4x' can't be loaded (ImportError: no module named parts): repair its package" in listed.err
    assert gateway("drivers", "sht4x").code != 0
