"""A condition that asks for something, and what a bad input does to it."""

from dataclasses import dataclass
from typing import Literal

from rules.board import SECOND_NS, Board
from rules.definition import BadInput
from rules.expression import UNKNOWN, Expression, Values


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the condition asks now. firm: False while only the first data are awaited.

    deadline_ns: when the answer may change by itself (a hold runs out).
    """

    asks: bool
    firm: bool = True
    deadline_ns: int | None = None


class Demand:
    """The last verdict of a condition (None: unknown), settled by its policy.

    on_unknown: what an unknown verdict means under each policy (hold: after the hold). awaits: the policies for which
    waiting for the first data is no bad input yet; `Answer.firm` is then False.
    """

    def __init__(
        self, expression: Expression, policy: BadInput, on_unknown: dict[str, bool], awaits: frozenset[str]
    ) -> None:
        self.policy: Literal["trip", "off", "on", "hold"] = policy.policy
        self.expression = expression
        self.verdict: bool | None = None
        self.last: bool | None = None
        self._hold_ns = round(policy.hold_s * SECOND_NS)
        self._unknown_since_ns: int | None = None
        self._unknown_is = on_unknown[policy.policy]
        self._awaits = policy.policy in awaits

    def look(self, values: Values) -> bool:
        """Evaluate; True when the verdict changed."""
        try:
            verdict: bool | None = self.expression.fast(values)
        except UNKNOWN:
            verdict = self.expression.kleene(values)
        if verdict is self.verdict:
            return False
        self.verdict = verdict
        return True

    def succeed(self, predecessor: "Demand") -> None:
        """Go on holding what the same condition held under another configuration."""
        if self.expression.text == predecessor.expression.text and self.policy == predecessor.policy:
            self.last, self._unknown_since_ns = predecessor.last, predecessor._unknown_since_ns

    def use(self, expression: Expression, values: Values) -> None:
        """Ask another condition from now on."""
        self.expression = expression
        self.verdict = expression.evaluate(values)

    def settle(self, board: Board) -> Answer:
        """The verdict, or what the policy makes of an unknown one."""
        if self.verdict is not None:
            self.last, self._unknown_since_ns = self.verdict, None
            return Answer(self.verdict)
        if self._unknown_since_ns is None:
            self._unknown_since_ns = board.now_ns
        if self.policy == "hold" and self.last is not None:
            until_ns = self._unknown_since_ns + self._hold_ns
            if board.now_ns < until_ns:
                return Answer(self.last, deadline_ns=until_ns)
        elif self._awaits and board.waiting(self.expression.inputs):
            return Answer(self._unknown_is, firm=False)
        return Answer(self._unknown_is)
