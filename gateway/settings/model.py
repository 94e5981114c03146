"""A checked configuration: frozen data, every unit resolved, every name known. What a snapshot holds."""

from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.core.driver import Bus, Channel
from gateway.core.output import OutputPolicy
from gateway.settings.keys import word
from rules.definition import Rulebook

__all__ = ["Access", "Bus", "Cloud", "Configuration", "Device", "Mux", "Output", "Site", "Store"]

_ID = r"[a-z0-9-]{1,32}"
_ID_HELP = "1 to 32 of a-z, 0-9 and -"
CREDENTIAL = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
CREDENTIAL_HELP = "a file name inside the credentials directory, without a path"
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Site:
    """The place. language: of the messages people see."""

    id: str = word(_ID_HELP, pattern=_ID)
    name: str = word("what people call it", default="")
    timezone: str = word("e.g. Asia/Seoul", default="UTC")
    language: Literal["en", "ko"] = word("of the messages people see", default="en")
    jurisdiction: Literal["", "KR", "US-FDA", "US-NYC", "UK", "EU", "FI", "AU"] = word("whose rules apply", default="")


@dataclass(frozen=True, slots=True)
class Mux:
    """The channel of a TCA9548A that lies between an I2C adapter and a part."""

    address: int = word("the mux's address", low=0x70, high=0x77)
    channel: int = word("which of its channels", low=0, high=7)


@dataclass(frozen=True, slots=True)
class Device:
    """A part on a bus. options: the driver's own keys, checked, in base units, as plain data for `SPEC.options_of`."""

    name: str
    driver: str
    bus: str
    process: Literal["control", "field"]
    direction: Literal["polled", "input"]
    every_s: float
    deadline_s: float
    options: dict[str, Any]
    channels: tuple[Channel, ...]
    offsets: dict[str, float] = field(default_factory=dict)  # channel → calibration offset, in the channel's unit
    mux: Mux | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A driven part and the arbiter's policy for it."""

    name: str
    driver: str
    bus: str
    options: dict[str, Any]
    policy: OutputPolicy
    mux: Mux | None = None


@dataclass(frozen=True, slots=True)
class Cloud:
    """The MQTT broker. credentials: file names inside the credentials directory, never secrets themselves."""

    url: str = word("mqtt://host:1883 or mqtts://host:8883")
    tenant: str = word(_ID_HELP, pattern=_ID)
    gateway: str = word(_ID_HELP, pattern=_ID)
    ca: str = word(CREDENTIAL_HELP, pattern=CREDENTIAL, default="")
    certificate: str = word(CREDENTIAL_HELP, pattern=CREDENTIAL, default="")
    key: str = word(CREDENTIAL_HELP, pattern=CREDENTIAL, default="")
    username: str = word("the broker's user name", default="")
    password_file: str = word(CREDENTIAL_HELP, pattern=CREDENTIAL, default="")
    commands: bool = word("whether the cloud may send commands (slot 9)", default=False)
    keepalive_s: float = word("how often a silent connection is proved", unit="s", low=5, high=3600, default=30.0)


@dataclass(frozen=True, slots=True)
class Store:
    """The recorder's files. Sizes in bytes."""

    commit_s: float = word("how long readings are gathered for one commit", unit="s", low=0.1, high=60, default=1.0)
    telemetry_budget: int = word("what readings may fill", unit="By", low=_MIB, default=256 * _MIB)
    critical_budget: int = word("what alarms and audit may fill", unit="By", low=_MIB, default=64 * _MIB)


@dataclass(frozen=True, slots=True)
class Access:
    """Which Unix groups and users get which role on the local protocol (names; a missing one grants nothing)."""

    operator_group: str = word("members may set, acknowledge and shelve", default="kitchen-operator")
    installer_group: str = word("members may reset and bypass besides", default="kitchen-installer")
    recorder_user: str = word("the user the recorder runs as", default="kitchen-recorder")
    field_user: str = word("the user the field process runs as", default="kitchen-field")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One compiled site. hash: SHA-256 of the snapshot's canonical JSON without this field."""

    version: int
    site: Site
    buses: tuple[Bus, ...]
    devices: tuple[Device, ...]
    outputs: tuple[Output, ...]
    rulebook: Rulebook
    store: Store = Store()
    access: Access = Access()
    cloud: Cloud | None = None
    allow_sim_with_cloud: bool = False
    hash: str = ""
