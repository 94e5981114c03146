"""Units: exact conversions, and clear words for everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.units import UNITS, convert, convert_difference, parse_quantity


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (100.0, "Cel", "[degF]", 212.0),
        (0.0, "Cel", "[degF]", 32.0),
        (-40.0, "[degF]", "Cel", -40.0),
        (0.0, "K", "Cel", -273.15),
        (212.0, "[degF]", "K", 373.15),
        (5.0, "min", "s", 300.0),
        (1.5, "h", "min", 90.0),
        (1.0, "d", "h", 24.0),
        (250.0, "ms", "s", 0.25),
        (1.2, "kW", "W", 1200.0),
        (1500.0, "W.h", "kW.h", 1.5),
        (20.0, "mA", "A", 0.02),
        (500.0, "mV", "V", 0.5),
        (750.0, "g", "kg", 0.75),
        (0.05, "mg/m3", "ug/m3", 50.0),
        (20.0, "hPa", "Pa", 2000.0),
    ],
)
def test_known_conversions(value: float, source: str, target: str, expected: float) -> None:
    """Conversions agree with values anyone can look up."""
    assert convert(value, source, target) == pytest.approx(expected, abs=1e-9)


@given(st.sampled_from(list(UNITS)), st.sampled_from(list(UNITS)), st.floats(-1e6, 1e6))
def test_there_and_back(source: str, target: str, value: float) -> None:
    """Within a kind a conversion there and back is the identity; across kinds it is refused with both named."""
    if UNITS[source].kind == UNITS[target].kind:
        assert convert(convert(value, source, target), target, source) == pytest.approx(value, rel=1e-9, abs=1e-6)
        return
    with pytest.raises(ValueError, match="can't be compared") as caught:
        convert(value, source, target)
    assert source in str(caught.value)
    assert target in str(caught.value)


def test_differences_have_no_zero_point() -> None:
    """A difference of 9 °F is 5 K and 5 °C, whatever the zero points."""
    assert convert_difference(9.0, "[degF]", "Cel") == pytest.approx(5.0)
    assert convert_difference(5.0, "Cel", "K") == pytest.approx(5.0)
    with pytest.raises(ValueError, match="can't be compared"):
        convert_difference(1.0, "Cel", "V")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 min", (5.0, "min")),
        ("-0.2 Cel", (-0.2, "Cel")),
        ("20 %{LEL}", (20.0, "%{LEL}")),
        ("200ms", (200.0, "ms")),
        ("7", (7.0, "1")),
        ("1e3 W", (1000.0, "W")),
    ],
)
def test_quantities(text: str, expected: tuple[float, str]) -> None:
    """A number and its unit are read as written; a bare number has unit 1."""
    assert parse_quantity(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [("warm", "not a number with a unit"), ("", "not a number"), ("5 parsec", "unknown unit 'parsec'")],
)
def test_what_is_no_quantity(text: str, words: str) -> None:
    """Anything else is refused with what to write instead."""
    with pytest.raises(ValueError, match=words):
        parse_quantity(text)
