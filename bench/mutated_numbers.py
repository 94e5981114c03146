"""How well the tests hold the datasheets' numbers: every number of a module's tables, a little wrong, and who notices.

mutmut changes what functions do; this changes what stands above them: scales, coefficients, limits, bits, commands.
An integer becomes the next one, a fraction 1 % larger. Works on a copy of what is committed; 1 when a change lives that
docs/mutation.md does not explain. `python -m bench.mutated_numbers [DRIVER or decoding MODULE …]`
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.mutants import EXPLAINED, ROOT, sources, tests_of

SHARE = 1.01


@dataclass(frozen=True, slots=True)
class Wrong:
    """One number of one module, made wrong. source: the whole changed module."""

    told: str
    source: str


def main(names: list[str]) -> int:
    """Print a line per module and every unexplained survivor; 1 when there is one."""
    explained = set(re.findall(r"^- (`[^`]+`: `[^`]+` → `[^`]+`)", EXPLAINED.read_text(), re.MULTILINE))
    left = 0
    with tempfile.TemporaryDirectory(prefix="kg-numbers-") as folder:
        copy = Path(folder, "copy")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
        for module in sources(copy, names):
            wrongs = list(_wrong_numbers((copy / module).read_text(), module.stem))
            alive = [wrong.told for wrong in wrongs if _lives(copy, module, wrong)]
            counts = len(wrongs), len(wrongs) - len(alive), len(alive)
            print("| {} | {} | {} | {} |".format(".".join(module.with_suffix("").parts[1:]), *counts), flush=True)
            new = [told for told in alive if told not in explained]
            print("".join(f"- {told}:\n" for told in new), end="", flush=True)
            left += len(new)
    print(f"{left} survivors that {EXPLAINED.name} does not explain")
    return 1 if left else 0


def _wrong_numbers(source: str, module: str) -> Iterator[Wrong]:
    """The module once for each of its numbers outside functions, classes and SPEC."""
    lines = source.splitlines(keepends=True)
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        name = ast.unparse(statement.targets[0] if isinstance(statement, ast.Assign) else statement.target)
        for place, node in enumerate(ast.walk(statement.value)):
            if name == "SPEC" or not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
                continue
            assert isinstance(node.value, int | float)
            line = lines[node.lineno - 1].encode()
            head, before, tail = _cut(line, node.col_offset, node.end_col_offset)
            after = _nudged(node.value)
            wrong = [*lines[: node.lineno - 1], head + after + tail, *lines[node.lineno :]]
            yield Wrong(f"`{module}.{name}[{place}]`: `{before}` → `{after}`", "".join(wrong))


def _cut(line: bytes, start: int, end: int | None) -> tuple[str, str, str]:
    """A line in three; ast counts bytes."""
    return line[:start].decode(), line[start:end].decode(), line[end:].decode()


def _nudged(number: float) -> str:
    return repr(number + 1 if isinstance(number, int) or not number else number * SHARE)


def _lives(copy: Path, module: Path, wrong: Wrong) -> bool:
    """Whether all tests of the module accept it."""
    right = (copy / module).read_text()
    (copy / module).write_text(wrong.source)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *sorted(tests_of(copy, module))]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False)
    finally:
        (copy / module).write_text(right)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
