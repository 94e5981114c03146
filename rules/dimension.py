"""Units of a condition: checked and converted once, so that what runs is plain numbers in one unit per comparison.

Temperatures have a zero point, so each carries a *weight*: 1 for a level (a point), 0 for a difference of two levels.
Sums add weights and factors multiply them; a mean of two levels is a level again. A constant takes the weight its place
asks for: a level when compared with a level, a difference when added to one or compared with a difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.core.units import UNITS, convert, convert_difference
from rules.lexer import KEYWORDS, ExpressionError
from rules.syntax import Arithmetic, Between, Call, Compare, Logic, Negate, Node, Not, Number, Point, Switch, leaves

_TEMPERATURE = "temperature"
_NUMBER = "number"
_ALIASES = {
    "c": "Cel",
    "°c": "Cel",
    "℃": "Cel",
    "celsius": "Cel",
    "degc": "Cel",
    "f": "[degF]",
    "°f": "[degF]",
    "℉": "[degF]",
    "degf": "[degF]",
    "%lel": "%{LEL}",
    "lel": "%{LEL}",
    "%rh": "%{RH}",
    "rh": "%{RH}",
    "ppm": "[ppm]",
    "sec": "s",
    "secs": "s",
    "seconds": "s",
    "m": "min",
    "mins": "min",
    "minutes": "min",
    "hr": "h",
    "hours": "h",
    "days": "d",
    "wh": "W.h",
    "kwh": "kW.h",
    "mbar": "hPa",
    "lux": "lx",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A checked numeric part: its tree in the comparison's unit of its kind. weight None: a constant temperature."""

    tree: Node
    kind: str
    weight: float | None = 0.0


def check(tree: Node, points: Mapping[str, str]) -> Node:
    """The same condition on plain numbers. points: name → UCUM code, "" = two-state. Raises ExpressionError."""
    match tree:
        case Logic(operator, operands, column):
            return Logic(operator, tuple(check(operand, points) for operand in operands), column)
        case Not(operand, column):
            return Not(check(operand, points), column)
        case Compare() | Between():
            return _comparison(tree, points)
        case Switch():
            return tree
        case Point(name, column):
            unit = unit_of(tree, points)
            if not unit:
                return tree
            raise ExpressionError(f"{name} is a number in {unit}: compare it, e.g. '{name} > 8{_with(unit)}'", column)
    raise ExpressionError("this is a number where on or off is needed: compare it with something", tree.column)


def _comparison(tree: Compare | Between, points: Mapping[str, str]) -> Node:
    if isinstance(tree, Compare):
        if _is_switch(tree.left, points) or _is_switch(tree.right, points):
            return _same_state(tree.operator, check(tree.left, points), check(tree.right, points), tree.column)
        return _Comparison(tree, points).compare(tree.operator, tree.left, tree.right, tree.column)
    comparison = _Comparison(tree, points)
    above = comparison.compare(">=", tree.operand, tree.low, tree.column)
    return Logic("and", (above, comparison.compare("<=", tree.operand, tree.high, tree.column)), tree.column)


def unit_of(point: Point, points: Mapping[str, str]) -> str:
    """The unit of a point, "" when it is two-state. Raises ExpressionError with a suggestion when there is none."""
    try:
        unit = points[point.name]
    except KeyError:
        raise ExpressionError(_unknown_point(point.name, points), point.column) from None
    if unit and unit not in UNITS:
        raise ExpressionError(f"{point.name} has the unit {unit!r}, which is not known here", point.column)
    return unit


def _is_switch(node: Node, points: Mapping[str, str]) -> bool:
    if isinstance(node, Point):
        return unit_of(node, points) == ""
    return isinstance(node, Switch | Not | Logic | Compare | Between)


def _same_state(operator: str, left: Node, right: Node, column: int) -> Node:
    if operator not in ("==", "!="):
        raise ExpressionError(f"'{operator}' needs numbers; a two-state point only knows == and !=", column)
    if isinstance(left, Switch):
        left, right = right, left
    if isinstance(right, Switch):
        return left if right.value == (operator == "==") else Not(left, column)
    return Compare(operator, left, right, column)


class _Comparison:
    """One comparison: every value of a kind is brought into the unit of that kind's first point."""

    def __init__(self, tree: Node, points: Mapping[str, str]) -> None:
        self._points = points
        self._units = {_NUMBER: "1"}
        found = leaves(tree)
        for point in found:
            if isinstance(point, Point) and (unit := unit_of(point, points)):
                self._units.setdefault(UNITS[unit].kind, unit)
        for number in found:
            if isinstance(number, Number):
                unit = _known_unit(number, points)
                self._units.setdefault(UNITS[unit].kind, unit)

    def compare(self, operator: str, left: Node, right: Node, column: int) -> Node:
        one, other = self._alike((self._measure(left), self._measure(right)), column)
        return Compare(operator, one.tree, other.tree, column)

    def _measure(self, node: Node) -> Measure:
        match node:
            case Number():
                return self._constant(node)
            case Point():
                return self._point(node)
            case Negate(operand, column):
                inner = self._measure(operand)
                if isinstance(inner.tree, Number):
                    return replace(inner, tree=replace(inner.tree, value=-inner.tree.value))
                return Measure(Negate(inner.tree, column), inner.kind, -(inner.weight or 0.0))
            case Arithmetic(operator, left, right, column):
                return self._arithmetic(operator, self._measure(left), self._measure(right), column)
            case Call(function, arguments, column):
                return self._call(function, tuple(map(self._measure, arguments)), column)
        raise ExpressionError("this is on or off where a number is needed", node.column)

    def _constant(self, number: Number) -> Measure:
        unit = _known_unit(number, self._points)
        kind = UNITS[unit].kind
        if kind == _TEMPERATURE:
            return Measure(replace(number, unit=unit), kind, None)
        return Measure(replace(number, value=_round(convert(number.value, unit, self._units[kind])), unit=""), kind)

    def _point(self, point: Point) -> Measure:
        unit = unit_of(point, self._points)
        if not unit:
            raise ExpressionError(f"{point.name} is on or off: it has no number", point.column)
        kind = UNITS[unit].kind
        weight = 1.0 if kind == _TEMPERATURE else 0.0
        if self._units[kind] == unit:
            return Measure(point, kind, weight)
        source, target = UNITS[unit], UNITS[self._units[kind]]
        factor, shift = source.scale / target.scale, (source.offset - target.offset) / target.scale
        tree: Node = Arithmetic("*", point, Number(factor, "", point.column), point.column)
        if shift:
            tree = Arithmetic("+", tree, Number(shift, "", point.column), point.column)
        return Measure(tree, kind, weight)

    def _fixed(self, measure: Measure, weight: float) -> Measure:
        """A constant temperature as a level (weight 1) or a difference (0), in the comparison's unit."""
        if measure.weight is not None:
            return measure
        assert isinstance(measure.tree, Number)
        turn = convert if weight == 1 else convert_difference
        value = turn(measure.tree.value, measure.tree.unit, self._units[measure.kind])
        return Measure(replace(measure.tree, value=_round(value), unit=""), measure.kind, weight)

    def _alike(self, measures: tuple[Measure, ...], column: int) -> tuple[Measure, ...]:
        """Measures that may be compared: one kind, one weight."""
        self._one_kind(measures, column)
        weights = [measure.weight for measure in measures if measure.weight is not None]
        weight = weights[0] if weights else 1.0
        if any(abs(other - weight) > 1e-9 for other in weights):
            raise ExpressionError("a temperature can't be compared with a difference of temperatures", column)
        constants = len(weights) < len(measures)
        if constants and min(abs(weight), abs(weight - 1)) > 1e-9:
            raise ExpressionError("a sum of temperatures has no meaning by itself: divide it to get their mean", column)
        return tuple(self._fixed(measure, round(weight)) for measure in measures)

    def _one_kind(self, measures: tuple[Measure, ...], column: int) -> None:
        first = measures[0]
        for other in measures[1:]:
            if other.kind == first.kind:
                continue
            for bare, sized in ((first, other), (other, first)):
                if bare.kind == _NUMBER and isinstance(bare.tree, Number):
                    unit = self._units[sized.kind]
                    value = bare.tree.value
                    raise ExpressionError(f"write the unit: {value:g} {unit}", bare.tree.column)
            raise ExpressionError(f"{self._named(first)} and {self._named(other)} can't be compared or added", column)

    def _named(self, measure: Measure) -> str:
        unit = self._units[measure.kind]
        return "a plain number" if measure.kind == _NUMBER else f"{measure.kind} ({unit})"

    def _arithmetic(self, operator: str, left: Measure, right: Measure, column: int) -> Measure:
        if isinstance(left.tree, Number) and isinstance(right.tree, Number):
            return self._folded(operator, left, right, column)
        if operator in "+-":
            return self._sum(operator, left, right, column)
        return self._product(operator, left, right, column)

    def _sum(self, operator: str, left: Measure, right: Measure, column: int) -> Measure:
        self._one_kind((left, right), column)
        level_minus = operator == "-" and right.weight == 1
        left, right = self._fixed(left, 1.0 if level_minus else 0.0), self._fixed(right, 0.0)
        weight = (left.weight or 0.0) + (right.weight or 0.0) * (1 if operator == "+" else -1)
        return Measure(Arithmetic(operator, left.tree, right.tree, column), left.kind, weight)

    def _product(self, operator: str, left: Measure, right: Measure, column: int) -> Measure:
        left, right = self._fixed(left, 0.0), self._fixed(right, 0.0)
        tree = Arithmetic(operator, left.tree, right.tree, column)
        if operator == "/" and isinstance(right.tree, Number) and right.tree.value == 0:
            raise ExpressionError("division by zero", column)
        if operator == "/" and left.kind == right.kind and not left.weight and not right.weight:
            return Measure(tree, _NUMBER)
        if operator == "*" and left.kind == _NUMBER:
            left, right = right, left
        if right.kind != _NUMBER:
            raise ExpressionError(f"{self._named(left)} {operator} {self._named(right)} has no meaning here", column)
        if not left.weight:
            return Measure(tree, left.kind)
        if not isinstance(right.tree, Number):
            raise ExpressionError("a temperature has no fixed zero: only a difference can be scaled so", column)
        factor = right.tree.value if operator == "*" else 1 / right.tree.value
        return Measure(tree, left.kind, left.weight * factor)

    def _folded(self, operator: str, left: Measure, right: Measure, column: int) -> Measure:
        """Two constants are one constant."""
        assert isinstance(left.tree, Number)
        assert isinstance(right.tree, Number)
        if operator in "+-":
            self._one_kind((left, right), column)
            if left.tree.unit != right.tree.unit:
                raise ExpressionError("write both temperatures in one unit", column)
        if operator == "*" and left.kind == _NUMBER:
            left, right = right, left
        if operator in "*/" and right.kind != _NUMBER:
            raise ExpressionError(f"{self._named(left)} {operator} {self._named(right)} has no meaning here", column)
        a, b = left.tree, right.tree
        assert isinstance(a, Number)
        assert isinstance(b, Number)
        if operator == "/" and b.value == 0:
            raise ExpressionError("division by zero", column)
        results = {"+": a.value + b.value, "-": a.value - b.value, "*": a.value * b.value}
        value = a.value / b.value if operator == "/" else results[operator]
        if value - value != 0:
            raise ExpressionError("the result is too large", column)
        return replace(left, tree=replace(a, value=value))

    def _call(self, function: str, measures: tuple[Measure, ...], column: int) -> Measure:
        if function == "abs":
            only = self._fixed(measures[0], 0.0)
            if only.weight:
                raise ExpressionError("abs needs a difference of temperatures, e.g. abs(a - b)", column)
            return Measure(Call(function, (only.tree,), column), only.kind)
        measures = self._alike(measures, column)
        return Measure(Call(function, tuple(m.tree for m in measures), column), measures[0].kind, measures[0].weight)


def _known_unit(number: Number, points: Mapping[str, str]) -> str:
    unit = number.unit or "1"
    if unit in UNITS:
        return unit
    if unit in points:
        raise ExpressionError(f"an operator is missing before '{unit}'", number.unit_column)
    alias = _ALIASES.get(unit.lower()) or _close(unit, UNITS)
    hint = f"did you mean '{alias}'?" if alias else f"known: {', '.join(UNITS)}"
    raise ExpressionError(f"unknown unit '{unit}'; {hint}", number.unit_column)


def _unknown_point(name: str, points: Mapping[str, str]) -> str:
    if name in KEYWORDS or "." not in name:
        own = sorted(point for point in points if point.startswith(f"{name}."))
        if own:
            return f"'{name}' is a device, not a point: write {' or '.join(own)}"
    close = _close(name, points)
    hint = f"did you mean '{close}'?" if close else "points are written device.channel, as 'gateway read' lists them"
    return f"unknown point '{name}'; {hint}"


def _close(word: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches  # only needed to explain a mistake

    return next(iter(get_close_matches(word, known, 1, 0.6)), "")


def _with(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def _round(value: float) -> float:
    """Twelve significant digits: 8 Cel is 46.4 [degF], not 46.400000000000006."""
    return float(f"{value:.12g}")
