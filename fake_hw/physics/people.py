"""Cooks: they open doors now and then, fry, bake, take from the stock; once a day somebody brings more."""

import random
from dataclasses import dataclass

# door → (mean time between openings in s, time it stays open in s)
_HABITS = {"walkin": (240.0, 15.0), "freezer": (600.0, 10.0), "back": (480.0, 20.0)}
_COOKING_DOOR = (300.0, 8.0)
_BASKET_EVERY_S, _BASKET_IN_S, _BASKET_W, _PORTION_KG = 240.0, 150.0, 3_300.0, 0.6


@dataclass(slots=True)
class Cooks:
    """busy: doors open now and then. cooking: baskets go into the fryer, burners are on, the oven is used."""

    chance: random.Random
    busy: bool = False
    cooking: bool = False
    _basket_s: float = 0.0

    @property
    def number(self) -> int:
        """How many are in the kitchen: one who looks after it, four at work, eight in the rush."""
        return 1 + 3 * self.busy + 4 * self.cooking

    def basket_w(self, seconds: float) -> tuple[float, float]:
        """(heat that food takes from the oil in W, stock taken in kg) for this step."""
        if not self.cooking:
            self._basket_s = 0.0
            return 0.0, 0.0
        starts = self._basket_s == 0.0
        self._basket_s += seconds
        if self._basket_s >= _BASKET_EVERY_S:
            self._basket_s = 0.0
        return (_BASKET_W if self._basket_s < _BASKET_IN_S else 0.0), (_PORTION_KG if starts else 0.0)

    def doors(self, seconds: float) -> dict[str, float]:
        """Doors that somebody opens in this step, and for how long."""
        habits = dict(_HABITS) if self.busy else {}
        if self.busy and self.cooking:
            habits["oven"] = _COOKING_DOOR
        return {door: open_s for door, (every_s, open_s) in habits.items() if self.chance.random() < seconds / every_s}
