"""A checked configuration: frozen data, every unit resolved, every name known. What a snapshot holds."""

from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.core.driver import Channel
from gateway.core.output import OutputPolicy
from rules.definition import Rulebook


@dataclass(frozen=True, slots=True)
class Site:
    """The place. language: of the messages people see."""

    id: str
    name: str = ""
    timezone: str = "UTC"
    language: Literal["en", "ko"] = "en"
    jurisdiction: Literal["", "KR", "US-FDA", "US-NYC", "UK", "EU", "FI", "AU"] = ""


@dataclass(frozen=True, slots=True)
class Bus:
    """A wire or port. device: node path ("" for kinds that have none). baud, parity, stop_bits: serial only."""

    name: str
    type: Literal["i2c", "serial", "onewire", "gpio", "dht"]
    device: str = ""
    baud: int = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: int = 1


@dataclass(frozen=True, slots=True)
class Device:
    """A part on a bus. options: the driver's own keys, checked, in base units, ready for `SPEC.options(**options)`."""

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


@dataclass(frozen=True, slots=True)
class Output:
    """A driven part and the arbiter's policy for it."""

    name: str
    driver: str
    bus: str
    options: dict[str, Any]
    policy: OutputPolicy


@dataclass(frozen=True, slots=True)
class Cloud:
    """The MQTT broker. credentials: file names inside the credentials directory, never secrets themselves."""

    url: str
    tenant: str
    gateway: str
    ca: str = ""
    certificate: str = ""
    key: str = ""
    username: str = ""
    password_file: str = ""
    commands: bool = False
    keepalive_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Store:
    """The recorder's files. Sizes in bytes."""

    commit_s: float = 1.0
    telemetry_budget: int = 256 * 1024 * 1024
    critical_budget: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Access:
    """Which Unix groups and users get which role on the local protocol (names; a missing one grants nothing)."""

    operator_group: str = "kitchen-operator"
    installer_group: str = "kitchen-installer"
    recorder_user: str = "kitchen-recorder"
    field_user: str = "kitchen-field"


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
