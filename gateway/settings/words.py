"""The words a site file may use: one dataclass per kind of entry. The reader, the schema and the docs follow them."""

from dataclasses import dataclass
from typing import Literal

from gateway.core.driver import BusKind
from gateway.settings.keys import word
from gateway.settings.maps import FILE, FILE_HELP
from gateway.settings.model import CREDENTIAL, CREDENTIAL_HELP, Mux

NAME = r"[a-z][a-z0-9_]{0,31}"
NAME_HELP = "a name is a small letter, then up to 31 small letters, digits and _"

InterlockPriority = Literal["estop", "life_safety", "equipment_trip", "permissive"]
RulePriority = Literal["rule_high", "rule", "occupancy"]
_BAD_INPUT = r"(trip|off|on|hold\(.+\))"
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class BusEntry:
    """A wire or port."""

    type: BusKind = word("the kind of bus")
    device: str = word(
        "path of the device node, e.g. /dev/i2c-1", default="", pattern=r"/dev(/[A-Za-z0-9_:+@-][A-Za-z0-9_.:+@-]*)+"
    )
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 256000] = word(
        "serial, modbus_rtu: bits per second", default=9600
    )
    parity: Literal["none", "even", "odd"] = word("serial, modbus_rtu: parity bit", default="none")
    stop_bits: Literal[1, 2] = word("serial, modbus_rtu: stop bits", default=1)
    url: str = word(
        "modbus_tcp: tcp://host:502; mqtt: mqtt://host:1883 or mqtts://host:8883",
        default="",
        pattern=r"(tcp|mqtts?)://[A-Za-z0-9.\-]+(:[0-9]{1,5})?",
    )
    username: str = word("mqtt: the broker's user name", default="")
    password_file: str = word(f"mqtt: {CREDENTIAL_HELP}", pattern=CREDENTIAL, default="")
    ca: str = word(f"mqtt: {CREDENTIAL_HELP}", pattern=CREDENTIAL, default="")
    power_line: int = word("i2c: the GPIO line that feeds its parts, cut for a moment when it hangs", name="power",
                           unit="gpio", default=-1)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A part that is read; the driver's own keys stand beside these."""

    driver: str = word("the part's driver (list: gateway drivers)")
    bus: str = word("the bus it is wired to; may be left out when there is one of the kind", default="")
    mux: Mux | None = word("i2c: the TCA9548A it is behind, {address: 0x70, channel: 3}", default=None)
    every_s: float | None = word("how often it is polled, e.g. 5 s", unit="s", low=0.01, high=_DAY_S, default=None)
    deadline_s: float | None = word("how long one poll may take", unit="s", low=0.01, high=60, default=None)
    map_file: str = word(FILE_HELP, name="map", pattern=FILE, default="")
    offset: str | dict[str, str] = word("calibration, added to what it measures: {temperature: -0.2 Cel}", default="")
    max_per_s: str | dict[str, str] = word("the fastest change per second to believe: {level: 2 %}", default="")


@dataclass(frozen=True, slots=True)
class OutputEntry:
    """A part that is driven; the driver's own keys stand beside these."""

    driver: str = word("the part's driver (list: gateway drivers)")
    bus: str = word("the bus it is wired to; may be left out when there is one of the kind", default="")
    mux: Mux | None = word("i2c: the TCA9548A it is behind, {address: 0x70, channel: 3}", default=None)
    safe: bool | float = word(
        "what it is when nobody asks for anything: off, on, or 30 % of an analog one", unit="%", low=0, high=100,
        default=False,
    )  # fmt: skip
    lease_s: float = word("how long a decision holds without being refreshed", unit="s", low=1, high=3600, default=3.0)
    min_on_s: float = word("shortest time on", unit="s", low=0, high=_DAY_S, default=0.0)
    min_off_s: float = word("shortest time off", unit="s", low=0, high=_DAY_S, default=0.0)
    max_on_s: float = word("longest time on; 0 s for no limit", unit="s", low=0, high=_DAY_S, default=0.0)
    read_back: str = word("the two-state point that proves its real state", default="")
    read_back_s: float = word(
        "how long the read-back may differ", name="read_back_within", unit="s", low=0.1, high=600, default=2.0
    )


@dataclass(frozen=True, slots=True)
class InterlockEntry:
    """Forces outputs while its cause stands: `trip` when it is true, `permissive` when it is missing."""

    outputs: dict[str, bool | float | Literal["inhibit_start"]] = word(
        "what it forces: {output: off | on | 40 % | inhibit_start}", unit="%", low=0, high=100
    )
    on_bad_input: str = word("what a bad input does: trip or hold(30 s)", pattern=_BAD_INPUT)
    trip: str = word("acts while this is true", default="")
    permissive: str = word("acts while this is false", default="")
    priority: InterlockPriority | None = word("estop, life_safety, equipment_trip or permissive", default=None)
    for_s: float = word("how long the cause must stand first", unit="s", low=0, high=_DAY_S, default=0.0)
    latch: bool = word("stays tripped until an installer resets it", default=True)
    bypass_max_s: float | Literal["forbidden"] = word(
        "forbidden, or how long it may be bypassed, e.g. 30 min", name="bypass", unit="s", low=1, high=_DAY_S,
        default="forbidden",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """Tells people that something needs them."""

    when: str = word("the condition; left out when only rules raise it", default="")
    for_s: float = word("how long it must be true first", unit="s", low=0, high=30 * _DAY_S, default=0.0)
    off_delay_s: float = word("how long it must be false to end", unit="s", low=0, high=30 * _DAY_S, default=0.0)
    priority: Literal["low", "medium", "high", "urgent"] = word("how soon someone must act", default="medium")
    group: str = word("the group it belongs to, e.g. cold_holding", name="class", default="", pattern=NAME)
    latch: bool = word("stays until an installer resets it", default=False)
    shelve_max_s: float = word(
        "how long it may be shelved; 0 s forbids it", name="shelve", unit="s", low=0, high=30 * _DAY_S, default=28800.0
    )
    on_bad_input: str = word("what a bad input does: off, on or hold(60 s)", default="", pattern=_BAD_INPUT)
    text: dict[Literal["en", "ko"], str] = word("what people read: {en: …, ko: …}", default_factory=dict)


@dataclass(frozen=True, slots=True)
class ThenEntry:
    """What a rule does while it is active."""

    set: dict[str, bool | float] = word(
        "outputs to hold: {output: on | off | 40 %}", unit="%", low=0, high=100, default_factory=dict
    )
    alarms: str | tuple[str, ...] = word("alarm or [alarms] to raise", name="raise", default="")
    log: str = word("text to record", default="")


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """An IF-THEN of the site."""

    when: str = word("the condition that makes it active")
    then: ThenEntry = word("what it does: {set: {output: on}, raise: alarm, log: text}")
    until: str = word("the condition that ends it; left out: when `when` is false", default="")
    for_s: float = word("how long `when` must be true first", unit="s", low=0, high=30 * _DAY_S, default=0.0)
    off_delay_s: float = word("how long it stays active after its end", unit="s", low=0, high=30 * _DAY_S, default=0.0)
    priority: RulePriority = word("rule_high, rule or occupancy", default="rule")
    on_bad_input: str = word("what a bad input does: off, on or hold(30 min)", default="off", pattern=_BAD_INPUT)


SECTIONS: dict[str, type] = {
    "buses": BusEntry,
    "devices": DeviceEntry,
    "outputs": OutputEntry,
    "interlocks": InterlockEntry,
    "alarms": AlarmEntry,
    "rules": RuleEntry,
}
"""The sections that hold named entries."""

DECISIONS = ("interlocks", "alarms", "rules")
"""The sections a file in `rules.d` may have."""


@dataclass(frozen=True, slots=True)
class Root:
    """The keys of a site file that are no sections of named entries, besides site, store, access and cloud."""

    version: Literal[1] = word("the version of this language: 1")
    allow_sim_with_cloud: bool = word("let a simulated run use this site's cloud credentials", default=False)
