"""The arbiter of one output: its slots, its minimum and maximum times, a person's claims, its read-back."""

from typing import Any

from gateway.core.errors import Refused
from gateway.core.event import EventClass
from gateway.core.output import OutputPolicy, Slot
from gateway.core.quality import Reason
from gateway.core.reading import Reading, Value
from rules.arbitration import Claim, PriorityArray, Ruling, decide
from rules.board import SECOND_NS, Board, Cause, shown
from rules.definition import Alarm
from rules.saved import DAY_NS, Saved, compact, duration_ns, earliest, flag, level, remaining, section, text

MANUAL_SLOTS = (int(Slot.MANUAL), int(Slot.REMOTE_MANUAL))
ECHO_NS = SECOND_NS // 10
"""The point `<output>.on` follows its output at once, but changes at most this often, so that a rule cannot spin."""

_MAX_ON = "maximum on"
_MANUAL = "manual"


def mismatch_alarm(policy: OutputPolicy) -> Alarm:
    """The built-in alarm that is on while the read-back point contradicts the output."""
    name = policy.name
    words = {"en": f"Output {name} does not do what it is told", "ko": f"출력 {name} 이(가) 명령과 다릅니다"}
    return Alarm(f"mismatch/{name}", priority="high", group="mismatch", text=words)


class OutputArbiter:
    """One output now. min_off runs from the first step on (a compressor may just have stopped when power failed)."""

    def __init__(self, policy: OutputPolicy, array: PriorityArray) -> None:
        self.policy = policy
        self.name = policy.name
        self.value = policy.safe
        self._array = array
        self._ruling = Ruling(policy.safe, Slot.RELINQUISH_DEFAULT, Claim(policy.safe, "started: safe value"))
        self._since_ns: int | None = None  # of the value; None before the first step
        self._switched_ns: int | None = None  # of on or off: what minimum and maximum times count from
        self._echo_ns = 0
        self._mismatch_since_ns: int | None = None
        self._mismatched = False
        self.view: dict[str, Any] = {}
        self._publish()

    def start(self, board: Board) -> None:
        """The first step: the output is at its safe value and minimum times begin, unless it succeeds a running one."""
        if self._since_ns is None:
            self._since_ns = self._switched_ns = board.now_ns
        self._tell_point(board)

    def succeed(self, predecessor: "OutputArbiter", board: Board) -> None:
        """Go on where another configuration's arbiter of this output is: no edge, minimum times run on."""
        try:
            self.value = self.policy.value_of(predecessor.value)
        except ValueError:  # it was analog and is two-state now
            self.value = self.policy.value_of(predecessor.value > 0)
        self._since_ns, self._switched_ns = predecessor._since_ns, predecessor._switched_ns
        self._ruling, self._mismatched = predecessor._ruling, predecessor._mismatched and bool(self.policy.read_back)
        if self._mismatched:
            cause = Cause("as before the new configuration", {})
            board.raise_alarm(f"mismatch/{self.name}", "read-back", cause)
        self._publish()

    def update(self, board: Board) -> int | None:
        """Decide; the time of the next look, if one is due by itself."""
        manual_ns = self._expire(board)
        self._limit_on(board)
        ruling = self._decide(board.now_ns)
        if (ruling.value, ruling.slot) != (self._ruling.value, self._ruling.slot):
            self._change(board, ruling)
        self._ruling = ruling
        self._release_limit(board)
        echo_ns, read_back_ns = self._echo(board), self._read_back(board)
        self._publish()
        return earliest(manual_ns, self._minimum_ends_ns(board.now_ns), self._maximum_ends_ns(), echo_ns, read_back_ns)

    def _decide(self, now_ns: int) -> Ruling:
        ends_ns = self._minimum_ends_ns(now_ns)
        is_on = bool(self.value)
        if ends_ns is None:
            return decide(self._array, is_on, None)
        limit_s = self.policy.min_on_s if self.value else self.policy.min_off_s
        wanted = self._array.rulings(is_on)
        asked = f"; overrules {wanted[0].claim.reason}" if wanted and wanted[0].value != self.value else ""
        claim = Claim(self.value, f"minimum {shown(is_on)} time of {limit_s:g} s{asked}")
        return decide(self._array, is_on, Ruling(self.value, Slot.MIN_ON_OFF, claim))

    def _change(self, board: Board, ruling: Ruling) -> None:
        before = self.value
        if ruling.value != before:
            self.value, self._since_ns, self._mismatch_since_ns = ruling.value, board.now_ns, None
        if bool(ruling.value) is not bool(before):
            self._switched_ns = board.now_ns
        others = self._array.rulings(bool(ruling.value))
        data = {
            "value": ruling.value,
            "before": before,
            "slot": int(ruling.slot),
            "reason": ruling.claim.reason,
            "inputs": ruling.claim.inputs,
            "overruled": {str(int(each.slot)): each.value for each in others if each.value != ruling.value},
        }
        board.emit(EventClass.OUTPUT, self.name, shown(ruling.value, self.policy.unit), data)

    def _minimum_ends_ns(self, now_ns: int) -> int | None:
        limit_s = self.policy.min_on_s if self.value else self.policy.min_off_s
        if limit_s <= 0 or self._switched_ns is None:
            return None
        ends_ns = self._switched_ns + round(limit_s * SECOND_NS)
        return ends_ns if now_ns < ends_ns else None

    def _maximum_ends_ns(self) -> int | None:
        limit_s = self.policy.max_on_s
        if limit_s <= 0 or not self.value or self._switched_ns is None or self._limited:
            return None
        return self._switched_ns + round(limit_s * SECOND_NS)

    @property
    def _limited(self) -> bool:
        return self._array.get(Slot.PERMISSIVE, _MAX_ON) is not None

    def _limit_on(self, board: Board) -> None:
        ends_ns = self._maximum_ends_ns()
        if ends_ns is not None and board.now_ns >= ends_ns:
            reason = f"on for its maximum of {self.policy.max_on_s:g} s; off until everything that asks for it lets go"
            self._array.put(Slot.PERMISSIVE, _MAX_ON, Claim(self.policy.off, reason))
            board.edge = True

    def _release_limit(self, board: Board) -> None:
        """Maximum-on ends when the output has been off and none of the slots below it asks for on any more."""
        if not self._limited or self.value:
            return
        if any(each.value for each in self._array.rulings(is_on=False) if each.slot > Slot.PERMISSIVE):
            return
        board.release(self.name, Slot.PERMISSIVE, _MAX_ON, Cause("nothing asks for on any more", {}))
        board.edge = True

    def _expire(self, board: Board) -> int | None:
        ends: list[int] = []
        for slot in MANUAL_SLOTS:
            claim = self._array.get(slot, _MANUAL)
            if claim is None or claim.until_ns is None:
                continue
            if board.now_ns < claim.until_ns:
                ends.append(claim.until_ns)
                continue
            board.release(self.name, slot, _MANUAL, Cause(f"{claim.reason}: its time is over", {}))
            board.edge = True
        return min(ends, default=None)

    def _echo(self, board: Board) -> int | None:
        if board.values.get(self.policy.point) == self.value:
            return None
        if board.now_ns < self._echo_ns:
            return self._echo_ns
        self._echo_ns = board.now_ns + ECHO_NS
        self._tell_point(board)
        return None

    def _tell_point(self, board: Board) -> None:
        board.learn((Reading(self.policy.point, self.value, Reason.GOOD, board.now_ns),))

    def _read_back(self, board: Board) -> int | None:
        seen = board.values.get(self.policy.read_back) if self.policy.read_back else None
        if seen is None or bool(seen) == bool(self.value):
            self._mismatch_since_ns = None
            if seen is not None and self._mismatched:
                self._set_mismatch(board, False)
            return None
        if self._mismatch_since_ns is None:
            self._mismatch_since_ns = board.now_ns
        due_ns = self._mismatch_since_ns + round(self.policy.read_back_s * SECOND_NS)
        if board.now_ns < due_ns:
            return due_ns
        if not self._mismatched:
            self._set_mismatch(board, True)
        return None

    def _set_mismatch(self, board: Board, mismatched: bool) -> None:
        point, alarm = self.policy.read_back, f"mismatch/{self.name}"
        seen = board.values[point]
        reason = f"{self.name} is commanded {shown(self.value)}, {point} shows {shown(seen)}"
        self._mismatched = mismatched
        what = "mismatch" if mismatched else "match"
        data = {"value": self.value, "reason": reason, "inputs": {point: seen}, "slot": int(self._ruling.slot)}
        board.emit(EventClass.OUTPUT, self.name, what, data)
        if mismatched:
            board.raise_alarm(alarm, "read-back", Cause(reason, {point: seen}))
        else:
            board.lower_alarm(alarm, "read-back", Cause(reason, {point: seen}))

    def write(self, board: Board, slot: int, claim: Claim) -> None:
        """A person or the cloud fills its slot until the claim's time is over."""
        board.claim(self.name, slot, _MANUAL, claim)
        board.edge = True

    def clear(self, board: Board, slot: int, who: str) -> str:
        """A person or the cloud empties its slot."""
        claim = self._array.get(slot, _MANUAL)
        if claim is None:
            raise Refused(f"slot {slot} of {self.name} is empty: there is nothing to release")
        board.release(self.name, slot, _MANUAL, Cause(f"slot {slot} was released by {who}", {}))
        board.edge = True
        return f"{self.name}: slot {slot} is released"

    def overruling(self, value: Value) -> str:
        """Why a claim of `value` has no effect now, "" when it has."""
        if self.value == value:
            return ""
        now = shown(self.value, self.policy.unit)
        return f"slot {int(self._ruling.slot)} keeps it {now} now: {self._ruling.claim.reason}"

    def _publish(self) -> None:
        ruling = self._ruling
        self.view = {
            "output": self.name,
            "value": ruling.value,
            "slot": int(ruling.slot),
            "slot_name": Slot(ruling.slot).name.lower(),
            "reason": ruling.claim.reason,
            "since_ns": self._since_ns or 0,
            "slots": {str(int(each.slot)): each.value for each in self._array.rulings(bool(self.value))},
        }

    def save(self, now_ns: int) -> Saved:
        """What must survive: manual claims with what is left of them, a maximum-on that stands."""
        manual = {}
        for slot in MANUAL_SLOTS:
            claim = self._array.get(slot, _MANUAL)
            if claim is not None:
                rest = {"left_ns": remaining(now_ns, claim.until_ns), "who": claim.who, "reason": claim.reason}
                manual[str(slot)] = {"value": claim.effect, **rest}
        return compact(manual=manual or None, max_on=self._limited)

    def restore(self, data: Saved, now_ns: int) -> None:
        """Take a saved state over. Raises ValueError and changes nothing when it is damaged."""
        limited, claims = flag(data, "max_on"), {}
        for name in section(data, "manual"):
            entry = section(section(data, "manual"), name)
            left_ns = duration_ns(entry, "left_ns", DAY_NS)
            if name not in map(str, MANUAL_SLOTS) or left_ns is None or "value" not in entry:
                raise ValueError(f"manual slot {name} is not one of {MANUAL_SLOTS} with a value and a rest")
            until_ns, words = now_ns + left_ns, text(entry, "reason")
            value = self.policy.value_of(level(entry, "value"))
            claims[int(name)] = Claim(value, words, until_ns=until_ns, who=text(entry, "who"))
        for slot, claim in claims.items():
            self._array.put(slot, _MANUAL, claim)
        if limited:
            used_up = "maximum on time was used up before the restart"
            self._array.put(Slot.PERMISSIVE, _MAX_ON, Claim(self.policy.off, used_up))
