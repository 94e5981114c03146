"""An output's 16 slots and who wins (tests/oracles/bacnet_priority.csv is the law)."""

from dataclasses import dataclass, field

from gateway.core.output import Slot
from gateway.core.reading import Value
from rules.definition import Effect


@dataclass(frozen=True, slots=True)
class Claim:
    """What one holder wants of an output, and why. until_ns: when a person's claim ends by itself; who: that person."""

    effect: Effect
    reason: str
    inputs: dict[str, Value | None] = field(default_factory=dict)
    until_ns: int | None = None
    who: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The winner: the value, the slot that decides it, and the claim that filled it."""

    value: Value
    slot: int
    claim: Claim


class PriorityArray:
    """The claims on one output. Several holders may share a slot; `released` is the last claim that went.

    safe: its safe value; bool of a two-state output, 0.0 to 100.0 of an analog one, and so are all effects on it.
    """

    def __init__(self, safe: Value) -> None:
        self.safe = safe
        self.off: Value = False if isinstance(safe, bool) else 0.0
        self.released: Claim | None = None
        self._slots: dict[int, dict[str, Claim]] = {}

    def put(self, slot: int, holder: str, claim: Claim) -> None:
        """Fill or change `holder`'s part of a slot."""
        self._slots.setdefault(slot, {})[holder] = claim

    def drop(self, slot: int, holder: str) -> bool:
        """Empty `holder`'s part of a slot; False when it had none."""
        claims = self._slots.get(slot, {})
        found = claims.pop(holder, None) is not None
        if not claims:
            self._slots.pop(slot, None)
        return found

    def get(self, slot: int, holder: str) -> Claim | None:
        """`holder`'s claim in a slot."""
        return self._slots.get(slot, {}).get(holder)

    def rulings(self, is_on: bool) -> list[Ruling]:
        """Every filled slot, strongest first, for an output that is on or off now."""
        found = (self._slot(slot, is_on) for slot in sorted(self._slots))
        return [ruling for ruling in found if ruling is not None]

    def _slot(self, slot: int, is_on: bool) -> Ruling | None:
        """One slot's value: of several claims the one nearest to safe wins. inhibit_start is off until it is on."""
        wanted = [
            Ruling(self.off if claim.effect == "inhibit_start" else claim.effect, slot, claim)
            for claim in self._slots[slot].values()
            if not (is_on and claim.effect == "inhibit_start")
        ]
        return min(wanted, key=lambda ruling: abs(ruling.value - self.safe), default=None)


def decide(array: PriorityArray, is_on: bool, minimum: Ruling | None) -> Ruling:
    """Who decides an output. is_on: more than 0 % counts as on. minimum: slot 6's ruling while a minimum time runs.

    Slot 6 is named only when it changes the outcome. Slots 1 to 5 overrule minimum-on; nothing overrules minimum-off.
    """
    rulings = array.rulings(is_on)
    winner = rulings[0] if rulings else _default(array)
    if minimum is None or bool(winner.value) is is_on:
        return winner
    overrules = Slot.RELINQUISH_DEFAULT < winner.slot < Slot.MIN_ON_OFF
    return winner if is_on and overrules else minimum


def _default(array: PriorityArray) -> Ruling:
    word = ("on" if array.safe else "off") if isinstance(array.safe, bool) else f"{array.safe:g} %"
    last = array.released
    if last is None:
        return Ruling(array.safe, Slot.RELINQUISH_DEFAULT, Claim(array.safe, f"no slot is filled: safe value {word}"))
    reason = f"no slot is filled: safe value {word}; last: {last.reason}"
    return Ruling(array.safe, Slot.RELINQUISH_DEFAULT, Claim(array.safe, reason, last.inputs))
