"""Turns on a shared wire."""

import select
import threading

import pytest

from drivers.buses.turns import Turns
from gateway.core.errors import DeviceTimeout


def test_who_waits_is_next() -> None:
    """A thread that uses the wire without a pause is passed by one that waits after its present turn."""
    turns, stopping, greedy = Turns("/dev/x", 5.0), threading.Event(), []

    def hog() -> None:
        while not stopping.is_set():
            with turns:
                greedy.append(1)
                select.select([], [], [], 0.002)  # as a wire, which is waited for without the interpreter's lock

    thread = threading.Thread(target=hog)
    thread.start()
    waits = []
    for _ in range(5):
        select.select([], [], [], 0.003)
        before = len(greedy)
        with turns:
            waits.append(len(greedy) - before)
    stopping.set()
    thread.join()
    assert max(waits) <= 2, waits


def test_an_error_gives_the_turn_back() -> None:
    """Whatever happens on the wire, the next one gets it."""
    turns = Turns("/dev/x", 5.0)
    with pytest.raises(ValueError, match="noise"), turns:
        raise ValueError("noise")
    with turns:
        pass


def test_nobody_waits_for_ever() -> None:
    """A turn that is never given back ends in a timeout with a cure for each who waits, and is had when it is over."""
    turns, said = Turns("/dev/x", 0.02), list[str]()

    def want() -> None:
        with pytest.raises(DeviceTimeout, match="/dev/x is busy with a transfer that does not end") as caught, turns:
            raise AssertionError("two at once")
        said.append(str(caught.value))

    with turns:
        threads = [threading.Thread(target=want) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5.0)
    assert len(said) == 3
    with turns:
        pass
