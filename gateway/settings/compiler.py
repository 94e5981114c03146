"""A site's files to one checked, hashed configuration, or every reason why not. Opens no hardware."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import drivers.registry
from gateway.settings import snapshot
from gateway.settings.decisions import Judge
from gateway.settings.health import PREFIX, health_alarms, health_points
from gateway.settings.keys import keys_of
from gateway.settings.model import Access, Cloud, Configuration, Site, Store
from gateway.settings.problems import Place, Problems, shown, suggestion
from gateway.settings.sources import is_empty, merged
from gateway.settings.structure import Entry, Section, structure
from gateway.settings.tree import Mapping, Scalar, described
from gateway.settings.wiring import Catalogue, Named, Wirer, Wiring
from gateway.settings.words import (
    NAME,
    NAME_HELP,
    SECTIONS,
    AlarmEntry,
    InterlockEntry,
    Root,
    RuleEntry,
)
from rules.definition import Alarm, Rulebook

T = TypeVar("T")

_SINGLE = ("site", "store", "access", "cloud")
_PORTS = range(1, 65536)


def compile_files(path: Path, overlay: Path | None = None, *, catalogue: Catalogue = drivers.registry) -> Configuration:
    """The configuration in `path`, `rules.d` beside it and the overlay. Raises ConfigurationError."""
    problems = Problems()
    root = merged(path, overlay, problems)
    if root is None:
        problems.raise_if_any()
        raise AssertionError("a file that gives no tree leaves a problem")
    configuration = _Compiler(root, catalogue, problems).compile()
    problems.raise_if_any()
    assert configuration is not None
    return snapshot.with_hash(configuration)


class _Compiler:
    """One pass over one tree, in the order in which later sections need earlier ones."""

    def __init__(self, root: Mapping, catalogue: Catalogue, problems: Problems) -> None:
        self._root = root
        self._catalogue = catalogue
        self._problems = problems
        self._start = Place(root.place.file, 1)

    def compile(self) -> Configuration | None:
        """The configuration, None when something is wrong (it is in the problems)."""
        section = Section(self._root, self._start, "the file", self._problems)
        top = section.read(keys_of(Root))
        section.know(*_SINGLE, *SECTIONS)
        section.close()
        site = self._single("site", Site)
        if "site" not in self._root.items:
            self._problems.add(self._start, "the file lacks the key 'site'", "add it: site: {id: my-kitchen}")
        store = self._single("store", Store) or Store()
        access = self._single("access", Access) or Access()
        cloud = self._single("cloud", Cloud)
        self._check_timezone()
        self._check_url()
        wiring = self._wiring()
        rulebook = self._rulebook(wiring, has_cloud=cloud is not None)
        if len(self._problems) or top is None or site is None:
            return None
        return Configuration(
            version=top["version"],
            site=site,
            buses=tuple(wiring.buses.values()),
            devices=tuple(wiring.devices.values()),
            outputs=tuple(wiring.outputs.values()),
            rulebook=rulebook,
            store=store,
            access=access,
            cloud=cloud,
            allow_sim_with_cloud=top.get("allow_sim_with_cloud", False),
        )

    def _single(self, key: str, cls: type[T]) -> T | None:
        node = self._root.items.get(key)
        if node is None or (is_empty(node) and key != "site"):
            return None
        return structure(cls, node, self._root.at(key), f"{key!r}", self._problems)

    def _entries(self, section: str) -> Iterator[Named]:
        """The section's entries, well named, in the file's order; what is no mapping is reported."""
        node = self._root.items.get(section)
        if node is None or is_empty(node):
            return
        if not isinstance(node, Mapping):
            cure = "write it as a mapping, {name: {…}}"
            self._problems.add(self._root.at(section), f"{section!r} is {described(node)}", cure)
            return
        for name, entry in node.items.items():
            place = node.at(name)
            if not self._is_well_named(section, name, place):
                continue
            if isinstance(entry, Mapping):
                yield Named(name, entry, place)
            else:
                self._problems.add(place, f"{name!r} is {described(entry)}", "write it as a mapping, {key: value}")

    def _is_well_named(self, section: str, name: str, place: Place) -> bool:
        if re.fullmatch(NAME, name):
            return True
        if section == "alarms" and name.startswith(PREFIX):
            if name in self._health_names():
                return True
            self._problems.unknown(place, "health alarm", name, self._health_names())
        else:
            self._problems.add(place, f"{shown(name)} is no name for an entry of {section!r}", NAME_HELP)
        return False

    def _health_names(self) -> frozenset[str]:
        buses = self._root.items.get("buses")
        names = buses.items if isinstance(buses, Mapping) else ()
        return frozenset(alarm.name for alarm in health_alarms(names, has_field=True, has_cloud=True))

    def _typed(self, section: str, cls: type[T]) -> Iterator[Entry[T]]:
        for named in self._entries(section):
            what = f"{section[:-1]} {named.name!r}"
            data = structure(cls, named.node, named.place, what, self._problems)
            if data is not None:
                yield Entry(named.name, data, named.node, named.place)

    def _wiring(self) -> Wiring:
        wirer = Wirer(self._catalogue, self._problems)
        for named in self._entries("buses"):
            wirer.bus(named)
        for named in self._entries("devices"):
            wirer.device(named)
        for named in self._entries("outputs"):
            wirer.output(named)
        return wirer.finish()

    def _rulebook(self, wiring: Wiring, *, has_cloud: bool) -> Rulebook:
        points = wiring.points() | health_points(wiring.buses)
        has_field = any(device.process == "field" for device in wiring.devices.values())
        built_in = health_alarms(wiring.buses, has_field=has_field, has_cloud=has_cloud)
        judge = Judge(wiring, points, self._alarm_names(built_in), self._problems)
        interlocks = [judge.interlock(entry) for entry in self._typed("interlocks", InterlockEntry)]
        alarms = [judge.alarm(entry) for entry in self._typed("alarms", AlarmEntry)]
        rules = [judge.rule(entry) for entry in self._typed("rules", RuleEntry)]
        self._check_reset_targets()
        own = {alarm.name for alarm in alarms if alarm}
        return Rulebook(
            points=points,
            interlocks=tuple(each for each in interlocks if each),
            alarms=(*(each for each in alarms if each), *(each for each in built_in if each.name not in own)),
            rules=tuple(each for each in rules if each),
        )

    def _alarm_names(self, built_in: tuple[Alarm, ...]) -> frozenset[str]:
        node = self._root.items.get("alarms")
        return frozenset([*(node.items if isinstance(node, Mapping) else ()), *(alarm.name for alarm in built_in)])

    def _check_reset_targets(self) -> None:
        interlocks, alarms = (self._root.items.get(section) for section in ("interlocks", "alarms"))
        if isinstance(interlocks, Mapping) and isinstance(alarms, Mapping):
            for name in interlocks.items.keys() & alarms.items.keys():
                what = f"alarm {name!r} has the name of the interlock at {interlocks.at(name)}"
                self._problems.add(alarms.at(name), what, "rename one of them: a reset must know which is meant")

    def _written(self, section: str, key: str) -> Scalar | None:
        node = self._root.items.get(section)
        value = node.items.get(key) if isinstance(node, Mapping) else None
        return value if isinstance(value, Scalar) and value.value is not None else None

    def _check_timezone(self) -> None:
        zone = self._written("site", "timezone")
        if zone is None:
            return
        try:
            ZoneInfo(zone.text)
        except (LookupError, ValueError, OSError):
            known = available_timezones()
            if known:  # without the system's time zone data nothing can be said
                near = suggestion(zone.text, known)
                cure = near if near.startswith("did you mean") else "write it as Area/City, e.g. Asia/Seoul"
                self._problems.add(zone.place, f"unknown time zone {shown(zone.text)}", cure)

    def _check_url(self) -> None:
        url = self._written("cloud", "url")
        fault = _url_fault(url.text) if url else ""
        if url and fault:  # the address itself is not shown: it may hold a password
            self._problems.add(url.place, f"'url' {fault}", "write it as mqtt://host:1883 or mqtts://host:8883")


def _url_fault(url: str) -> str:
    """What is wrong with a broker's address, "" when nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("mqtt", "mqtts"):
        return "does not begin with mqtt:// or mqtts://"
    if "@" in parts.netloc:
        return "holds a login (that belongs to 'username' and 'password_file')"
    if not parts.hostname or re.search(r"\s", url):
        return "names no host"
    if port is not None and port not in _PORTS:
        return f"has port {port}"
    return "has more behind the host" if parts.path.strip("/") or parts.query or parts.fragment else ""
