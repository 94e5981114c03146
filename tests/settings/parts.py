"""Parts that exist only in these tests: what a driver of others could look like."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gateway.core.driver import Channel, Spec, option
from gateway.settings.compiler import compile_files
from gateway.settings.model import Configuration

ROOT = Path(__file__).parents[2]
KITCHEN = ROOT / "config" / "kitchen.yaml"
HEAD = "version: 1\nsite: {id: demo}\n"


@dataclass(frozen=True, slots=True)
class Options:
    """One key of each kind a driver may have."""

    address: int = option("address", low=1, high=99)
    gain: float = option("gain", default=1.0)
    mode: Literal["slow", "fast"] = option("mode", default="slow")
    settle_s: float = option("settling time", unit="s", low=0, high=10, default=0.5)
    limits_c: tuple[float, float] = option("limits", unit="Cel", default=(0.0, 1.0))
    names: tuple[str, ...] = option("names", default=())
    table: dict[str, float] = option("table", default_factory=dict)
    invert: bool = option("invert", default=False)
    pin: int | None = option("line", unit="gpio", default=None)


def part(name: str, claims: Callable[[Any], tuple[str, ...]], **changes: Any) -> Spec:
    """A Spec on an I2C bus."""
    described: dict[str, Any] = {
        "name": name,
        "title": name,
        "bus": "i2c",
        "options": Options,
        "open": lambda *_: None,
        "channels": lambda _: (Channel("level", "Cel", -40, 125), Channel("ready")),
        "claims": claims,
        "sample": "",
        "datasheet": "",
    }
    return Spec(**(described | changes))


class Shelf:
    """A catalogue of the given parts."""

    def __init__(self, *specs: Spec) -> None:
        self._specs = {spec.name: spec for spec in specs}

    def known(self) -> tuple[str, ...]:
        """Every name."""
        return tuple(sorted(self._specs))

    def load(self, name: str) -> Spec:
        """The part."""
        return self._specs[name]


def compiled(directory: Path, text: str, catalogue: Shelf | None = None) -> Configuration:
    """Compile `text` as a site's file in `directory`."""
    path = directory / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return compile_files(path, catalogue=catalogue) if catalogue else compile_files(path)
