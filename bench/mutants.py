"""How well the tests hold decoding and scaling: every small change of that code, and whether a test notices.

Runs mutmut on a copy of what is committed and prints the survivors: changed code that mypy and all tests accept.
Counted and not printed: changes of an error's words alone, and those that docs/mutation.md explains. 1 when others are
left.
`python -m bench.mutants [DRIVER or decoding MODULE …]`; the numbers of tables are in bench/mutated_numbers.py.
"""

import ast
import difflib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXPLAINED = ROOT / "docs" / "mutation.md"
CONFIG = """
[mutmut]
source_paths=
{sources}
pytest_add_cli_args_test_selection=
{tests}
pytest_add_cli_args=
    -p
    no:randomly
type_check_command=
    {python}
    -m
    mypy
    --output
    json
    --no-warn-unused-ignores
{sources}
also_copy=
    drivers
    gateway
    fake_hw
    rules
    config
    tests
    docs
"""
SURVIVED, NO_TEST = 0, (5, 33)
CONTEXT = 30  # characters shown on both sides of a change


@dataclass(frozen=True, slots=True)
class Change:
    """One mutant that lives: the function as a person names it, and its lines before and after."""

    function: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"`{self.function}`: `{self.before}` → `{self.after}`"


def main(names: list[str]) -> int:
    """Print a line per module and every unexplained survivor; 1 when there is one."""
    with tempfile.TemporaryDirectory(prefix="kg-mutants-") as folder:
        copy = Path(folder, "copy")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
        modules = list(sources(copy, names))
        for path in modules:
            _open_properties(copy / path)
        _configure(copy, modules)
        with Path(folder, "log").open("w") as log:
            command = [sys.executable, "-m", "mutmut", "run"]
            done = subprocess.run(command, cwd=copy, stdout=log, stderr=log, check=False)
        if done.returncode or not list(copy.glob("mutants/drivers/**/*.meta")):
            cure = "if it is missing:  pip install -e .[mutants]"
            print(Path(folder, "log").read_text()[-2000:], f"mutmut ended with {done.returncode}; {cure}")
            return 1
        return _report(copy, modules)


def sources(copy: Path, names: list[str]) -> Iterator[Path]:
    """The modules to change: drivers and what they share, or those that were named (ads1115 names two)."""
    for path in sorted((*copy.glob("drivers/*.py"), *copy.glob("drivers/decoding/*.py"))):
        if path.stem not in {"__init__", "registry", "pages"} and (not names or path.stem in names):
            yield path.relative_to(copy)


def tests_of(copy: Path, module: Path) -> set[str]:
    """The test files that hold a module: its own, and for what is shared those of the drivers that import it."""
    stems = {module.stem}
    if module.parent.name == "decoding":
        importing = re.compile(rf"from drivers\.decoding(\.{module.stem} import|.* import {module.stem}\b)")
        stems |= {path.stem for path in copy.glob("drivers/*.py") if importing.search(path.read_text())}
    found = set()
    for path in (*copy.glob("tests/drivers/test_*.py"), *copy.glob("tests/drivers/decoding/test_*.py")):
        imported = re.findall(r"(?:from|import) drivers(?:\.decoding)?[. ](?:import )?(\w+)", path.read_text())
        if "contract" not in path.stem and (path.stem.removeprefix("test_") in stems or module.stem in imported):
            found.add(str(path.relative_to(copy)))
    return found


def _open_properties(path: Path) -> None:
    """mutmut leaves what is decorated alone: a property's body moves to a plain method, which the property calls."""
    lines = path.read_text().splitlines()
    for node in reversed([each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.FunctionDef)]):
        if [ast.unparse(each) for each in node.decorator_list] == ["property"] and node.end_lineno and node.returns:
            head = f"    def {node.name}(self) -> {ast.unparse(node.returns)}:"
            lines[node.end_lineno : node.end_lineno] = [
                "",
                "    @property",
                head,
                f"        return self.{node.name}_()",
            ]
            lines[node.lineno - 1] = lines[node.lineno - 1].replace(f" {node.name}(", f" {node.name}_(")
            del lines[node.decorator_list[0].lineno - 1]
    path.write_text("\n".join(lines) + "\n")


def _configure(copy: Path, modules: list[Path]) -> None:
    tests = sorted(set().union(*(tests_of(copy, module) for module in modules)))
    text = CONFIG.format(
        python=sys.executable,
        sources="\n".join(f"    {path}" for path in modules),
        tests="\n".join(f"    {path}" for path in tests),
    )
    with (copy / "setup.cfg").open("a") as file:
        file.write(text)


def _report(copy: Path, modules: list[Path]) -> int:
    """The count of each outcome per module, and the survivors with their change."""
    explained = set(re.findall(r"^- (`[^`]+`: `[^`]+` → `[^`]+`)", EXPLAINED.read_text(), re.MULTILINE))
    left = 0
    for module in modules:
        meta = copy / "mutants" / f"{module}.meta"
        codes = {key: code for key, code in json.loads(meta.read_text())["exit_code_by_key"].items()}
        changes = list(_survivors(copy / "mutants" / module, module.stem, codes))
        wording = sum(change is None for change in changes)
        alive = [change for change in changes if change is not None]
        new = [change for change in alive if str(change) not in explained]
        killed = len(codes) - len(changes)
        print(f"| {'.'.join(module.with_suffix('').parts[1:])} | {len(codes)} | {killed} | {wording} | {len(alive)} |")
        for change in new:
            print(f"- {change}:")
        left += len(new)
    print(f"{left} survivors that {EXPLAINED.name} does not explain")
    return 1 if left else 0


def _survivors(mutated: Path, module: str, codes: Mapping[str, int | None]) -> Iterator[Change | None]:
    """What each living mutant changes; None for one that changes an error's words only."""
    tree = ast.parse(mutated.read_text())
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for key, code in codes.items():
        if code is None or code == SURVIVED or code in NO_TEST:
            name = key.rpartition(".")[2]
            plain = name.partition("__mutmut_")[0]
            pair = _lines(functions[f"{plain}__mutmut_orig"]), _lines(functions[name])
            yield _change(f"{module}.{plain.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}", *pair)


def _lines(function: ast.FunctionDef) -> list[str]:
    """Its statements in one spelling, without what can't change a value: an error's words and defaults spelt out."""
    function.name = ""
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args[:1] = [ast.Constant("…") if _is_text(each) else each for each in node.exc.args[:1]]
        if isinstance(node, ast.Call):
            node.keywords = [each for each in node.keywords if each.arg != "strict"]  # of zip: it only asserts
            if ast.unparse(node.func).endswith((".from_bytes", ".to_bytes")) and len(node.args) == 2:
                node.args[1:] = [each for each in node.args[1:] if ast.unparse(each) != "'big'"]
    return ast.unparse(function).splitlines()


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant | ast.JoinedStr)


def _change(function: str, before: list[str], after: list[str]) -> Change | None:
    if before == after:
        return None
    lines = [line for line in difflib.ndiff(before, after) if line[0] in "-+"]
    gone, come = (" ".join(line[2:].strip() for line in lines if line[0] == sign) for sign in "-+")
    start = max(0, _common(gone, come) - CONTEXT)
    end = max(0, _common(gone[start:][::-1], come[start:][::-1]) - CONTEXT)
    return Change(function, *(each[start : len(each) - end] or "nothing" for each in (gone, come)))


def _common(one: str, other: str) -> int:
    """How many characters they begin with are the same."""
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1), len(one))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
