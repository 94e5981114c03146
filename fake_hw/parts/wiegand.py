"""A Wiegand reader: a low pulse on DATA0 for a zero, on DATA1 for a one.

The pulses follow each other as fast as the machine plays them, not 1 ms apart: a busy machine would tear a card in two.
Their order and the chip's stamps are what a driver goes by.
"""

import random
from collections.abc import Sequence

from fake_hw.buses.lines import Lines
from fake_hw.faults import Condition
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

FACILITY, NUMBER = 17, 4711


def card(facility: int, number: int, *, wide: bool = False) -> str:
    """The bits of a card, "0" and "1"; each half with its parity bit made by counting ones."""
    payload = f"{facility:016b}{number:016b}" if wide else f"{facility:08b}{number:016b}"
    half = len(payload) // 2
    even = "1" if payload[:half].count("1") % 2 else "0"
    odd = "0" if payload[half:].count("1") % 2 else "1"
    return even + payload + odd


class Wiegand:
    """Its two open-collector outputs, pulled up."""

    def __init__(self, lines: Lines, wires: Sequence[int], condition: Condition) -> None:
        self._lines = lines
        self._wires = wires
        self._condition = condition
        for wire in wires:
            lines.wire(wire, 1)

    def present(self, bits: str, chance: random.Random) -> None:
        """Send a card's bits, damaged as the fault says."""
        fault = self._condition.fault
        if fault == "hang" or not self._condition.plugged:
            return
        if fault == "flip":
            at = chance.randrange(len(bits))
            bits = bits[:at] + ("0" if bits[at] == "1" else "1") + bits[at + 1 :]
        if fault == "cut":
            bits = bits[: chance.randrange(1, len(bits))]
        for bit in bits:
            self._lines.drive(self._wires[int(bit)], 0)
            self._lines.drive(self._wires[int(bit)], None)


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    condition = machine.condition(name, PART.faults)
    machine.bus("gpio", wiring.device)
    wires = (wiring.options["data0_line"], wiring.options["data1_line"])
    reader = Wiegand(machine.lines, wires, condition)
    shown, shorted = 0, False
    machine.truths.setdefault(f"{name}.cards", 0.0)

    def step() -> None:
        nonlocal shown, shorted
        if shorted != (condition.fault == "short"):
            shorted = not shorted
            machine.lines.drive(wires[0], 0 if shorted else None)
        if shown < machine.truths[f"{name}.cards"]:
            reader.present(card(FACILITY, NUMBER + shown % 3), machine.chance)
            shown += 1

    machine.steps.append(step)


PART = FakePart(
    name="wiegand",
    quantities=lambda _wiring: {"cards": Quantity(0.0)},
    faults=frozenset({"flip", "cut", "hang", "short"}),
    place=_place,
)
