"""Thermocouples: our inverse polynomials against NIST's tables and against the reference functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.thermocouple import RANGES_C, Kind, temperature_c, voltage_mv
from fake_hw.parts.thermocouple import millivolts
from gateway.core.errors import InvalidData

KINDS: tuple[Kind, ...] = ("K", "J", "N", "T")


@pytest.mark.parametrize(
    ("kind", "celsius", "volts"),
    [
        ("K", -200, -5.891),
        ("K", -50, -1.889),
        ("K", 25, 1.000),
        ("K", 180, 7.340),
        ("K", 500, 20.644),
        ("K", 1000, 41.276),
        ("J", -100, -4.633),
        ("J", 100, 5.269),
        ("J", 1000, 57.953),
        ("N", 100, 2.774),
        ("N", 1000, 36.256),
        ("T", -50, -1.819),
        ("T", 200, 9.288),
    ],
)
def test_the_published_table(kind: Kind, celsius: float, volts: float) -> None:
    """Rows of Monograph 175's tables, through our functions and through the simulator's."""
    assert temperature_c(kind, volts) == pytest.approx(celsius, abs=0.08)
    assert voltage_mv(kind, celsius) == pytest.approx(volts, abs=0.003)
    assert millivolts(kind, celsius) == pytest.approx(volts, abs=0.0006)


@pytest.mark.parametrize(
    ("kind", "volts", "celsius"), [("K", 54.886, 1372), ("J", 69.553, 1200), ("N", 47.513, 1300), ("T", 20.872, 400)]
)
def test_the_last_millivolt_belongs_to_the_curve(kind: Kind, volts: float, celsius: float) -> None:
    """The end of each table is a temperature; a microvolt more is none."""
    assert temperature_c(kind, volts) == pytest.approx(celsius, abs=0.05)
    with pytest.raises(InvalidData):
        temperature_c(kind, volts + 0.001)


@pytest.mark.parametrize(("kind", "volts"), [("K", -5.891), ("J", -8.095), ("N", -3.990), ("T", -5.603)])
def test_the_first_millivolt_belongs_to_the_curve(kind: Kind, volts: float) -> None:
    """The table's coldest voltage is a temperature; a microvolt less is none."""
    assert temperature_c(kind, volts) == pytest.approx(RANGES_C[kind][0], abs=0.08)
    with pytest.raises(InvalidData):
        temperature_c(kind, volts - 0.001)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("K", -200, 1372), ("J", -210, 1200), ("N", -200, 1300), ("T", -200, 400)]
)
def test_every_degree_is_within_what_nist_promises(kind: Kind, low: int, high: int) -> None:
    """Degree by degree over the whole range against the reference functions: 0.06 °C at most."""
    assert RANGES_C[kind] == (low, high)
    off = {c: temperature_c(kind, millivolts(kind, c)) - c for c in range(low + 1, high)}
    assert max(off.values()) < 0.06
    assert min(off.values()) > -0.06


@given(st.sampled_from(KINDS), st.floats(0, 1))
def test_both_sides_agree_everywhere(kind: Kind, share: float) -> None:
    """The inverse functions are within 0.06 °C of the reference functions over their whole range."""
    low, high = RANGES_C[kind]
    celsius = low + share * (high - low)
    volts = min(max(millivolts(kind, celsius), voltage_mv(kind, low)), voltage_mv(kind, high))
    assert temperature_c(kind, volts) == pytest.approx(celsius, abs=0.1)
    assert temperature_c(kind, voltage_mv(kind, celsius)) == pytest.approx(celsius, abs=0.08)


@pytest.mark.parametrize(("kind", "volts"), [("K", -5.9), ("K", 55.0), ("T", 21.0), ("J", 70.0), ("N", float("nan"))])
def test_what_no_thermocouple_gives_is_refused(kind: Kind, volts: float) -> None:
    """Beyond the polynomials there is no temperature."""
    with pytest.raises(InvalidData, match="wires swapped"):
        temperature_c(kind, volts)
