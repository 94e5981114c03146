"""The `buses`, `devices` and `outputs` of a site: which part hangs on which wire, and that no two claim the same."""

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from gateway.core.driver import Channel, Spec
from gateway.core.errors import WrongOption
from gateway.core.options import plain
from gateway.core.output import OutputPolicy
from gateway.core.units import UNITS
from gateway.settings.bus_kinds import fits_kind
from gateway.settings.claims import Claims
from gateway.settings.keys import keys_of
from gateway.settings.maps import with_map
from gateway.settings.model import Bus, Device, Mux, Output
from gateway.settings.per_channel import differences
from gateway.settings.problems import Place, Problems, shown, suggestion
from gateway.settings.structure import Entry, Section, structure
from gateway.settings.tree import Mapping, Scalar
from gateway.settings.words import NAME, BusEntry, DeviceEntry, OutputEntry

T = TypeVar("T", DeviceEntry, OutputEntry)

HEADER = "/dev/gpiochip0"
_DEFAULT_GPIO = Bus("gpio", "gpio", HEADER)


class Catalogue(Protocol):
    """Where drivers are found by name; `drivers.registry` is the real one."""

    def known(self) -> tuple[str, ...]:
        """Every name there is."""
        ...

    def load(self, name: str) -> Spec:
        """The part's description. Raises LookupError."""
        ...


@dataclass(frozen=True, slots=True)
class Named:
    """One entry of a section, not yet read."""

    name: str
    node: Mapping
    place: Place


@dataclass(slots=True)
class Wiring:
    """What is wired. broken: names whose faults have been reported, so that nothing else is said because of them."""

    buses: dict[str, Bus] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def points(self) -> dict[str, str]:
        """Point → UCUM unit ("" = two-state) of every device and output."""
        points = {
            f"{each.name}.{channel.name}": channel.unit for each in self.devices.values() for channel in each.channels
        }
        return points | {each.policy.point: each.policy.unit for each in self.outputs.values()}

    def mentions_broken(self, text: str) -> bool:
        """Whether a condition speaks of something whose own fault must be cured first."""
        return any(name in self.broken for name in re.findall(r"[a-z][a-z0-9_]*", text))


@dataclass(frozen=True, slots=True)
class _Part(Entry[T]):
    """A device's or output's entry with its driver, on its bus, with checked options."""

    spec: Spec
    bus: Bus
    options: dict[str, Any]
    made: Any  # the same as an instance of the driver's Options
    channels: tuple[Channel, ...]


class Wirer:
    """Reads buses first, then devices and outputs, collecting every fault."""

    def __init__(self, catalogue: Catalogue, problems: Problems) -> None:
        self.wiring = Wiring()
        self._catalogue = catalogue
        self._problems = problems
        self._claims = Claims(problems)
        self._places: dict[str, Place] = {}
        self._broken_buses: set[str] = set()
        self._process_of_bus: dict[str, str] = {}
        self._behind_mux: dict[tuple[str, str], tuple[bool, str]] = {}  # chip → whether it is, and the first such part
        self._read_backs: list[Entry[OutputEntry]] = []

    def bus(self, named: Named) -> None:
        """Take one entry of `buses`."""
        entry = structure(BusEntry, named.node, named.place, f"bus {named.name!r}", self._problems)
        if entry is None or not fits_kind(entry, named.name, named.node, named.place, self._problems):
            self._broken_buses.add(named.name)
            return
        device = entry.device or (HEADER if entry.type == "gpio" else "")
        path = device or entry.url or {"onewire": "the kernel's 1-Wire bus", "iio": "the kernel's IIO"}.get(entry.type)
        if path:
            self._claims.take("device nodes", path, f"bus {named.name!r}", named.place)
        if entry.power_line >= 0:
            self._claims.take(HEADER, f"line GPIO{entry.power_line}", f"bus {named.name!r}", named.place)
        values = {each.name: getattr(entry, each.name) for each in dataclasses.fields(entry)}
        self.wiring.buses[named.name] = Bus(named.name, **{**values, "device": device})

    def device(self, named: Named) -> None:
        """Take one entry of `devices`."""
        part = self._part(named, DeviceEntry, "device")
        made = self._as_device(part) if part else None
        if made is None:
            self.wiring.broken.add(named.name)
        else:
            self.wiring.devices[named.name] = made

    def output(self, named: Named) -> None:
        """Take one entry of `outputs`."""
        part = self._part(named, OutputEntry, "output")
        made = self._as_output(part) if part else None
        if made is None:
            self.wiring.broken.add(named.name)
        else:
            self.wiring.outputs[named.name] = made

    def finish(self) -> Wiring:
        """What is wired, after the checks that need all of it."""
        points = self.wiring.points()
        own = {each.policy.point for each in self.wiring.outputs.values()}
        proofs = [point for point, unit in points.items() if unit == "" and point not in own]
        for entry in self._read_backs:
            wanted = entry.data.read_back
            if wanted not in proofs and not self.wiring.mentions_broken(wanted):
                what = f"output {entry.name!r} reads back {shown(wanted)}, which is no two-state point of a device"
                self._problems.add(entry.at("read_back"), what, suggestion(wanted, proofs))
        return self.wiring

    def _part(self, named: Named, kind: type[T], what: str) -> "_Part[T] | None":
        self._claim_name(named, what)
        node = with_map(named.node, self._problems) if what == "device" else named.node
        if node is None:
            return None
        named = dataclasses.replace(named, node=node)
        section = Section(named.node, named.place, f"{what} {named.name!r}", self._problems)
        values = section.read(keys_of(kind))
        spec = self._spec(named)
        if spec is None:
            return None
        if (spec.direction == "output") != (what == "output"):
            there = "outputs" if spec.direction == "output" else "devices"
            does = "is driven" if spec.direction == "output" else "is read"
            self._problems.add(named.node.at("driver"), f"a {spec.name} {does}", f"move {named.name!r} to {there!r}")
            return None
        options = section.read(keys_of(spec.options))
        complete = section.close()
        bus = self._bus_for(spec, named)
        if values is None or options is None or bus is None or not complete:
            return None
        return self._made(named, kind(**values), spec, bus, options)

    def _made(self, named: Named, data: T, spec: Spec, bus: Bus, options: dict[str, Any]) -> "_Part[T] | None":
        try:
            made = spec.options(**options)
            channels, claims = tuple(spec.channels(made)), tuple(spec.claims(made))
        except WrongOption as error:
            self._problems.add(_place_of(named.node, error.at) or named.place, f"{named.name!r}: {error}", "")
            return None
        except Exception as error:  # a driver of others may raise anything about options it does not like
            self._problems.add(named.place, f"{named.name!r}: {error}", f"see the page of driver {spec.name}")
            return None
        for claim in claims:
            self._claim(named, bus, data.mux, claim)
        return _Part(named.name, data, named.node, named.place, spec, bus, plain(made), made, channels)

    def _claim(self, named: Named, bus: Bus, mux: Mux | None, claim: str) -> None:
        """Parts behind different channels may have one address; one that is always connected may share it with none."""
        place = named.place if mux is None else named.node.at("mux")
        if mux is not None and bus.type != "i2c":
            self._problems.add(place, f"'mux' means nothing on a bus of type {bus.type}", "remove it")
            return
        chip = " ".join(re.split(r"[/ ]+", claim)[:2])
        is_behind, first = self._behind_mux.setdefault((_scope(bus), chip), (mux is not None, named.name))
        if is_behind != (mux is not None):
            what = (
                f"{named.name!r} and {first!r} have the {chip}, one behind a mux and one before it: both would answer"
            )
            self._problems.add(place, what, "give one of them another, or wire both behind the mux")
            return
        behind = "" if mux is None else f"address 0x{mux.address:02x} channel {mux.channel} "
        self._claims.take(_scope(bus), behind + claim, f"{named.name!r}", named.place, on=f" on bus {bus.name!r}")

    def _claim_name(self, named: Named, what: str) -> None:
        first = self._places.setdefault(named.name, named.place)
        if first != named.place:
            self._problems.add(
                named.place, f"{what} {named.name!r} has the name of what stands at {first}", "rename one of them"
            )

    def _spec(self, named: Named) -> Spec | None:
        node = named.node.items.get("driver")
        if not isinstance(node, Scalar) or node.value is None:
            return None  # reported as missing or misshapen already
        known = self._catalogue.known()
        if node.text not in known:
            self._problems.unknown(node.place, "driver", node.text, known)
            return None
        try:
            return self._catalogue.load(node.text)
        except Exception as error:  # a driver of others may raise anything while it is imported
            self._problems.add(node.place, f"driver {node.text!r} can't be loaded ({error})", "repair its package")
            return None

    def _bus_for(self, spec: Spec, named: Named) -> Bus | None:
        node = named.node.items.get("bus")
        if node is None:
            return self._only_bus(spec, named)
        if not isinstance(node, Scalar) or node.text in self._broken_buses:
            return None  # reported already
        bus = self.wiring.buses.get(node.text)
        if bus is None:
            self._problems.unknown(node.place, "bus", node.text, self.wiring.buses)
        elif bus.type not in spec.buses:
            what = f"bus {bus.name!r} is of type {bus.type}, and a {spec.name} needs {' or '.join(spec.buses)}"
            right = [each.name for each in self.wiring.buses.values() if each.type in spec.buses]
            self._problems.add(node.place, what, f"name one of that type (there: {', '.join(right) or 'none'})")
            bus = None
        return bus

    def _only_bus(self, spec: Spec, named: Named) -> Bus | None:
        fitting = [bus for bus in self.wiring.buses.values() if bus.type in spec.buses]
        if len(fitting) == 1:
            return fitting[0]
        if spec.bus == "gpio" and not fitting and _DEFAULT_GPIO.name not in self.wiring.buses:
            return self.wiring.buses.setdefault(_DEFAULT_GPIO.name, _DEFAULT_GPIO)
        if not fitting and self._broken_buses:
            return None  # the bus that was meant may be the broken one
        kinds = " or ".join(spec.buses)
        what = f"{named.name!r} names no bus, and there are {len(fitting)} of type {kinds}"
        cure = f"add 'bus: {fitting[0].name}' or another" if fitting else f"add a bus of type {kinds} under 'buses'"
        self._problems.add(named.place, what, cure)
        return None

    def _as_device(self, part: "_Part[DeviceEntry]") -> Device | None:
        before = len(self._problems)
        self._check_process(part)
        self._check_channels(part)
        self._check_polling(part)
        is_input = part.spec.direction == "input"
        channels = () if is_input else part.channels  # what is said of an input's is reported already
        offsets = differences(part, channels, "offset", "-0.2", self._problems)
        paces = differences(part, channels, "max_per_s", "2", self._problems)
        if min(paces.values(), default=1.0) <= 0:
            self._problems.add(part.at("max_per_s"), "a change of 0 or less per second stops every value", "write more")
        if len(self._problems) > before:
            return None
        return Device(
            name=part.name,
            driver=part.spec.name,
            bus=part.bus.name,
            process=part.spec.process_on(part.bus.type),
            direction="input" if is_input else "polled",
            every_s=part.data.every_s or 0.0,
            deadline_s=0.0 if is_input else part.data.deadline_s or part.spec.deadline_of(part.made),
            options=part.options,
            channels=tuple(
                dataclasses.replace(each, max_per_s=paces.get(each.name, each.max_per_s)) for each in part.channels
            ),
            offsets=offsets,
            mux=part.data.mux,
        )

    def _check_process(self, part: "_Part[DeviceEntry]") -> None:
        own = part.spec.process_on(part.bus.type)
        process = self._process_of_bus.setdefault(part.bus.name, own)
        if process != own:
            what = f"{part.name!r} belongs to process {own}, but bus {part.bus.name!r} to {process}"
            self._problems.add(part.place, what, "wire it to a bus of its own")

    def _check_channels(self, part: "_Part[DeviceEntry]") -> None:
        for channel in part.channels:
            if re.fullmatch(NAME, channel.name) is None:
                self._problems.add(
                    _place_of_channel(part, channel.name),
                    f"{shown(channel.name)} is no name for a channel",
                    "use a-z, 0-9 and _, letter first",
                )
            if channel.unit and channel.unit not in UNITS:
                self._problems.unknown(part.at("unit"), "unit", channel.unit, UNITS)

    def _check_polling(self, part: "_Part[DeviceEntry]") -> None:
        if part.spec.direction == "input":
            for key in ("every", "deadline", "offset", "max_per_s"):
                if key in part.node.items:
                    what = f"{key!r} means nothing for a {part.spec.name}: it reports each change by itself"
                    self._problems.add(part.at(key), what, "remove it")
        elif part.data.every_s is None:
            self._problems.add(part.place, f"device {part.name!r} lacks the key 'every'", "add it, e.g. every: 5 s")
        elif part.data.every_s < part.spec.min_every_s:
            what = f"a {part.spec.name} can't be read every {part.data.every_s:g} s"
            self._problems.add(part.at("every"), what, f"write {part.spec.min_every_s:g} s or more")

    def _as_output(self, part: "_Part[OutputEntry]") -> Output | None:
        data = part.data
        if part.spec.process_on(part.bus.type) != "control":
            self._problems.add(part.place, f"a {part.spec.name} runs outside control", "only control may drive outputs")
            return None
        if 0 < data.max_on_s < data.min_on_s:
            self._problems.add(
                part.at("max_on"), "'max_on' is shorter than 'min_on'", "lengthen it, or shorten 'min_on'"
            )
            return None
        policy = self._policy(part)
        if policy is None:
            return None
        if data.read_back:
            self._read_backs.append(part)
        return Output(part.name, part.spec.name, part.bus.name, part.options, policy, part.data.mux)

    def _policy(self, part: "_Part[OutputEntry]") -> OutputPolicy | None:
        data = part.data
        unit: Literal["", "%"] = "%" if part.channels[0].unit == "%" else ""
        if unit and data.read_back:
            what = f"{part.name!r} goes from 0 to 100 %, which no two-state point can prove"
            self._problems.add(part.at("read_back"), what, "remove 'read_back'")
            return None
        policy = OutputPolicy(
            name=part.name,
            lease_s=data.lease_s,
            min_on_s=data.min_on_s,
            min_off_s=data.min_off_s,
            max_on_s=data.max_on_s,
            read_back=data.read_back,
            read_back_s=data.read_back_s,
            unit=unit,
        )
        try:
            return dataclasses.replace(policy, safe=policy.value_of(data.safe))
        except ValueError as error:
            what, _, cure = str(error).partition(": ")
            self._problems.add(part.at("safe"), what, cure)
            return None


def _place_of(node: Mapping, path: tuple[str, ...]) -> Place | None:
    """Where the last key of the path stands; None when a key on the way is not written."""
    place = None
    for key in path:
        if not isinstance(node, Mapping) or key not in node.keys:
            return None
        place, node = node.keys[key], node.items[key]  # type: ignore[assignment]  # asked at the next turn
    return place


def _place_of_channel(part: "_Part[DeviceEntry]", channel: str) -> Place:
    """Its key in a nested mapping such as `registers`, or where the one channel is named."""
    places = (_place_of(part.node, (key, channel)) for key in part.node.items)
    return next((place for place in places if place), part.at("channel"))


def _scope(bus: Bus) -> str:
    # A DHT's wire is a line of the header too, so its claim is one with those of the gpio bus.
    return HEADER if bus.type == "dht" else bus.device or bus.name
