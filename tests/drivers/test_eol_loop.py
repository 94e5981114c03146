"""Supervised loop: open and closed are told from cut, short and everything in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.divider import resistance_ohm, told_ohm
from drivers.eol_loop import Options, decode
from gateway.core.errors import SensorFailure
from tests.drivers.wire import Wire, values

DOOR = Options(0x49, 2)


def volts_of(ohm: float) -> float:
    return 3.3 * ohm / (ohm + 4700)


@pytest.mark.parametrize(("ohm", "is_open"), [(4700, False), (4000, False), (5400, False), (9400, True), (8000, True)])
def test_the_two_states(ohm: float, is_open: bool) -> None:
    """Each within its tolerance."""
    assert decode(volts_of(ohm), DOOR) is is_open


@pytest.mark.parametrize(
    ("ohm", "words"),
    [
        (0, "is short-circuited"),
        (3900, "is short-circuited"),
        (6500, "is neither open nor closed: tampering, or a bad joint"),
        (11_000, "is cut"),
    ],
)
def test_everything_else_is_a_failure(ohm: float, words: str) -> None:
    """A cut or bridged wire is no state of the door; the message has what was measured and what both states have."""
    told = rf"^the loop at input 2 {words} \(.*; closed 4\.70 kOhm, open 9\.40 kOhm\)"
    with pytest.raises(SensorFailure, match=told):
        decode(volts_of(ohm), DOOR)


@pytest.mark.parametrize(("pull_ohm", "is_open"), [(850, False), (1150, False), (2550, True), (3450, True)])
def test_the_tolerance_belongs_to_the_state(pull_ohm: float, is_open: bool) -> None:
    """15 % of 1 and of 3 kOhm to the ohm: half the supply is the pull-up's own resistance."""
    loop = Options(0x49, 2, line_ohm=1000.0, contact_ohm=2000.0, pull_ohm=pull_ohm, supply_v=2.0)
    assert decode(1.0, loop) is is_open


@given(st.floats(-0.5, 6.2))
def test_any_voltage_is_a_state_or_a_failure(volts: float) -> None:
    """A state stands only for its own resistance."""
    ohm = resistance_ohm(volts, 3.3, 4700)
    try:
        wanted = 9400 if decode(volts, DOOR) else 4700
    except SensorFailure:
        return
    assert abs(ohm - wanted) <= 0.1501 * wanted


def test_states_that_overlap_are_refused() -> None:
    """Resistors that can't be told apart are found before anything is opened."""
    with pytest.raises(ValueError, match="take a larger contact resistor"):
        Options(0x49, 2, contact_ohm=1000.0)
    with pytest.raises(ValueError, match="within 25 %"):  # 3750 Ohm is the end of both
        Options(0x49, 2, line_ohm=3000.0, contact_ohm=2000.0, tolerance_pct=25.0)
    assert Options(0x49, 2, line_ohm=3000.0, contact_ohm=2001.0, tolerance_pct=25.0).tolerance_pct == 25.0


def test_a_resistance_is_told_as_people_write_it() -> None:
    """Ohm, kiloohm, and none at all."""
    assert [told_ohm(ohm) for ohm in (12.4, 4700, float("inf"))] == ["12 Ohm", "4.70 kOhm", "no current flows"]


def test_the_door_on_the_simulated_wire(wire: Wire) -> None:
    """Closed, open, cut, short, mended; with the channel's own name."""
    wire.place("eol_loop", channel="ajar")
    door = wire.open()
    assert values(door.read()) == {"ajar": False}
    wire.set(ajar=1.0)
    assert values(door.read()) == {"ajar": True}
    for fault, words in (("cut", "is cut"), ("short", "is short-circuited")):
        wire.fault(fault)
        with pytest.raises(SensorFailure, match=words):
            door.read()
    wire.fault("none")
    assert values(door.read()) == {"ajar": True}
