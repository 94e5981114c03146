"""Finds drivers by name: one file per part here, and parts of others through an entry point."""

import importlib
import pkgutil
from importlib.metadata import entry_points

import drivers
from gateway.core.driver import Spec
from gateway.core.errors import GatewayError

GROUP = "kitchen_gateway.drivers"
_NOT_PARTS = frozenset({"registry", "pages"})


class UnknownDriver(GatewayError, LookupError):
    """No part has this name."""


def known() -> tuple[str, ...]:
    """The names `load` accepts, sorted. Imports no driver."""
    return tuple(sorted(_built_in() | {point.name for point in entry_points(group=GROUP)}))


def load(name: str) -> Spec:
    """The part's description. A built-in name can't be taken by an entry point. Raises UnknownDriver."""
    if name in _built_in():
        return _checked(name, importlib.import_module(f"drivers.{name}").SPEC)
    for point in entry_points(group=GROUP, name=name):
        return _checked(name, point.load())
    raise UnknownDriver(f"no driver {name!r}; known: {', '.join(known())}")


def _built_in() -> set[str]:
    modules = pkgutil.iter_modules(drivers.__path__)
    return {module.name for module in modules if not module.ispkg} - _NOT_PARTS


def _checked(name: str, spec: object) -> Spec:
    if not isinstance(spec, Spec) or spec.name != name:
        raise UnknownDriver(f"driver {name!r} has no SPEC with that name: fix the package that brings it")
    return spec
