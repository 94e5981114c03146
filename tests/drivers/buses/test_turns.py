"""Turns on a shared wire."""

import select
import threading

import pytest

from drivers.buses.turns import Turns


def test_who_waits_is_next() -> None:
    """A thread that uses the wire without a pause is passed by one that waits after its present turn."""
    turns, stopping, greedy = Turns(), threading.Event(), []

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
    turns = Turns()
    with pytest.raises(ValueError, match="noise"), turns:
        raise ValueError("noise")
    with turns:
        pass
