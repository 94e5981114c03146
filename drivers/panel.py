"""Certified gas or fire alarm panel, read by one of its relays: a dry contact that is closed while all is well.

Standard: EN 54-2 (fire) and EN 50194-1, EN 60079-29-1 (gas) panels and detectors with relay outputs, normally
energised, volt-free. Levels: Raspberry Pi documentation "GPIO pads control", 3.3 V. verified: fake.
"""

from dataclasses import dataclass

from gateway.core.driver import Channel, DigitalInput, DigitalLines, Spec, option


@dataclass(frozen=True, slots=True)
class Options:
    """Where the relay is wired and what it tells. Its sense is fixed: open is alarm."""

    line: int = option("GPIO number, e.g. GPIO19", low=0, high=53)
    channel: str = option("what an open contact means: alarm, fault, discharged …", default="alarm")
    debounce_s: float = option("how long a level must last", unit="s", low=0.005, high=10, default=0.05)


def open_input(bus: DigitalLines, options: Options) -> DigitalInput:
    """Claim the line with its pull-up. Raises NotConnected when the chip is absent or somebody else holds the line."""
    return bus.input(options.line, pull="up", active_low=False, debounce_s=options.debounce_s)


SPEC = Spec(
    name="panel",
    title="Certified gas or fire panel, by its relay",
    bus="gpio",
    direction="input",
    options=Options,
    open=open_input,
    channels=lambda options: (Channel(options.channel),),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="fire_panel: {driver: panel, bus: header, line: GPIO19, channel: alarm}",
    datasheet="EN 54-2, EN 50194-1, EN 60079-29-1 (relay outputs)",
    wiring="The panel's normally closed contact between the line and GND; the Pi pulls the line up. Give the panel's "
    "alarm relay and its fault relay a line each. More than a few metres: 1 kOhm in series, 100 nF at the Pi, or an "
    "opto-coupler. For a wire whose short circuit must show too: driver `eol_loop`.",
    accuracy="Two states",
    conversion="Each change is reported by the kernel after `debounce`",
    faults="The panel stays the safety device: it acts by itself, we only learn of it. Alarm, panel without power (its "
    "relay drops), cut wire and pulled plug all read as alarm. A short circuit of the wire reads as all well, and a "
    "contact can't show it: run it inside the panel, test it with the panel, or supervise it with `eol_loop`.",
    undetected=("cut", "short"),
)
