"""How fast conditions are decided: `python bench/rules.py`. No hardware, no network, one thread.

Each figure names where it begins and ends; the best of several rounds is printed, as the others measure the neighbours.
"""

import sys
import timeit
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gateway.core.output import OutputPolicy
from gateway.core.quality import Reason
from gateway.core.reading import Reading
from rules.definition import BadInput, Interlock, Rule, Rulebook, SetOutput
from rules.engine import Engine
from rules.expression import compile_expression

POINTS = {"gas.concentration": "%{LEL}", "walkin_air.temperature": "Cel", "walkin_door.open": ""}
CONDITIONS = 300
UNUSED = 1000


def best_ns(statement: Callable[[], None], number: int, per: int = 1) -> float:
    """Nanoseconds for one of `per` parts of the statement, best of seven rounds."""
    return min(timeit.repeat(statement, number=number, repeat=7)) / number / per * 1e9


def condition(text: str, **values: float | bool) -> float:
    """One call of a compiled condition, from the values to the verdict."""
    expression = compile_expression(text, POINTS)
    inputs = {name.replace("__", "."): value for name, value in values.items()}
    code = timeit.Timer("fast(values)", globals={"fast": expression.fast, "values": inputs})
    return min(code.repeat(7, 200_000)) / 200_000 * 1e9


def engine(conditions: int) -> Engine:
    """A site with so many rules on one stream, and a thousand points that nothing uses."""
    points = {**POINTS, **{f"spare{n}.value": "Cel" for n in range(UNUSED)}}
    rules = tuple(
        Rule(f"rule{n}", f"walkin_air.temperature > {20 + n} Cel", (SetOutput("fan", True),)) for n in range(conditions)
    )
    leak = Interlock("leak", "trip", "gas.concentration > 20 %{LEL}", {"valve": False}, BadInput("trip"), latch=False)
    return Engine(Rulebook(points, (leak,), (), rules), (OutputPolicy("fan"), OutputPolicy("valve")))


def stream(conditions: int) -> float:
    """One new value of the stream, from `step` to its decisions: every rule is evaluated, none changes its mind."""
    site, now = engine(conditions), [0]
    site.step(0, [Reading("gas.concentration", 3.0, Reason.GOOD, 0)])
    readings = [[Reading("walkin_air.temperature", value, Reason.GOOD, 0)] for value in (3.0, 4.0)]

    def once() -> None:
        now[0] += 1
        site.step(now[0], readings[now[0] & 1])

    return best_ns(once, 500)


def unused() -> float:
    """Readings of points that no condition uses, from `step` to its decisions, per reading."""
    site, now = engine(0), [0]
    batches = [[Reading(f"spare{n}.value", 4.0 + odd, Reason.GOOD, 0) for n in range(UNUSED)] for odd in (0, 1)]

    def once() -> None:
        now[0] += 1
        site.step(now[0], batches[now[0] & 1])

    return best_ns(once, 50, UNUSED)


def trip() -> float:
    """A gas reading that trips and one that clears, in turn: from `step` to its decisions with their events."""
    site, now = engine(0), [0]
    batches = [[Reading("gas.concentration", value, Reason.GOOD, 0)] for value in (3.0, 31.2)]

    def once() -> None:
        now[0] += 1
        site.step(now[0], batches[now[0] & 1])

    return best_ns(once, 2000)


def main() -> None:
    simple = condition("gas.concentration > 20 %{LEL}", gas__concentration=3.0)
    joined = condition(
        "walkin_air.temperature > 8 Cel and walkin_door.open", walkin_air__temperature=9.0, walkin_door__open=True
    )
    whole = stream(CONDITIONS)
    each = (whole - stream(1)) / (CONDITIONS - 1)
    print(f"python {sys.version.split()[0]}")
    print(f"compiled condition, one comparison        {simple:8.0f} ns   (target 200)")
    print(f"compiled condition, two terms             {joined:8.0f} ns   (target 200)")
    print(f"{CONDITIONS} rules on one stream, one step        {whole / 1000:8.1f} us")
    print(f"  per condition, all of the engine        {each:8.0f} ns")
    print(f"  conditions per second                   {CONDITIONS / whole * 1e9:8,.0f}   (target 2,000,000)")
    print(f"reading that no condition uses            {unused():8.0f} ns   (target 5,000)")
    print(f"step in which an interlock trips or clears   {trip() / 1000:8.1f} us")


if __name__ == "__main__":
    main()
