"""A switch between a GPIO line and ground or supply: door reed, limit switch, emergency stop, fan-proving switch.

Levels: Raspberry Pi documentation "GPIO pads control", 3.3 V. Debounced by the kernel (GPIO v2 uAPI). verified: fake.
"""

from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Channel, DigitalInput, DigitalLines, Spec, option


@dataclass(frozen=True, slots=True)
class Options:
    """How the switch is wired and what it means."""

    line: int = option("GPIO number, e.g. GPIO17", low=0, high=53)
    pull: Literal["up", "down", "none"] = option("the Pi's own resistor; none when there is one outside")
    active: Literal["high", "low"] = option("the level at which the channel is true")
    channel: str = option("what is true then, e.g. open, closed, pressed")
    debounce_s: float = option("how long a level must last", unit="s", low=0, high=10, default=0.02)


def open_input(bus: DigitalLines, options: Options) -> DigitalInput:
    """Claim the line. Raises NotConnected when the chip is absent or somebody else holds the line."""
    return bus.input(options.line, pull=options.pull, active_low=options.active == "low", debounce_s=options.debounce_s)


SPEC = Spec(
    name="contact",
    title="Switch or dry contact",
    bus="gpio",
    direction="input",
    options=Options,
    open=open_input,
    channels=lambda options: (Channel(options.channel),),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="walkin_door: {driver: contact, bus: header, line: GPIO6, pull: up, active: high, channel: open}",
    datasheet="Raspberry Pi documentation, GPIO pads control",
    wiring="One side of the switch to the GPIO line, the other to ground (`pull: up`) or to 3.3 V (`pull: down`). The "
    "Pi's own pull of some 50 kohm does for wires of a few metres; along motors and contactors use screened cable, "
    "1 kohm to 3.3 V and `pull: none`. Never more than 3.3 V on a line: an opto-coupler for anything else.",
    conversion="The kernel reports a change when it has lasted for `debounce`.",
    faults="A cut wire reads as the level of the pull resistor: wire it so that this is the dangerous meaning "
    "(normally closed to ground, pull up, active high). A short circuit can't be told from a closed switch: driver "
    "`eol_loop` tells both. GPIO chip gone: BadNotConnected.",
    undetected=("cut", "short"),
)
