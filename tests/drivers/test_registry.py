"""Drivers of others: through an entry point, and never in place of ours."""

from typing import Any

import pytest

from drivers import registry, sht4x


class Point:
    """An installed package's entry point."""

    def __init__(self, name: str, spec: object) -> None:
        self.name, self._spec = name, spec

    def load(self) -> object:
        return self._spec


def install(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    def entry_points(*, group: str, name: str | None = None) -> list[Any]:
        assert group == "kitchen_gateway.drivers"
        return [point for point in points if name in {None, point.name}]

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_a_third_partys_driver_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package brings a part; it is listed and loaded by name."""
    import dataclasses

    spec = dataclasses.replace(sht4x.SPEC, name="acme_probe")
    install(monkeypatch, Point("acme_probe", spec))
    assert "acme_probe" in registry.known()
    assert registry.load("acme_probe") is spec


def test_ours_can_not_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package can't slip itself under a built-in name."""
    install(monkeypatch, Point("sht4x", object()))
    assert registry.load("sht4x") is sht4x.SPEC
    assert registry.known().count("sht4x") == 1


@pytest.mark.parametrize("spec", [object(), sht4x.SPEC])
def test_a_package_without_a_fitting_spec_is_named(monkeypatch: pytest.MonkeyPatch, spec: object) -> None:
    """A broken package is an error that says which."""
    install(monkeypatch, Point("acme_probe", spec))
    with pytest.raises(registry.UnknownDriver, match="'acme_probe' has no SPEC with that name"):
        registry.load("acme_probe")
