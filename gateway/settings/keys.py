"""The keys a mapping may have, from a dataclass: names, types, units, ranges. One description for reader and schema."""

import dataclasses
import types
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

_SUFFIXES = {"Cel": ("c",), "[degF]": ("f",), "%": ("pct",), "%{RH}": ("pct", "rh"), "%{LEL}": ("pct", "lel"), "By": ()}
BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
GPIO = "gpio"  # the "unit" of a header line, written GPIO17
GPIO_HIGHEST = 57  # BCM2711 and RP1 have lines 0 to 57 at most


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping. unit: UCUM code, "By" for sizes, "gpio" for lines, "" for none; low, high: inclusive."""

    name: str
    field: str
    hint: Any
    is_mandatory: bool
    help: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    pattern: str = ""

    @property
    def expected(self) -> str:
        """What to do about a value of the wrong form."""
        return f"expected: {self.help}" if self.help else "write one value"

    def of(self, hint: Any) -> "Key":
        """The same key for a part of its value."""
        return dataclasses.replace(self, hint=hint)


def word(help: str, *, name: str = "", pattern: str = "", unit: str = "", **rest: Any) -> Any:
    """A field of a site file's entry, like a driver's `option()`; name: the YAML key when it is no Python word.

    pattern: what a text must match in full. low, high: the range; what is left goes to `dataclasses.field`.
    """
    low, high = rest.pop("low", None), rest.pop("high", None)
    metadata = {"help": help, "name": name, "pattern": pattern, "unit": unit, "low": low, "high": high}
    return dataclasses.field(metadata=metadata, **rest)


def keys_of(described: type) -> tuple[Key, ...]:
    """Every key of a dataclass that a file may set, in its order."""
    hints = get_type_hints(described)
    return tuple(_key(each, hints[each.name]) for each in dataclasses.fields(described) if each.init)


def members(hint: Any) -> tuple[Any, ...]:
    """The types a value may have: a union's members without None, otherwise the type itself."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(each for each in get_args(hint) if each is not type(None))
    return (hint,)


def _key(described: "dataclasses.Field[Any]", hint: Any) -> Key:
    metadata = described.metadata
    has_default = described.default is not dataclasses.MISSING or described.default_factory is not dataclasses.MISSING
    is_line = (described.name == "line" or described.name.endswith("_line")) and int in members(hint)
    unit = metadata.get("unit", "") or (GPIO if is_line else "")
    low, high = metadata.get("low"), metadata.get("high")
    if unit == GPIO:
        low, high = low or 0, GPIO_HIGHEST if high is None else high
    return Key(
        name=metadata.get("name", "") or _yaml_name(described.name, unit),
        field=described.name,
        hint=hint,
        is_mandatory=not has_default,
        help=metadata.get("help", ""),
        unit=unit,
        low=low,
        high=high,
        pattern=metadata.get("pattern", ""),
    )


def _yaml_name(field: str, unit: str) -> str:
    """`every_s` in seconds is `every`: in a file the unit stands beside the number."""
    stem, underscore, last = field.rpartition("_")
    suffixes = _SUFFIXES.get(unit, (unit.lower().replace(".", ""),))
    return stem if underscore and unit and last in suffixes else field
