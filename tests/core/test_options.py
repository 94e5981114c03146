"""Nested options survive the way through a snapshot."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from drivers import registry
from gateway.core.errors import DeviceError
from gateway.core.options import plain, rebuilt
from gateway.core.quality import Reason


@dataclass(frozen=True, slots=True)
class Place:
    """One nested entry."""

    at: int
    kind: Literal["a", "b"] = "a"
    values: dict[int, bool | float] = field(default_factory=dict)
    marks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.at < 0:
            raise ValueError("before the beginning")


@dataclass(frozen=True, slots=True)
class Options:
    """One of each shape that options may have."""

    places: dict[str, Place]
    first: Place | None = None
    names: str | tuple[str, ...] = ""
    limits: tuple[float, float] = (0.0, 1.0)
    others: tuple[Place, ...] = ()


OPTIONS = Options(
    places={"x": Place(1, "b", {0: False, 3: 1.5}, (0x8000,))},
    first=Place(2),
    names=("p", "q"),
    limits=(-1.0, 2.5),
    others=(Place(3), Place(4, marks=(1, 2))),
)


@pytest.mark.parametrize("options", [OPTIONS, Options({}), Options({"y": Place(0)}, None, "one")])
def test_options_come_back_from_json_as_they_were(options: Options) -> None:
    """Dataclasses, mappings with numbers as keys, tuples, unions and nothing."""
    assert rebuilt(Options, json.loads(json.dumps(plain(options)))) == options


def test_only_what_was_written_is_needed() -> None:
    """Keys that are left out have their defaults, on every level."""
    assert rebuilt(Options, {"places": {"x": {"at": 7}}}) == Options({"x": Place(7)})


@pytest.mark.parametrize("data", [{"places": {"x": {"at": -1}}}, {"places": {"x": {}}}, {"places": {}, "limits": [1]}])
def test_what_does_not_fit_is_refused(data: dict[str, object]) -> None:
    """A snapshot of another release is an error, never half an option."""
    with pytest.raises((TypeError, ValueError)):
        rebuilt(Options, data)


@pytest.mark.parametrize(
    "data",
    [
        {"unknown": 1},
        {"topic": "t", "channels": 5, "stale_after_s": 5.0},
        {"topic": "t", "channels": {"a": 1}, "stale_after_s": 5.0},
        {"topic": "t", "channels": {"a": {"color": "red"}}, "stale_after_s": 5.0},
        {"topic": "t", "channels": {"a": {}}, "stale_after_s": 5.0, "availability": [1, 2]},
        {"topic": 7, "channels": {"a": {}}, "stale_after_s": 5.0},
    ],
)
def test_options_of_another_release_are_a_device_error_with_a_cure(data: dict[str, Any]) -> None:
    """Whatever a snapshot holds: one device is Bad for its configuration, no process ends because of it."""
    with pytest.raises(DeviceError, match=r"not this release's .*compile the site file again") as caught:
        registry.load("mqtt").options_of(data)
    assert caught.value.reason is Reason.BAD_CONFIGURATION_ERROR
