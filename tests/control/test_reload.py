"""Swapping configurations: what the loop does not take in time never takes over later."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.control import reload
from gateway.control.loop import Loop, Message
from gateway.control.reload import Plant, Reloader, build_engine
from gateway.core.driver import Bus
from gateway.settings.model import Configuration, Site
from rules.definition import Rulebook
from tests.control.fakes import FakeClock

EMPTY = Configuration(1, Site("t"), (), (), (), Rulebook({}, (), (), ()))


def test_a_swap_that_was_given_up_never_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that was stuck must not run another engine than the one whose configuration everybody has."""
    monkeypatch.setattr(reload, "SWAP_WITHIN_S", 0.05)
    nobody: Any = SimpleNamespace(
        refresh=lambda *_: None, add=lambda *_: None, offer=lambda *_: None, configuration=EMPTY
    )
    loop = Loop(build_engine(EMPTY), nobody, nobody, nobody, clock=FakeClock(), lease_s=3.0)
    queued: list[Message] = []
    loop.put = queued.append
    engine = loop.engine
    problem = Reloader(lambda: EMPTY, Plant(loop, nobody, nobody, nobody, nobody), nobody, tmp_path / "list").reload()
    assert "did not take" in problem
    loop.turn(queued)
    assert loop.engine is engine


def test_outputs_are_claimed_on_buses_that_are_known(tmp_path: Path) -> None:
    """A reload makes a new bus known before an output on it is claimed; old ones are closed when their outputs left."""
    order: list[str] = []
    board = Configuration(1, Site("t"), (Bus("board", "i2c", "/dev/i2c-1"),), (), (), Rulebook({}, (), (), ()))

    def note(what: str, answer: object = None) -> Callable[..., object]:
        def noted(*_: object) -> object:
            order.append(what)
            return answer

        return noted

    plant: Any = SimpleNamespace(
        loop=SimpleNamespace(put=lambda swap: swap.done(None)),
        wires=SimpleNamespace(learn=note("learn")),
        guard=SimpleNamespace(configure=note("claim", True)),
        poller=SimpleNamespace(apply=note("close")),
        health=SimpleNamespace(know=note("know")),
    )
    home: Any = SimpleNamespace(configuration=EMPTY, adopt=lambda *_: None)
    assert Reloader(lambda: board, plant, home, tmp_path / "list").reload() == ""
    assert [what for what in order if what != "know"] == ["learn", "claim", "close"]
