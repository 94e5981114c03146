"""The grammar of a condition, from words to a tree. docs/rules.md is its reference.

condition  = and-part {"or" and-part}
and-part   = not-part {"and" not-part}
not-part   = "not" not-part | comparison
comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum | "between" sum "and" sum]
sum        = term {("+" | "-") term}
term       = factor {("*" | "/") factor}
factor     = "-" factor | number [unit] | point | "on" | "off" | "true" | "false"
           | function "(" condition {"," condition} ")" | "(" condition ")"
"""

from dataclasses import dataclass
from typing import Literal

from rules.lexer import FUNCTIONS, ExpressionError, Token, tokenize

NESTING_MAX = 50
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True, slots=True)
class Number:
    """A constant as written; unit "" when none was written."""

    value: float
    unit: str
    column: int
    unit_column: int = 0


@dataclass(frozen=True, slots=True)
class Switch:
    """on, off, true, false."""

    value: bool
    column: int


@dataclass(frozen=True, slots=True)
class Point:
    """The current value of a point. end: the index in the text behind its name."""

    name: str
    column: int
    end: int


@dataclass(frozen=True, slots=True)
class Negate:
    """-operand."""

    operand: "Node"
    column: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a two-state operand."""

    operand: "Node"
    column: int


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` of two or more two-state operands."""

    operator: Literal["and", "or"]
    operands: tuple["Node", ...]
    column: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """left operator right; operator is one of + - * /."""

    operator: str
    left: "Node"
    right: "Node"
    column: int


@dataclass(frozen=True, slots=True)
class Compare:
    """left operator right; operator is one of < <= > >= == !=."""

    operator: str
    left: "Node"
    right: "Node"
    column: int


@dataclass(frozen=True, slots=True)
class Between:
    """low <= operand <= high."""

    operand: "Node"
    low: "Node"
    high: "Node"
    column: int


@dataclass(frozen=True, slots=True)
class Call:
    """abs, min or max of its arguments."""

    function: str
    arguments: tuple["Node", ...]
    column: int


Node = Number | Switch | Point | Negate | Not | Logic | Arithmetic | Compare | Between | Call


def parse(text: str) -> Node:
    """The tree of `text`, at most NESTING_MAX deep. Raises ExpressionError."""
    parser = _Parser(tokenize(text))
    tree = parser.condition()
    parser.finish()
    if _depth(tree) > NESTING_MAX:
        raise ExpressionError(f"nested deeper than {NESTING_MAX}, or too many + - * / in a row: split it", 1)
    return tree


def children(node: Node) -> tuple[Node, ...]:
    """The operands of a node, left to right."""
    match node:
        case Number() | Switch() | Point():
            return ()
        case Negate(operand) | Not(operand):
            return (operand,)
        case Logic(_, operands):
            return operands
        case Arithmetic(_, left, right) | Compare(_, left, right):
            return (left, right)
        case Between(operand, low, high):
            return (operand, low, high)
        case Call(_, arguments):
            return arguments


def leaves(node: Node) -> list[Number | Switch | Point]:
    """The constants and points of a tree, left to right."""
    found: list[Number | Switch | Point] = []
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, Number | Switch | Point):
            found.append(current)
        else:
            waiting.extend(reversed(children(current)))
    return found


def _depth(tree: Node) -> int:
    deepest = 0
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting.extend((child, depth + 1) for child in children(node))
    return deepest


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._index = 0
        self._nesting = 0

    @property
    def _now(self) -> Token:
        return self._tokens[self._index]

    def _take(self, *texts: str) -> Token | None:
        token = self._now
        if token.kind not in ("operator", "keyword") or token.text not in texts:
            return None
        self._index += 1
        return token

    def _need(self, text: str, why: str) -> None:
        if self._take(text) is None:
            raise ExpressionError(f"'{text}' is missing {why}, found {_shown(self._now)}", self._now.column)

    def _enter(self) -> None:
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            raise ExpressionError(f"nested deeper than {NESTING_MAX}: split the condition", self._now.column)

    def finish(self) -> None:
        token = self._now
        if token.kind == "end":
            return
        hint = " (a ')' too many)" if token.text == ")" else ": an operator is missing before it"
        raise ExpressionError(f"did not expect {_shown(token)} here{hint}", token.column)

    def condition(self) -> Node:
        return self._logic("or")

    def _logic(self, operator: Literal["and", "or"]) -> Node:
        column = self._now.column
        operands = [self._part(operator)]
        while self._take(operator):
            operands.append(self._part(operator))
        return operands[0] if len(operands) == 1 else Logic(operator, tuple(operands), column)

    def _part(self, operator: Literal["and", "or"]) -> Node:
        return self._logic("and") if operator == "or" else self._not()

    def _not(self) -> Node:
        token = self._take("not")
        if token is None:
            return self._comparison()
        self._enter()
        operand = self._not()
        self._nesting -= 1
        return Not(operand, token.column)

    def _comparison(self) -> Node:
        left = self._sum()
        token = self._take(*_COMPARISONS, "between")
        if token is None:
            return left
        if token.text == "between":
            low = self._sum()
            self._need("and", "in 'between … and …'")
            tree: Node = Between(left, low, self._sum(), token.column)
        else:
            tree = Compare(token.text, left, self._sum(), token.column)
        if self._now.text in (*_COMPARISONS, "between"):
            cure = "write 'x between low and high', or join two comparisons with 'and'"
            raise ExpressionError(f"comparisons can't be chained: {cure}", self._now.column)
        return tree

    def _sum(self) -> Node:
        left = self._term()
        while token := self._take("+", "-"):
            left = Arithmetic(token.text, left, self._term(), token.column)
        return left

    def _term(self) -> Node:
        left = self._factor()
        while token := self._take("*", "/"):
            left = Arithmetic(token.text, left, self._factor(), token.column)
        return left

    def _factor(self) -> Node:
        self._enter()
        minus = self._take("-")
        node: Node = Negate(self._factor(), minus.column) if minus else self._primary()
        self._nesting -= 1
        return node

    def _primary(self) -> Node:
        token = self._now
        if self._take("("):
            inner = self.condition()
            self._need(")", f"for the '(' at column {token.column}")
            return inner
        if self._take("true", "false", "on", "off"):
            return Switch(token.text in ("true", "on"), token.column)
        if token.kind == "number":
            self._index += 1
            return Number(token.value, token.unit, token.column, token.unit_column)
        if token.kind != "name":
            raise ExpressionError(_expected(token), token.column)
        self._index += 1
        if token.text in FUNCTIONS:
            return self._call(token)
        if self._now.text == "(":
            known = ", ".join(sorted(FUNCTIONS))
            raise ExpressionError(f"there is no function '{token.text}'; known: {known}", token.column)
        return Point(token.text, token.column, token.end)

    def _call(self, name: Token) -> Node:
        self._need("(", f"after '{name.text}'")
        arguments = [self.condition()]
        while self._take(","):
            arguments.append(self.condition())
        self._need(")", f"to close {name.text}(…)")
        if name.text == "abs" and len(arguments) != 1:
            raise ExpressionError(f"abs takes one value, not {len(arguments)}", name.column)
        if name.text != "abs" and len(arguments) < 2:
            raise ExpressionError(f"{name.text} takes two or more values", name.column)
        return Call(name.text, tuple(arguments), name.column)


def _expected(token: Token) -> str:
    if token.kind == "end":
        return "the condition ends where a point or a value is expected"
    if token.text == "not":
        return "put 'not …' in parentheses here"
    return f"a point or a value is expected here, found {_shown(token)}"


def _shown(token: Token) -> str:
    return "the end" if token.kind == "end" else f"'{token.text}'"
