"""Panel relay and plain contact on the simulated wire: states, bouncing, and what a broken wire means."""

from collections.abc import Callable

import pytest

from tests.drivers.wire import Wire

CHIP = "/dev/gpiochip0"
Until = Callable[..., None]


def test_a_panel_that_is_well_is_no_alarm(wire: Wire, until: Until) -> None:
    """Closed while all is well, open in alarm."""
    wire.place("panel", "gpio", CHIP)
    panel = wire.open()
    assert panel.is_active() is False
    wire.set(alarm=1)
    until(panel.is_active)
    wire.set(alarm=0)
    until(lambda: not panel.is_active())


def test_a_cut_wire_of_a_panel_is_an_alarm(wire: Wire, until: Until) -> None:
    """Fail-safe: what can't tell that all is well says alarm."""
    wire.place("panel", "gpio", CHIP)
    panel = wire.open()
    wire.fault("cut")
    until(panel.is_active)


@pytest.mark.parametrize("pull", ["up", "down", "none"])
@pytest.mark.parametrize("active", ["high", "low"])
def test_a_contact_in_every_wiring(wire: Wire, until: Until, pull: str, active: str) -> None:
    """Every mix of pull and active level means what the wiring says; a bouncing change is reported once."""
    wire.place("contact", "gpio", CHIP, pull=pull, active=active)
    contact = wire.open()
    assert contact.is_active() is False
    changes: list[bool] = []
    contact.watch(lambda is_active, _time_ns: changes.append(is_active))
    wire.fault("bounce")
    for truth in (1, 0):
        wire.set(open=truth)
        until(lambda wanted=truth: contact.is_active() is bool(wanted))
    until(lambda: len(changes) == 2)
    assert changes == [True, False]
    assert contact.edges() == 2
