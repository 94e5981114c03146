"""What is wrong with a device: pulled off its wire, or one fault, for a time or until told otherwise."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]

BUS_FAULTS = frozenset({"nack", "stuck", "flip", "crc", "ones", "hang", "slow", "garbage"})
VALUE_FAULTS = frozenset({"frozen", "drift"})


@dataclass(slots=True)
class Condition:
    """The state of one device. `clock`: seconds, monotonic; `kinds`: the faults this device can have.

    carrier: what it shares with others, such as a converter's chip; that one has the bus faults.
    """

    name: str
    kinds: frozenset[str]
    clock: Clock
    plugged: bool = True
    since_s: float = 0.0
    carrier: "Condition | None" = None
    _kind: str = ""
    _until_s: float = float("inf")

    @property
    def fault(self) -> str:
        """The fault in force, "" when there is none."""
        if self._kind and self.clock() >= self._until_s:
            self._kind = ""
        return self._kind

    def inflict(self, kind: str, for_s: float = float("inf")) -> None:
        """Put a fault in force. Raises ValueError when this device cannot have it."""
        if kind not in self.kinds:
            raise ValueError(
                f"{self.name} cannot have the fault {kind!r}; it can have: {', '.join(sorted(self.kinds))}"
            )
        self.since_s = self.clock()
        self._kind, self._until_s = kind, self.since_s + for_s

    def heal(self) -> None:
        """End the fault."""
        self._kind = ""


@dataclass(slots=True)
class Probe:
    """One quantity as a sensing element sees it: the truth with noise, or frozen, or drifting away.

    noise: standard deviation in the quantity's unit. drift_per_s: how fast a drifting element leaves the truth.
    """

    condition: Condition
    truth: Callable[[], float]
    noise: float
    drift_per_s: float
    chance: random.Random
    _last: float | None = field(default=None)

    def value(self) -> float:
        """What the element shows now."""
        fault = self.condition.fault
        if fault == "frozen" and self._last is not None:
            return self._last
        seen = self.truth() + self.chance.gauss(0.0, self.noise)
        if fault == "drift":
            seen += self.drift_per_s * (self.condition.clock() - self.condition.since_s)
        self._last = seen
        return seen
