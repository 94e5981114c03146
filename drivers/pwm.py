"""A fan, dimmer or valve that takes pulse-width modulation, on one of the Pi's four hardware PWM lines.

Levels: Broadcom "BCM2711 ARM Peripherals", chapter 8, pulse width modulator; Linux kernel documentation, "Pulse Width
Modulation (PWM) interface", sysfs. verified: fake.
"""

from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import AnalogOutput, Bus, Channel, DigitalLines, Spec, option
from gateway.core.errors import NotConnected, WrongOption
from gateway.core.reading import Value

CHANNELS = {12: 0, 13: 1, 18: 0, 19: 1}
"""GPIO line → channel of the controller: two lines of one channel would show the same."""
LOOK_NS = 1_000_000_000
CLOSE_PCT = 0.1


@dataclass(frozen=True, slots=True)
class Options:
    """How the load is wired and what it starts at."""

    line: int = option("GPIO12, GPIO13, GPIO18 or GPIO19: the lines that have a hardware PWM", low=0, high=53)
    active: Literal["high", "low"] = option("the level that powers the load", default="high")
    frequency_hz: float = option(
        "of the pulses: 25 kHz for a four-wire fan, 100 Hz to 1 kHz for a dimmer",
        unit="Hz",
        low=10,
        high=100_000,
        default=25_000.0,
    )
    min_level: float = option(
        "below this percentage the load gets nothing: a fan that would hum and not start", low=0, high=100, default=0.0
    )

    def __post_init__(self) -> None:
        if self.line not in CHANNELS:
            raise WrongOption(f"GPIO{self.line} has no hardware PWM; use GPIO12, GPIO13, GPIO18 or GPIO19", ("line",))


class Pwm:
    """The output above its line (`AnalogOutput`, `Served`)."""

    def __init__(self, line: AnalogOutput, min_level: float) -> None:
        self._line = line
        self._min_level = min_level
        self._level = 0.0

    def drive(self, level_pct: float) -> None:
        """Set the level. Raises NotConnected when the kernel has no such PWM any more."""
        self._level = level_pct
        self._line.drive(self._put_out())

    def level(self) -> float:
        """What was driven, where the kernel puts out what that needs; else what it puts out. Raises NotConnected."""
        seen = self._line.level()
        return self._level if abs(seen - self._put_out()) <= CLOSE_PCT else seen

    def service(self, now_ns: int) -> int:
        """Look, each second, whether it still holds. Raises NotConnected: its driver was reloaded, say."""
        seen = self.level()
        if seen != self._level:
            raise NotConnected(f"the PWM is at {seen:g} %, not at {self._level:g} %: another program sets it, stop it")
        return now_ns + LOOK_NS

    def close(self) -> None:
        """Give the line back as it is: drive it safe before."""
        close = getattr(self._line, "close", None)
        if close is not None:
            close()

    def _put_out(self) -> float:
        return self._level if self._level >= self._min_level else 0.0


def open_output(bus: DigitalLines, options: Options, safe: float) -> Pwm:
    """Claim the channel at its safe level. Raises NotConnected without its overlay; blocks up to 0.3 s, once."""
    start = safe if safe >= options.min_level else 0.0
    low = options.active == "low"
    line = bus.pwm(options.line, frequency_hz=options.frequency_hz, active_low=low, initial=start)
    return Pwm(line, options.min_level)


def safe_state(_bus: Bus, options: Options, safe: Value) -> tuple[str, ...]:
    """The duty of the channel that this driver has exported and given its period. Up to a Pi 4 it is pwmchip0's."""
    part = (safe if safe >= options.min_level else 0.0) / 100
    period_ns = round(1e9 / options.frequency_hz)
    duty_ns = round(period_ns * (1 - part if options.active == "low" else part))
    return (f"file /sys/class/pwm/pwmchip0/pwm{CHANNELS[options.line]}/duty_cycle {duty_ns}",)


SPEC = Spec(
    name="pwm",
    title="Fan, dimmer or proportional valve with pulse-width modulation",
    bus="gpio",
    direction="output",
    options=Options,
    open=open_output,
    channels=lambda _options: (Channel("level", "%", 0.0, 100.0, digits=2),),
    claims=lambda options: (f"line GPIO{options.line}", f"PWM channel {CHANNELS[options.line]}"),
    sample="fan: {driver: pwm, bus: header, line: GPIO18, frequency: 25000 Hz, min_level: 20, safe: off, lease: 3 s}",
    datasheet="Linux kernel documentation, Pulse Width Modulation (PWM) interface",
    wiring="The line carries 3.3 V and a few mA: put a transistor, a MOSFET driver or an optocoupler between it and "
    "the load. A four-wire fan pulls its PWM input up itself and wants an open collector, which turns the sense round: "
    "`active: low`. GPIO12 and GPIO18 share one channel, GPIO13 and GPIO19 the other: use one line of each pair. The "
    "onboard analogue audio uses the same controller: switch it off (`dtparam=audio=off`). Fit an external resistor to "
    "the safe level: until the gateway has started, the line is low or floats.",
    overlay="dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4  # GPIO12 and GPIO13\n"
    "#dtoverlay=pwm-2chan                                # or GPIO18 and GPIO19\n"
    "dtparam=audio=off",
    accuracy="The duty is set to a nanosecond; the controller's clock rounds it: at 25 kHz to about 0.1 %. What the "
    "load makes of it is its own affair.",
    conversion="A new level is on the line within the pulse that runs. The kernel's controller makes the pulses: "
    "nothing of ours can disturb them.",
    faults="What the kernel puts out is read back after each change and once a second, so a driver that was unloaded "
    "or a program that interferes shows, and is made good when it can be. The line itself can't be read back: a broken "
    "transistor or a seized fan shows only with `read_back` or a tachometer. **The PWM goes on when the gateway "
    "dies**, however it dies, at the last level; the safe-state program then writes the safe one, into pwmchip0 "
    "(on a Pi 5 look in `/sys/class/pwm`: where the controller has another number, that program can't). A load that "
    "must not run unattended gets its power through a relay that falls off.",
    undetected=("cut", "welded"),
    safe_state=safe_state,
)
