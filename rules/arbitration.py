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

    value: bool
    slot: int
    claim: Claim


class PriorityArray:
    """The claims on one output. Several holders may share a slot; `released` is the last claim that went."""

    def __init__(self, safe: bool) -> None:
        self.safe = safe
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
        """One slot's value: of several claims the safe value wins. inhibit_start is off until the output is on."""
        wanted = [
            Ruling(False if claim.effect == "inhibit_start" else bool(claim.effect), slot, claim)
            for claim in self._slots[slot].values()
            if not (is_on and claim.effect == "inhibit_start")
        ]
        return min(wanted, key=lambda ruling: ruling.value != self.safe, default=None)


def decide(array: PriorityArray, is_on: bool, min_on: Claim | None, min_off: Claim | None) -> Ruling:
    """Who decides an output. min_on, min_off: slot 6's claim while a minimum time runs, else None.

    Slot 6 is named only when it changes the outcome. Slots 1 to 5 overrule minimum-on; nothing overrules minimum-off.
    """
    rulings = array.rulings(is_on)
    winner = rulings[0] if rulings else _default(array)
    if min_off is not None and winner.value:
        return Ruling(False, Slot.MIN_ON_OFF, min_off)
    overrules = Slot.RELINQUISH_DEFAULT < winner.slot < Slot.MIN_ON_OFF
    if min_on is not None and not winner.value and not overrules:
        return Ruling(True, Slot.MIN_ON_OFF, min_on)
    return winner


def _default(array: PriorityArray) -> Ruling:
    word = "on" if array.safe else "off"
    last = array.released
    if last is None:
        return Ruling(array.safe, Slot.RELINQUISH_DEFAULT, Claim(array.safe, f"no slot is filled: safe value {word}"))
    reason = f"no slot is filled: safe value {word}; last: {last.reason}"
    return Ruling(array.safe, Slot.RELINQUISH_DEFAULT, Claim(array.safe, reason, last.inputs))
