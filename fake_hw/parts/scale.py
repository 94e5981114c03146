"""A weighing indicator: streams `ST,GS,+00012.34kg` lines, `US` while the load swings, or answers commands."""

import random

from fake_hw.faults import VALUE_FAULTS, Condition, Probe
from fake_hw.machine import FakePart, Machine, Quantity, Wiring

PERIOD_S = 0.2
_LATE_S = 0.4
_COMMANDS = {"st_gs": b"READ", "mt_sics": b"SI", "plain": b"P"}


class Scale:
    """Rounds to its division of 10 g and tells whether it has settled. net: a tare is set."""

    def __init__(self, weight_kg: Probe, chance: random.Random) -> None:
        self._weight_kg = weight_kg
        self._chance = chance
        self.net = False

    def line(self, swinging: bool) -> bytes:
        """The next line of the stream."""
        weight = self._weight(swinging)
        if abs(weight) >= 99_999.99:
            return b"OL,GS,+99999.99kg\r\n"
        sign = "-" if weight < -0.005 else "+"
        kind = "NT" if self.net else "GS"
        return f"{'US' if swinging else 'ST'},{kind},{sign}{abs(weight):08.2f}kg\r\n".encode()

    def answer(self, format: str, swinging: bool) -> bytes:
        """What it says when asked in this format."""
        weight = self._weight(swinging)
        if format == "mt_sics":
            if abs(weight) >= 99_999.99:
                return b"S +\r\n"
            return f"S {'D' if swinging else 'S'} {weight:10.2f} kg\r\n".encode()
        if format == "plain":
            return f"{weight:9.2f} kg{' ?' if swinging else ''}\r\n".encode()
        return self.line(swinging)

    def _weight(self, swinging: bool) -> float:
        return self._weight_kg.value() + (self._chance.gauss(0.0, 0.3) if swinging else 0.0)


def damaged(line: bytes, condition: Condition, chance: random.Random) -> bytes:
    """The line as the fault lets it through."""
    fault = condition.fault
    if fault in {"nack", "hang"}:
        return b""
    if fault == "garbage":
        return chance.randbytes(len(line))
    if fault == "ones":
        return b"\xff" * len(line)
    if fault == "half":
        return line[: len(line) // 2]
    if fault == "flip":
        place = chance.randrange(len(line) - 2)
        return line[:place] + bytes([line[place] ^ 1 << chance.randrange(7)]) + line[place + 1 :]
    return line


class _Indicator:
    """A scale at its port. `stable` of its truths says whether the load hangs still."""

    def __init__(self, machine: Machine, name: str, wiring: Wiring) -> None:
        self._machine = machine
        self._condition = machine.condition(name, PART.faults)
        probes = machine.probes(name, PART, wiring, self._condition)
        self._stable = probes["stable"]
        self._scale = Scale(probes["weight"], machine.chance)
        self._format = wiring.options["format"]
        self._command = wiring.options["command"].encode() or _COMMANDS[self._format]
        self._port = machine.bus(wiring.kind, wiring.device)
        self._pending = b""
        if wiring.options["mode"] == "request":
            self._port.attach(self._condition, self._asked)
        else:
            self._port.attach(self._condition)
            machine.loop.every(PERIOD_S, self._say)

    def _asked(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\r\n")
        for line in lines:
            if line == self._command:
                self._say()

    def _say(self) -> None:
        line = self._scale.answer(self._format, self._stable.value() < 0.5)
        late_s = _LATE_S if self._condition.fault == "slow" else 0.0
        self._machine.loop.after(late_s, lambda: self._port.send(damaged(line, self._condition, self._machine.chance)))


def _place(machine: Machine, name: str, wiring: Wiring) -> None:
    _Indicator(machine, name, wiring)


PART = FakePart(
    name="scale",
    quantities=lambda _wiring: {
        "weight": Quantity(12.34, drift_per_s=1.0, tolerance=0.006),
        "stable": Quantity(1.0, drift_per_s=0.0),
    },
    faults=VALUE_FAULTS | {"nack", "hang", "slow", "flip", "garbage", "ones", "half"},
    place=_place,
)
