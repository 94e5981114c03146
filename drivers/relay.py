"""A relay or contactor coil behind a driver board on a GPIO line.

Levels: Raspberry Pi documentation "GPIO pads control", 3.3 V, at most 16 mA. verified: fake.
"""

from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Bus, Channel, DigitalLines, DigitalOutput, Spec, option
from gateway.core.reading import Value


@dataclass(frozen=True, slots=True)
class Options:
    """How the driver board is wired."""

    line: int = option("GPIO number, e.g. GPIO17", low=0, high=53)
    active: Literal["high", "low"] = option("the level that energises the coil")


def open_output(bus: DigitalLines, options: Options, safe: bool) -> DigitalOutput:
    """Claim the line at its safe level in one step. Raises NotConnected when chip or line is not to be had."""
    return bus.output(options.line, active_low=options.active == "low", initial=safe)


def safe_state(bus: Bus, options: Options, safe: Value) -> tuple[str, ...]:
    """The line at its physical level."""
    return (f"gpio {bus.device} {options.line} {int(bool(safe) is (options.active == 'high'))}",)


SPEC = Spec(
    name="relay",
    title="Relay or contactor",
    bus="gpio",
    direction="output",
    options=Options,
    open=open_output,
    safe_state=safe_state,
    channels=lambda _options: (Channel("on"),),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="gas_valve: {driver: relay, bus: header, line: GPIO17, active: high, safe: off, lease: 3 s}",
    datasheet="Raspberry Pi documentation, GPIO pads control",
    wiring="A driver board (opto-coupler or transistor), never the coil itself: a line gives 16 mA at 3.3 V. Choose "
    "the contact, normally open or closed, so that the load is safe without power. Active high on GPIO9 to GPIO27 with "
    "10 kohm to ground: these lines are low while the Pi boots. The board's coils have a supply of their own.",
    accuracy="The kernel sets the line in microseconds; a relay takes 5 to 15 ms.",
    faults="The line itself is read back after each change. A welded contact or a dead coil only shows with "
    "`read_back`, an auxiliary contact wired to an input. Fit an external resistor to the safe level: it decides "
    "while the Pi boots.",
    undetected=("cut", "welded"),
)
