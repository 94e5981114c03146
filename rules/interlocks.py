"""Interlocks: conditions that force outputs, latch, and can be reset or bypassed by an installer."""

from typing import Any, Literal

from gateway.core.errors import Refused
from gateway.core.event import EventClass
from rules.arbitration import Claim
from rules.board import SECOND_NS, Board, Cause
from rules.definition import Alarm, Interlock
from rules.demand import Answer, Demand
from rules.expression import Expression, negation
from rules.saved import DAY_NS, Saved, compact, duration_ns, earliest, elapsed, flag, remaining, since, text

URGENT_UP_TO_SLOT = 2


def trip_alarm(interlock: Interlock) -> Alarm:
    """The built-in alarm that is on while an interlock is tripped. It can't be shelved."""
    name = interlock.name
    words = {"en": f"Interlock {name} has tripped", "ko": f"인터록 {name} 작동"}
    priority: Literal["urgent", "high"] = "urgent" if interlock.slot <= URGENT_UP_TO_SLOT else "high"
    return Alarm(f"interlock/{name}", priority=priority, group="interlock", shelve_max_s=0, text=words)


def bypass_alarm(interlock: Interlock) -> Alarm:
    """The built-in alarm that is on while an interlock is bypassed. It can't be shelved."""
    name = interlock.name
    words = {"en": f"Interlock {name} is bypassed", "ko": f"인터록 {name} 우회 중"}
    return Alarm(f"bypass/{name}", priority="high", group="bypass", shelve_max_s=0, text=words)


class InterlockState:
    """One interlock now. tripped: it acts, and when it latches it does so until reset. forcing: its claims are made."""

    def __init__(self, definition: Interlock, condition: Expression) -> None:
        self.definition = definition
        self.name = definition.name
        permissive = definition.kind == "permissive"
        meaning = {"trip": True, "off": permissive, "on": not permissive, "hold": True}
        cause = negation(condition) if permissive else condition
        self.demand = Demand(cause, definition.on_bad_input, meaning, frozenset({"trip", "hold"}))
        self.tripped = False
        self._condition = condition
        self._cause = False
        self._cause_since_ns: int | None = None
        self._bypass_until_ns: int | None = None
        self._bypass_reason = ""
        self._forcing: str | None = None  # the reason of the claims that are made
        self._precaution = False  # forced since the start for want of data, and they have not spoken it free yet
        self._reason = ""
        self.view: dict[str, Any] = {}
        self._publish()

    def succeed(self, predecessor: "InterlockState") -> None:
        """After `restore`: outputs forced since the start for want of data stay so until the data speak."""
        self._precaution = predecessor._precaution

    def update(self, board: Board) -> int | None:
        """Look at the condition and act; the time of the next look, if one is due by itself."""
        answer = self.demand.settle(board)
        deadline_ns = self._judge(board, answer) if answer.firm else None
        self._cause = answer.asks or not answer.firm
        self._expire_bypass(board)
        self._precaution = not answer.firm or (self._precaution and answer.asks)
        self._force(board)
        self._publish()
        return earliest(answer.deadline_ns, deadline_ns, self._bypass_until_ns)

    def _judge(self, board: Board, answer: Answer) -> int | None:
        if not answer.asks:
            self._cause_since_ns = None
            if self.tripped and not self.definition.latch:
                self._clear(board, "cleared", self._described(board, " cleared"))
            return None
        if self._cause_since_ns is None:
            self._cause_since_ns = board.now_ns
        due_ns = self._cause_since_ns + round(self.definition.for_s * SECOND_NS)
        if self.tripped:
            return None
        if board.now_ns < due_ns:
            return due_ns
        self._trip(board)
        return None

    def _trip(self, board: Board) -> None:
        cause = self._described(board)
        self.tripped, self._reason, board.edge = True, cause.reason, True
        outputs = {output: shown_effect(effect) for output, effect in self.definition.outputs.items()}
        data = {"reason": cause.reason, "inputs": cause.inputs, "slot": int(self.definition.slot), "outputs": outputs}
        board.emit(EventClass.OUTPUT, self.name, "tripped", {**data, "latch": self.definition.latch})
        board.raise_alarm(f"interlock/{self.name}", "interlock", cause)

    def _clear(self, board: Board, what: str, cause: Cause) -> None:
        self.tripped, self._reason, board.edge = False, "", True
        data = {"reason": cause.reason, "inputs": cause.inputs, "slot": int(self.definition.slot)}
        board.emit(EventClass.OUTPUT, self.name, what, data)
        board.lower_alarm(f"interlock/{self.name}", "interlock", cause)

    def _force(self, board: Board) -> None:
        wanted: str | None = None
        if self._bypass_until_ns is None and (self.tripped or self._precaution):
            wanted = self._reason or f"interlock {self.name}: waiting for the first data of its inputs"
        if wanted == self._forcing:
            return
        cause = self._described(board, "" if wanted else " let go")
        for output, effect in self.definition.outputs.items():
            if wanted is None:
                board.release(output, self.definition.slot, self._holder, cause)
            else:
                board.claim(output, self.definition.slot, self._holder, Claim(effect, wanted, cause.inputs))
        self._forcing = wanted

    @property
    def _holder(self) -> str:
        return f"interlock {self.name}"

    def _described(self, board: Board, word: str = "") -> Cause:
        prefix = f"interlock {self.name}{word}"
        if self.definition.kind == "permissive" and self.demand.verdict is not False:
            prefix += ": permissive missing"
        cause = board.cause(prefix, self._condition)
        if self.demand.verdict is None and self._cause_since_ns is not None:
            return Cause(f"{cause.reason} (bad input: {self.demand.policy})", cause.inputs)
        return cause

    def reset(self, board: Board) -> str:
        """Take a latched trip back. Raises Refused unless the cause is gone beyond doubt."""
        if not self.tripped:
            raise Refused(f"interlock {self.name} is not tripped: there is nothing to reset")
        if not self.definition.latch:
            raise Refused(f"interlock {self.name} does not latch: it clears when its cause is gone")
        cause = self._described(board)
        if self.demand.verdict is None:
            raise Refused(
                f"{cause.reason}: an input is unusable, so nobody knows that the cause is gone; repair it first"
            )
        if self.demand.verdict:
            raise Refused(f"{cause.reason}: the cause still stands; remove it, then reset")
        self._clear(board, "reset", cause)
        board.forced.add(f"interlock {self.name}")
        return f"interlock {self.name} is reset"

    def bypass(self, board: Board, for_s: float, reason: str, who: str) -> str:
        """Put out of effect for `for_s` seconds, 0 ends it. Raises Refused: forbidden, too long, no reason."""
        limit_s = self.definition.bypass_max_s
        if limit_s <= 0:
            raise Refused(f"bypass of interlock {self.name} is forbidden by the configuration")
        if for_s == 0:
            return self._end_bypass(board, f"ended by {who}")
        if not 0 < for_s <= limit_s:
            raise Refused(f"interlock {self.name} can be bypassed for at most {limit_s:g} s, not {for_s:g} s")
        if not reason.strip():
            raise Refused(f"a bypass of interlock {self.name} needs a reason")
        self._bypass_until_ns = board.now_ns + round(for_s * SECOND_NS)
        self._bypass_reason = reason
        words = f"interlock {self.name} is bypassed by {who} for {for_s:g} s: {reason}"
        self._announce_bypass(board, "bypassed", words)
        board.raise_alarm(f"bypass/{self.name}", "bypass", Cause(words, {}))
        return words

    def _end_bypass(self, board: Board, why: str) -> str:
        if self._bypass_until_ns is None:
            raise Refused(f"interlock {self.name} is not bypassed")
        self._bypass_until_ns, self._bypass_reason = None, ""
        words = f"bypass of interlock {self.name} {why}"
        self._announce_bypass(board, "bypass_ended", words)
        board.lower_alarm(f"bypass/{self.name}", "bypass", Cause(words, {}))
        return words

    def _announce_bypass(self, board: Board, what: str, words: str) -> None:
        board.edge = True
        board.forced.add(f"interlock {self.name}")
        board.emit(EventClass.OUTPUT, self.name, what, {"reason": words, "slot": int(self.definition.slot)})

    def _expire_bypass(self, board: Board) -> None:
        if self._bypass_until_ns is not None and board.now_ns >= self._bypass_until_ns:
            self._end_bypass(board, "has run out")

    def _publish(self) -> None:
        self.view = {
            "interlock": self.name,
            "tripped": self.tripped,
            "cause": self._cause,
            "latched": self.tripped and self.definition.latch,
            "bypassed_until_ns": self._bypass_until_ns,
            "reason": self._forcing or self._reason,
        }

    def save(self, now_ns: int) -> Saved:
        """What must survive: the trip, a running `for`, the bypass with what is left of it."""
        return compact(
            tripped=self.tripped,
            reason=self._reason,
            for_ns=None if self.tripped else elapsed(now_ns, self._cause_since_ns),
            bypass_ns=remaining(now_ns, self._bypass_until_ns),
            bypass_reason=self._bypass_reason,
        )

    def restore(self, data: Saved, board: Board, now_ns: int) -> None:
        """Take a saved state over. Raises ValueError and changes nothing when it is damaged."""
        tripped, reason, bypass_reason = flag(data, "tripped"), text(data, "reason"), text(data, "bypass_reason")
        for_ns = duration_ns(data, "for_ns")
        bypass_ns = duration_ns(data, "bypass_ns", DAY_NS)
        self.tripped, self._reason = tripped, reason or (f"interlock {self.name}: tripped earlier" if tripped else "")
        self._cause_since_ns = since(now_ns, for_ns)
        if tripped:
            board.raise_alarm(f"interlock/{self.name}", "interlock", Cause(self._reason, {}))
        if bypass_ns is not None and self.definition.bypass_max_s > 0:
            limit_ns = round(self.definition.bypass_max_s * SECOND_NS)  # it may have become stricter
            self._bypass_until_ns, self._bypass_reason = now_ns + min(bypass_ns, limit_ns), bypass_reason
            board.raise_alarm(f"bypass/{self.name}", "bypass", Cause(f"bypassed: {bypass_reason}", {}))
        self._publish()


def shown_effect(effect: object) -> object:
    """An effect as it is written in the configuration."""
    return {True: "on", False: "off"}[effect] if isinstance(effect, bool) else effect
