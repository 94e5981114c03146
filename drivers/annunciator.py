"""A buzzer, horn or tower lamp on a GPIO line, steady or in a pattern.

Patterns: ANSI/ISA-18.1 "Annunciator Sequences and Specifications", whose words are used here: flashing calls for
acknowledgement, fast flashing marks the first alarm, steady one that is acknowledged. verified: fake.
"""

from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import Bus, Channel, DigitalLines, DigitalOutput, Spec, option
from gateway.core.errors import DeviceError
from gateway.core.reading import Value

LOOK_NS = 1_000_000_000
FLASH_NS, FAST_FLASH_NS = 1_000_000_000, 500_000_000  # 60 and 120 a minute, half of the time lit
BEEP_NS = 200_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """How the lamp or buzzer is wired, and what it does while its output is on."""

    line: int = option("GPIO number, e.g. GPIO24", low=0, high=53)
    active: Literal["high", "low"] = option("the level that lights the lamp or sounds the buzzer")
    pattern: Literal["steady", "flash", "fast_flash", "beep"] = option(
        "flash: 60 a minute; fast_flash: 120 a minute; beep: 0.2 s every `beep_every`", default="steady"
    )
    beep_every_s: float = option("from one beep to the next", unit="s", low=0.5, high=3600, default=10.0)


class Annunciator:
    """The output above its line (`DigitalOutput`, `Served`). On means that it announces, lit at this moment or dark."""

    def __init__(self, line: DigitalOutput, lit_ns: int, period_ns: int, is_on: bool) -> None:
        self._line = line
        self._lit_ns, self._period_ns = lit_ns, period_ns
        self._is_on = self._is_lit = is_on
        self._began_ns: int | None = None

    def drive(self, active: bool) -> None:
        """Begin the pattern with its lit part, or be dark; both at once. Raises NotConnected."""
        if active is not self._is_on:
            self._began_ns = None
            self._is_on = self._is_lit = active
        self._line.drive(self._is_lit)

    def level(self) -> bool:
        """What was driven, where the line is as the pattern has it at this moment; else the opposite.

        Raises NotConnected.
        """
        return self._is_on is (self._line.level() is self._is_lit)

    def service(self, now_ns: int) -> int:
        """Go on with the pattern, and look whether the line follows. Raises NotConnected or DeviceError."""
        if self._line.level() is not self._is_lit:
            raise DeviceError(f"the line is not {'on' if self._is_lit else 'off'} any more: check for a short circuit")
        if not self._is_on or self._lit_ns >= self._period_ns:
            return now_ns + LOOK_NS
        if self._began_ns is None:
            self._began_ns = now_ns
        since_ns = (now_ns - self._began_ns) % self._period_ns
        lit = since_ns < self._lit_ns
        if lit is not self._is_lit:
            self._line.drive(lit)
            self._is_lit = lit
        due_ns = now_ns - since_ns + (self._lit_ns if lit else self._period_ns)
        return min(due_ns, now_ns + LOOK_NS)

    def close(self) -> None:
        """Give the line back as it is: drive it safe before."""
        close = getattr(self._line, "close", None)
        if close is not None:
            close()


def open_output(bus: DigitalLines, options: Options, safe: bool) -> Annunciator:
    """Claim the line at its safe level in one step. Raises NotConnected when chip or line is not to be had."""
    line = bus.output(options.line, active_low=options.active == "low", initial=safe)
    return Annunciator(line, *_rhythm(options), safe)


def safe_state(bus: Bus, options: Options, safe: Value) -> tuple[str, ...]:
    """Steady, as nobody is left to keep the pattern."""
    return (f"gpio {bus.device} {options.line} {int(bool(safe) is not (options.active == 'low'))}",)


def _rhythm(options: Options) -> tuple[int, int]:
    """(lit, period) in ns."""
    return {
        "steady": (LOOK_NS, LOOK_NS),
        "flash": (FLASH_NS // 2, FLASH_NS),
        "fast_flash": (FAST_FLASH_NS // 2, FAST_FLASH_NS),
        "beep": (BEEP_NS, round(options.beep_every_s * 1e9)),
    }[options.pattern]


SPEC = Spec(
    name="annunciator",
    title="Buzzer, horn or lamp of a tower",
    bus="gpio",
    direction="output",
    options=Options,
    open=open_output,
    channels=lambda _options: (Channel("on"),),
    claims=lambda options: (f"line GPIO{options.line}",),
    sample="alarm_lamp: {driver: annunciator, bus: header, line: GPIO24, active: high, pattern: flash, safe: off, "
    "lease: 3 s}",
    datasheet="ANSI/ISA-18.1, Annunciator Sequences and Specifications",
    wiring="A tower has one output for each of its lamps and one for its buzzer, each on its own line through a "
    "transistor or a driver board: a line gives 3.3 V and a few mA. Choose a buzzer that sounds by itself (active); a "
    "passive one needs a tone. An external resistor holds the line at off while the Pi boots.",
    accuracy="Flashes are of equal length within about a millisecond, and don't drift: they are counted from the "
    "moment the output came on.",
    conversion="Lit, or dark, at once; the pattern begins with its lit part.",
    faults="The line is read back after each change and at least once a second. A burnt lamp shows only with "
    "`read_back`. A dark lamp says nothing by itself: have the staff press a lamp test, and put `safe: on` on a lamp "
    "that is to say that the gateway is not working; the safe-state program then lights it steadily.",
    undetected=("cut", "welded"),
    safe_state=safe_state,
)
