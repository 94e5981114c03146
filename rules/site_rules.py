"""The site's rules: while one is active it holds outputs in its slot and keeps alarms on."""

from gateway.core.event import EventClass
from rules.arbitration import Claim
from rules.board import SECOND_NS, Board, Cause
from rules.definition import Log, RaiseAlarm, Rule, SetOutput
from rules.demand import Demand
from rules.expression import Expression, conjunction, negation
from rules.saved import Saved, compact, duration_ns, elapsed, flag, since


class RuleState:
    """One rule now. engaged: its claims are made (an active rule of policy off lets go while it awaits first data)."""

    def __init__(self, definition: Rule, condition: Expression, until: Expression | None) -> None:
        self.definition = definition
        self.name = definition.name
        self.active = False
        self._condition = condition
        self._until = until
        ended = None if until is None else negation(until)
        self._start = condition if ended is None else conjunction(condition, ended)
        self._stay = condition if ended is None else ended
        meaning = {"trip": False, "off": False, "on": True, "hold": False}
        self.demand = Demand(self._start, definition.on_bad_input, meaning, frozenset(meaning))
        self._change_since_ns: int | None = None  # the demand has differed from `active` since then
        self._engaged: bool | None = False  # None: restored, and only its alarms are on
        self._cause = Cause(f"rule {self.name}: as before the restart", {})

    @property
    def inputs(self) -> frozenset[str]:
        """Every point that may matter, whether the rule is active or not."""
        return self._start.inputs | self._stay.inputs

    def update(self, board: Board) -> int | None:
        """Look at the condition and act; the time of the next look, if one is due by itself."""
        answer = self.demand.settle(board)
        if not answer.firm:
            if not self.active or self.demand.policy in ("on", "hold"):
                self._engage(board, self.active)
            elif self._engaged:
                self._cause = board.cause(f"rule {self.name} pauses until its inputs have data", self._condition)
                self._engage(board, False)
            return answer.deadline_ns
        deadline_ns = self._delay(board, answer.asks)
        self._engage(board, self.active)
        return deadline_ns if answer.deadline_ns is None else min(answer.deadline_ns, deadline_ns or answer.deadline_ns)

    def _delay(self, board: Board, asks: bool) -> int | None:
        if asks == self.active:
            self._change_since_ns = None
            return None
        if self._change_since_ns is None:
            self._change_since_ns = board.now_ns
        delay_s = self.definition.off_delay_s if self.active else self.definition.for_s
        due_ns = self._change_since_ns + round(delay_s * SECOND_NS)
        if board.now_ns < due_ns:
            return due_ns
        self._change(board)
        return None

    def _change(self, board: Board) -> None:
        asked = self._condition if self._until is None or not self.active else self._until
        word = "ended" if self.active else "active"
        self._cause = board.cause(f"rule {self.name} {word}" if self.active else f"rule {self.name}", asked)
        self.active, self._change_since_ns, board.edge = not self.active, None, True
        if self._until is not None:
            self.demand.use(self._stay if self.active else self._start, board.values)
            board.forced.add(f"rule {self.name}")
        if self.active:
            self._tell(board)

    def _tell(self, board: Board) -> None:
        for action in self.definition.then:
            if isinstance(action, Log):
                data = {"text": action.text, "reason": self._cause.reason, "inputs": self._cause.inputs}
                board.emit(EventClass.SYSTEM, self.name, "log", data)

    def _engage(self, board: Board, wanted: bool) -> None:
        if wanted == self._engaged:
            return
        self._engaged = wanted
        holder, slot = f"rule {self.name}", self.definition.slot
        for action in self.definition.then:
            if isinstance(action, SetOutput) and wanted:
                board.claim(action.output, slot, holder, Claim(action.value, self._cause.reason, self._cause.inputs))
            elif isinstance(action, SetOutput):
                board.release(action.output, slot, holder, self._cause)
            elif isinstance(action, RaiseAlarm) and wanted:
                board.raise_alarm(action.alarm, holder, self._cause)
            elif isinstance(action, RaiseAlarm):
                board.lower_alarm(action.alarm, holder, self._cause)

    def save(self, now_ns: int) -> Saved:
        """What must survive: activity and a running delay."""
        return compact(active=self.active, delay_ns=elapsed(now_ns, self._change_since_ns))

    def restore(self, data: Saved, board: Board, now_ns: int) -> None:
        """Take a saved state over. Raises ValueError and changes nothing when it is damaged."""
        active, delay_ns = flag(data, "active"), duration_ns(data, "delay_ns")
        self.active, self._change_since_ns = active, since(now_ns, delay_ns)
        if not active:
            return
        self.demand.expression, self.demand.last, self._engaged = self._stay, True, None
        for action in self.definition.then:
            if isinstance(action, RaiseAlarm):
                board.raise_alarm(action.alarm, f"rule {self.name}", self._cause)
