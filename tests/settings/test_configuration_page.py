"""`docs/configuration.md` is true: its blocks compile, its messages come, no key is missing."""

import re
from pathlib import Path

import pytest

from gateway.core.errors import ConfigurationError
from gateway.settings.compiler import compile_files
from gateway.settings.health import health_alarms
from gateway.settings.keys import keys_of
from gateway.settings.model import Access, Cloud, Site, Store
from gateway.settings.words import SECTIONS, Root, ThenEntry
from tests.settings.parts import ROOT

PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_blocks_are_one_site_that_passes(tmp_path: Path) -> None:
    """The examples, one after the other, compile."""
    path = tmp_path / "site.yaml"
    path.write_text("".join(blocks("yaml")), encoding="utf-8")
    configuration = compile_files(path)
    assert len(configuration.devices) == 12
    assert configuration.cloud is not None


def test_the_mistakes_shown_give_the_messages_shown(tmp_path: Path) -> None:
    """The page's messages are the check's own, to the letter."""
    text = "".join(blocks("yaml"))
    text = text.replace("address: 0x44", "adress: 0x44").replace(
        "trip: fryer_oil.temperature", "trip: fryer_oil.temprature"
    )
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        compile_files(path)
    found = [problem.replace(f"{tmp_path}/", "") for problem in refused.value.problems]
    assert found == blocks("text")[0].splitlines()


def test_no_key_and_no_health_alarm_is_missing() -> None:
    """Every key a site file may have stands on the page, and every alarm the gateway adds."""
    described = (*SECTIONS.values(), Root, ThenEntry, Site, Store, Access, Cloud)
    keys = {key.name for each in described for key in keys_of(each)}
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", PAGE)] == []
    names = [alarm.name for alarm in health_alarms((), has_field=True, has_cloud=True)]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
