"""The start of an active-low relay: ours never energises it, and the log would show it if it did."""

import sys
from collections.abc import Callable

import pytest

from fake_hw.machine import Machine
from tests.fake_hw.preload import programs
from tests.fake_hw.preload.conftest import Program
from tests.fake_hw.preload.test_process import transitions

SAFE = 1
CARELESS = ["light_careless", *(["light_gpiozero"] if sys.version_info < (3, 13) else [])]

Run = Callable[[str], Program]


@pytest.fixture
def light(machine: Machine) -> Machine:
    """The machine, started, with the light's relay pulled to its safe level by a resistor."""
    machine.lines.wire(programs.LIGHT, SAFE)
    machine.start()
    return machine


def test_ours_never_energises_it(light: Machine, run: Run) -> None:
    """One transition at the start, the claim, at the safe level."""
    program = run("light_ours")
    assert program.hear() == "ready"
    assert transitions(light, programs.LIGHT) == [(SAFE, "claim", program.process.pid)]
    program.tell()
    assert program.process.wait(10) == 0
    assert {level for level, _why, _pid in transitions(light, programs.LIGHT)} == {SAFE}


@pytest.mark.parametrize("name", CARELESS)
def test_a_careless_program_is_caught(name: str, light: Machine, run: Run) -> None:
    """gpiozero on lgpio, and an output claimed without a level, energise the relay for a moment: the log has it."""
    program = run(name)
    assert program.hear() == "ready"
    seen = [(level, why) for level, why, _pid in transitions(light, programs.LIGHT)]
    assert seen[-2:] == [(1 - SAFE, "claim"), (SAFE, "set")]
