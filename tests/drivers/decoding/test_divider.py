"""A resistance in a voltage divider, exactly, and as a person reads it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.divider import resistance_ohm, told_ohm


@pytest.mark.parametrize(
    ("volts", "ohm"),
    [(-0.2, 0.0), (0.0, 0.0), (0.5, 1000 / 3), (1.0, 1000.0), (1.5, 3000.0), (2.0, math.inf), (2.1, math.inf)],
)
def test_the_two_resistors_divide_the_supply(volts: float, ohm: float) -> None:
    """1 kOhm from 2 V; nothing below no voltage, no current at the supply's and above."""
    assert resistance_ohm(volts, 2.0, 1000.0) == pytest.approx(ohm)


@given(st.floats(0.01, 1e6), st.floats(1.0, 5.5), st.floats(100.0, 1e6))
def test_the_voltage_leads_back_to_the_resistance(ohm: float, supply_v: float, pull_ohm: float) -> None:
    """Whatever the resistors are: the voltage that Ohm's law gives means the resistance that made it."""
    assert resistance_ohm(supply_v * ohm / (ohm + pull_ohm), supply_v, pull_ohm) == pytest.approx(ohm, rel=1e-6)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_voltage_is_a_negative_resistance(volts: float) -> None:
    """Any voltage is 0 Ohm or more."""
    assert resistance_ohm(volts, 3.3, 4700.0) >= 0


def test_a_resistance_is_told_as_people_write_it() -> None:
    """Whole ohms below a kiloohm, two decimals from there on, words for none at all."""
    told = {0.4: "0 Ohm", 999.4: "999 Ohm", 1000.0: "1.00 kOhm", 100_000.0: "100.00 kOhm", math.inf: "no current flows"}
    assert {ohm: told_ohm(ohm) for ohm in told} == told
