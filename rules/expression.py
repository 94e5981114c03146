"""Conditions over points, compiled once: a small language with units and three-valued logic (docs/rules.md).

What runs is Python code built from a whitelisted tree: it reaches the values it was given and abs, min, max, no more.
A point without a usable value is simply missing from the values: the compiled code then stops, and the tree is
interpreted with Kleene's logic instead. `and` and `or` that never touch the missing value agree with Kleene anyway.
"""

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.core.reading import Value
from rules.dimension import check
from rules.lexer import ExpressionError
from rules.syntax import (
    Arithmetic,
    Call,
    Compare,
    Logic,
    Negate,
    Node,
    Not,
    Number,
    Point,
    Switch,
    leaves,
    parse,
)

__all__ = ["UNKNOWN", "Expression", "ExpressionError", "compile_expression"]

UNKNOWN = (KeyError, ArithmeticError)
"""What the compiled code raises when a value is missing, a divisor is zero or a result is not finite."""

Values = Mapping[str, Value]
_FUNCTIONS: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
_COMPARE: dict[str, tuple[type[ast.cmpop], Callable[[float, float], bool]]] = {
    "<": (ast.Lt, lambda a, b: a < b),
    "<=": (ast.LtE, lambda a, b: a <= b),
    ">": (ast.Gt, lambda a, b: a > b),
    ">=": (ast.GtE, lambda a, b: a >= b),
    "==": (ast.Eq, lambda a, b: a == b),
    "!=": (ast.NotEq, lambda a, b: a != b),
}
_ARITHMETIC: dict[str, tuple[type[ast.operator], Callable[[float, float], float]]] = {
    "+": (ast.Add, lambda a, b: a + b),
    "-": (ast.Sub, lambda a, b: a - b),
    "*": (ast.Mult, lambda a, b: a * b),
    "/": (ast.Div, lambda a, b: a / b),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled condition. fast: values → verdict, raises one of UNKNOWN when it cannot tell by itself."""

    text: str
    inputs: frozenset[str]
    tree: Node
    fast: Callable[[Values], bool]
    _places: tuple[tuple[int, str], ...] = ()

    def evaluate(self, values: Values) -> bool | None:
        """True, False, or None for unknown. values holds the usable points only; two-state ones as bool."""
        try:
            return self.fast(values)
        except UNKNOWN:
            return self.kleene(values)

    def kleene(self, values: Values) -> bool | None:
        """The same by interpreting the tree, with unknown for what is missing. Slower, never raises."""
        verdict = _interpret(self.tree, values)
        return None if verdict is None else bool(verdict)

    def explain(self, show: Callable[[str], str]) -> str:
        """The text with ` = <show(point)>` behind each point: `gas.concentration = 31.2 %{LEL} > 20 %{LEL}`."""
        parts: list[str] = []
        start = 0
        for end, name in self._places:
            parts += (self.text[start:end], " = ", show(name))
            start = end
        return " ".join("".join((*parts, self.text[start:])).split())


def compile_expression(text: str, points: Mapping[str, str]) -> Expression:
    """Compile a condition. points: name → UCUM code, "" = two-state. Raises ExpressionError(message, column)."""
    written = parse(text)
    places = tuple((leaf.end, leaf.name) for leaf in leaves(written) if isinstance(leaf, Point))
    return _expression(text, check(written, points), places)


def negation(expression: Expression) -> Expression:
    """The opposite condition; unknown stays unknown."""
    return _expression(f"not ({expression.text})", Not(expression.tree, 1))


def conjunction(one: Expression, other: Expression) -> Expression:
    """Both conditions."""
    return _expression(f"({one.text}) and ({other.text})", Logic("and", (one.tree, other.tree), 1))


def _expression(text: str, tree: Node, places: tuple[tuple[int, str], ...] = ()) -> Expression:
    inputs = frozenset(leaf.name for leaf in leaves(tree) if isinstance(leaf, Point))
    return Expression(text, inputs, tree, _compiled(tree), places)


def finite(value: float) -> float:
    """The value itself. Raises ArithmeticError when it overflowed or is not a number."""
    if math.isfinite(value):
        return value
    raise ArithmeticError


def _compiled(tree: Node) -> Callable[[Values], bool]:
    parameters = ast.arguments(posonlyargs=[], args=[ast.arg("v")], kwonlyargs=[], kw_defaults=[], defaults=[])
    code = ast.fix_missing_locations(ast.Expression(ast.Lambda(parameters, _python(tree))))
    scope = {"__builtins__": {}, "finite": finite, **_FUNCTIONS}
    function: Callable[[Values], bool] = eval(  # noqa: S307 - the code was built here from the whitelisted nodes below
        compile(code, "<condition>", "eval"), scope
    )
    return function


def _python(node: Node) -> ast.expr:
    match node:
        case Number(value) | Switch(value):
            return ast.Constant(value)
        case Point(name):
            return ast.Subscript(ast.Name("v", ast.Load()), ast.Constant(name), ast.Load())
        case Not(operand):
            return ast.UnaryOp(ast.Not(), _python(operand))
        case Logic(operator, operands):
            return ast.BoolOp(ast.And() if operator == "and" else ast.Or(), [_python(each) for each in operands])
        case Compare(operator, left, right):
            return ast.Compare(_operand(left), [_COMPARE[operator][0]()], [_operand(right)])
    return _python_number(node)


def _python_number(node: Node) -> ast.expr:
    match node:
        case Negate(operand):
            return ast.UnaryOp(ast.USub(), _python(operand))
        case Arithmetic(operator, left, right):
            return ast.BinOp(_python(left), _ARITHMETIC[operator][0](), _python(right))
        case Call(function, arguments):
            return ast.Call(ast.Name(function, ast.Load()), [_python(each) for each in arguments], [])
    raise AssertionError(f"rules.dimension leaves no {type(node).__name__}")


def _operand(node: Node) -> ast.expr:
    """A side of a comparison; one that was computed must be finite (values and constants are)."""
    if isinstance(node, Arithmetic | Negate | Call):
        return ast.Call(ast.Name("finite", ast.Load()), [_python(node)], [])
    return _python(node)


def _interpret(node: Node, values: Values) -> Value | None:
    match node:
        case Number(value) | Switch(value):
            return value
        case Point(name):
            return values.get(name)
        case Not(operand):
            verdict = _interpret(operand, values)
            return None if verdict is None else not verdict
        case Logic(operator, operands):
            return _logic(operator == "or", [_interpret(each, values) for each in operands])
        case _:
            return _calculate(node, values)


def _logic(decisive: bool, verdicts: list[Value | None]) -> bool | None:
    """Kleene's `or` (decisive True) and `and` (decisive False): one decisive operand settles it."""
    if any(verdict is not None and bool(verdict) == decisive for verdict in verdicts):
        return decisive
    return None if None in verdicts else not decisive


def _calculate(node: Node, values: Values) -> Value | None:
    operands = [_interpret(each, values) for each in _operands(node)]
    numbers = [operand for operand in operands if operand is not None]
    if len(numbers) < len(operands):
        return None
    try:
        return _result(node, numbers)
    except ArithmeticError:
        return None


def _operands(node: Node) -> tuple[Node, ...]:
    match node:
        case Arithmetic(_, left, right) | Compare(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case Negate(operand):
            return (operand,)
    raise AssertionError(f"{type(node).__name__} is not calculated")


def _result(node: Node, numbers: list[Value]) -> Value:
    match node:
        case Arithmetic(operator):
            return _ARITHMETIC[operator][1](*numbers)
        case Compare(operator):
            return _COMPARE[operator][1](finite(numbers[0]), finite(numbers[1]))
        case Call(function):
            return _FUNCTIONS[function](*numbers)
    return -numbers[0]
