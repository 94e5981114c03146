"""A weighing indicator that streams `ST,GS,+00012.34kg` lines, `US` while the load swings."""

import random

from fake_hw.faults import Probe


class Scale:
    """Rounds to its division of 10 g and tells whether it has settled."""

    def __init__(self, weight_kg: Probe, chance: random.Random) -> None:
        self._weight_kg = weight_kg
        self._chance = chance

    def line(self, swinging: bool) -> bytes:
        """The next line of the stream."""
        weight = self._weight_kg.value() + (self._chance.gauss(0.0, 0.3) if swinging else 0.0)
        if abs(weight) >= 99_999.99:
            return b"OL,GS,+99999.99kg\r\n"
        sign = "-" if weight < -0.005 else "+"
        return f"{'US' if swinging else 'ST'},GS,{sign}{abs(weight):08.2f}kg\r\n".encode()
