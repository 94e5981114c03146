"""Contact and relay: from options to the line."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers import contact, registry, relay
from drivers.buses import open_bus
from fake_hw import client
from fake_hw.simulator import Simulator
from gateway.core.driver import Bus


class Lines:
    """A chip that notes how its lines are claimed."""

    def __init__(self) -> None:
        self.claims: list[Any] = []

    def input(self, line: int, **how: Any) -> Any:
        self.claims.append((line, how))

    def output(self, line: int, **how: Any) -> Any:
        self.claims.append((line, how))

    def alive(self) -> bool:
        return True


@pytest.mark.parametrize(("active", "active_low"), [("high", False), ("low", True)])
def test_a_contact_claims_its_line_as_wired(active: Any, active_low: bool) -> None:
    """Pull, polarity and debounce time reach the kernel."""
    lines = Lines()
    contact.SPEC.open(lines, contact.Options(6, "up", active, "open", 0.05))
    assert lines.claims == [(6, {"pull": "up", "active_low": active_low, "debounce_s": 0.05})]


@pytest.mark.parametrize(("active", "active_low"), [("high", False), ("low", True)])
@pytest.mark.parametrize("safe", [False, True])
def test_a_relay_claims_its_line_at_its_safe_value(active: Any, active_low: bool, safe: bool) -> None:
    """`safe` is the output's value, not a level: polarity is applied below."""
    lines = Lines()
    relay.SPEC.open(lines, relay.Options(17, active), safe)
    assert lines.claims == [(17, {"active_low": active_low, "initial": safe})]


@pytest.mark.parametrize(
    ("active", "safe", "level"), [("high", False, 0), ("high", True, 1), ("low", False, 1), ("low", True, 0)]
)
def test_a_relays_safe_state_is_a_level(active: Any, safe: bool, level: int) -> None:
    """What is left when the gateway is gone sets the line itself: here polarity is applied."""
    bus = Bus("header", "gpio", "/dev/gpiochip0")
    assert relay.safe_state(bus, relay.Options(17, active), safe) == (f"gpio /dev/gpiochip0 17 {level}",)


def test_the_valve_opens_on_the_wire(kitchen: Simulator, until: Callable[..., None]) -> None:
    """From two SPECs to a valve that moves and the switch that proves it."""
    bus: Any = open_bus(Bus("header", "gpio", "/dev/gpiochip0"), kitchen.root)
    valve = registry.load("relay").open(bus, relay.Options(17, "high"), False)
    limit = registry.load("contact").open(bus, contact.Options(16, "up", "low", "open"))
    assert limit.is_active() is False
    valve.drive(True)
    until(limit.is_active)
    assert client.levels(kitchen.root)["GPIO17"] == 1
    bus.close()


def test_an_unknown_bus_is_told() -> None:
    """A kind of bus we do not have is an error with the ones we have."""
    with pytest.raises(ValueError, match="no bus of type 'can'; known: i2c"):
        open_bus(Bus("can", "can", "can0"))  # type: ignore[arg-type]  # the mistake under test
