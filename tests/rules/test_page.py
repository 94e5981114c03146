"""docs/rules.md is true: its conditions compile, its mistakes are told in its words."""

import re
from pathlib import Path

import pytest

from rules.expression import ExpressionError, compile_expression

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
POINTS = {
    **{
        f"{name}.temperature": "Cel"
        for name in ("walkin_air", "walkin_core", "freezer_air", "fryer_oil", "oven_chamber")
    },
    "far_probe.temperature": "[degF]",
    "gas.concentration": "%{LEL}",
    "mains.power": "W",
    **dict.fromkeys(("walkin_door.open", "back_door.open", "fan_proving.closed", "hood_fan.on"), ""),
    "gateway/recorder.connected": "",
}
CONDITIONS = [
    line for block in re.findall(r"^```condition\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines() if line
]
MISTAKES = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", PAGE.partition("### Mistakes")[2].partition("\n## ")[0], re.M)


def test_the_page_has_examples() -> None:
    """The parts of the page that the tests read are there."""
    assert len(CONDITIONS) >= 12
    assert len(MISTAKES) >= 8


@pytest.mark.parametrize("text", CONDITIONS)
def test_examples_compile(text: str) -> None:
    """Every condition on the page compiles."""
    assert compile_expression(text, POINTS).inputs


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_mistakes_are_told_so(text: str, told: str) -> None:
    """Every mistake on the page is told in just these words."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, POINTS)
    assert caught.value.message == told
