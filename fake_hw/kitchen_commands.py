"""What only the simulated kitchen can be told: gas, doors, people, the emergency stop."""

from typing import TYPE_CHECKING

from fake_hw.commands import Answer, Verb, Wrong, choose, none, number, one_of
from fake_hw.physics.kitchen import DOORS, QUANTITIES, read, write

if TYPE_CHECKING:
    from fake_hw.simulator import Simulator


class KitchenWorld:
    """The kitchen's physics as a `World`."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        self._kitchen = simulator.kitchen

    def names(self) -> tuple[str, ...]:
        """Every quantity."""
        return QUANTITIES

    def read(self, name: str) -> float:
        """Its true value."""
        return read(self._kitchen, name)

    def write(self, name: str, value: float) -> None:
        """Move it; the physics go on from there."""
        write(self._kitchen, name, value)

    def hold(self, name: str, value: float | None) -> None:
        """Keep it there, or let it go."""
        if value is None:
            self._kitchen.held.pop(name, None)
        else:
            self._kitchen.held[name] = value
            write(self._kitchen, name, value)

    def state(self) -> Answer:
        """Loads, leak, cooking, what is held, the kitchen's time."""
        return {
            "energised": sorted(self._simulator.energised()),
            "gas_leak": self._kitchen.gas.leak or "off",
            "cooking": self._kitchen.cooks.cooking,
            "held": dict(self._kitchen.held),
            "time_s": round(self._kitchen.time_s, 3),
        }


class KitchenVerbs:
    """The kitchen's own words."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        self._kitchen = simulator.kitchen

    def verbs(self) -> dict[str, Verb]:
        """word → what it does."""
        return {
            "gas_leak": self._gas_leak,
            "cook": self._cook,
            "people": self._people,
            "door": self._door,
            "estop": self._estop,
            "suppression": self._suppression,
            "fan": self._fan,
            "defrost": self._defrost,
            "speed": self._speed,
        }

    def _gas_leak(self, words: list[str]) -> str:
        state = one_of(words, ("on", "upstream", "off"), "gas_leak")
        gas = self._kitchen.gas
        gas.leak = {"on": "line", "upstream": "upstream", "off": ""}[state]
        if state == "on" and not gas.is_open:
            return "the line behind the gas valve leaks, but the valve is closed: nothing flows until it opens"
        return {"on": "gas leaks behind the valve", "upstream": "gas leaks before the valve", "off": "no leak"}[state]

    def _cook(self, words: list[str]) -> str:
        self._kitchen.cooks.cooking = one_of(words, ("on", "off"), "cook") == "on"
        return f"cooking {words[0]}"

    def _people(self, words: list[str]) -> str:
        self._kitchen.cooks.busy = one_of(words, ("on", "off"), "people") == "on"
        return f"people {words[0]}"

    def _door(self, words: list[str]) -> str:
        if len(words) != 2:
            raise Wrong(f"usage: door {'|'.join(DOORS)} open|close")
        door = choose(words[0], DOORS, "door")
        state = one_of(words[1:], ("open", "close"), f"door {door}")
        self._kitchen.set_door(door, state == "open")
        return f"{door} door: {state}"

    def _estop(self, words: list[str]) -> str:
        self._kitchen.estop_pressed = one_of(words, ("press", "release"), "estop") == "press"
        return f"emergency stop: {words[0]}"

    def _suppression(self, words: list[str]) -> str:
        self._kitchen.suppression_discharged = one_of(words, ("discharge", "restore"), "suppression") == "discharge"
        return f"fire suppression: {words[0]}"

    def _fan(self, words: list[str]) -> str:
        self._kitchen.hood.broken = one_of(words, ("fail", "repair"), "fan") == "fail"
        return f"hood fan: {words[0]}"

    def _defrost(self, words: list[str]) -> str:
        none(words, "defrost")
        self._kitchen.freezer.defrost()
        return "the freezer defrosts"

    def _speed(self, words: list[str]) -> str:
        if len(words) != 1:
            raise Wrong("usage: speed FACTOR")
        self._simulator.speed = number(words[0], low=0.0, high=1000.0)
        return f"the kitchen runs {self._simulator.speed:g} times as fast as the clock"
