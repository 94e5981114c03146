"""How well the tests hold decoding and scaling: every small change of that code, and whether a test notices.

Runs mutmut on a copy of what is committed and prints the survivors: changed decoders that all tests accept. Changes of
an error message's words alone are counted, not printed.  `python -m bench.mutants [DRIVER or decoding MODULE …]`
"""

import io
import json
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PURE = ("decode", "scale", "check", "linear", "resist", "crc", "words", "_word", "parse", "frame", "config")
"""What a pure function's name has in it; reading and writing is held by the tests on the wire."""
CONFIG = """
[mutmut]
source_paths=
{sources}
pytest_add_cli_args_test_selection=
{tests}
pytest_add_cli_args=
    -p
    no:randomly
also_copy=
    drivers
    gateway
    fake_hw
    rules
    config
    tests
    docs
"""


def main(names: list[str]) -> int:
    """Print a line per module and every survivor; 1 when there is one."""
    with tempfile.TemporaryDirectory(prefix="kg-mutants-") as folder:
        copy = Path(folder, "copy")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
        sources = list(_sources(copy, names))
        _configure(copy, sources)
        with Path(folder, "log").open("w") as log:
            command = [sys.executable, "-m", "mutmut", "run", *_wanted(sources)]
            done = subprocess.run(command, cwd=copy, stdout=log, stderr=log, check=False)
        if not list(copy.glob("mutants/drivers/**/*.meta")):
            print(Path(folder, "log").read_text()[-2000:], f"mutmut ended with {done.returncode}: is it installed?")
            return 1
        return _report(copy)


def _sources(copy: Path, names: list[str]) -> Iterator[Path]:
    """The modules to change: drivers and what they share, or those that were named."""
    for path in sorted((*copy.glob("drivers/*.py"), *copy.glob("drivers/decoding/*.py"))):
        if path.stem not in {"__init__", "registry", "pages"} and (not names or path.stem in names):
            yield path.relative_to(copy)


def _configure(copy: Path, sources: list[Path]) -> None:
    """Tests of these modules only: by name for a driver, all decoding tests for what is shared."""
    tests = [Path("tests/drivers") / f"test_{path.stem}.py" for path in sources if path.parent.name == "drivers"]
    if any(path.parent.name == "decoding" for path in sources):
        tests += [path.relative_to(copy) for path in sorted(copy.glob("tests/drivers/test_*.py"))]
        tests += [path.relative_to(copy) for path in sorted(copy.glob("tests/drivers/decoding/test_*.py"))]
    there = sorted({str(path) for path in tests if (copy / path).exists() and "contract" not in path.name})
    text = CONFIG.format(
        sources="\n".join(f"    {path}" for path in sources), tests="\n".join(f"    {path}" for path in there)
    )
    with (copy / "setup.cfg").open("a") as file:
        file.write(text)


def _wanted(sources: list[Path]) -> list[str]:
    """Name patterns of the pure functions' mutants; everything in drivers/decoding is pure."""
    patterns = []
    for path in sources:
        module = ".".join(path.with_suffix("").parts)
        patterns += [f"{module}.*"] if path.parent.name == "decoding" else [f"{module}.x_*{word}*" for word in PURE]
    return patterns


def _report(copy: Path) -> int:
    """Survivors with their change, and the count of each outcome per module."""
    survivors = 0
    for meta in sorted(copy.glob("mutants/drivers/**/*.meta")):
        codes = {
            name: code for name, code in json.loads(meta.read_text())["exit_code_by_key"].items() if code is not None
        }
        alive = [name for name, code in codes.items() if code in (0, 33)]
        changes = {name: _change(copy, name) for name in alive}
        real = {name: change for name, change in changes.items() if not _is_wording(*change)}
        counts = (len(codes), len(codes) - len(alive), len(alive) - len(real), len(real))
        print("{:<28} {:>5} mutants {:>5} killed {:>4} wording {:>4} alive".format(meta.stem, *counts))
        for name, (before, after) in real.items():
            print(f"    {name.rpartition('.')[2]}\n      - {before}\n      + {after}")
        survivors += len(real)
    print(f"{survivors} survivors")
    return 1 if survivors else 0


def _change(copy: Path, name: str) -> tuple[str, str]:
    """The lines before and after."""
    shown = subprocess.run(
        [sys.executable, "-m", "mutmut", "show", name], cwd=copy, capture_output=True, text=True, check=True
    )
    lines = shown.stdout.splitlines()
    before = " ".join(line[1:].strip() for line in lines if re.match(r"-(?!--)", line))
    after = " ".join(line[1:].strip() for line in lines if re.match(r"\+(?!\+\+)", line))
    return before, after


def _is_wording(before: str, after: str) -> bool:
    """Whether only texts differ: string literals, or an error's message that became None."""
    if re.search(r"raise \w+|Error\(|Failure\(|InvalidData\(|DeviceError\(", before):
        return _without_texts(before) == _without_texts(after) or "None" in after
    return _without_texts(before) == _without_texts(after)


def _without_texts(line: str) -> list[str]:
    """The line's tokens but for its texts."""
    tokens = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(line).readline):
            if token.type != tokenize.STRING and not token.string.startswith(('f"', '"')):
                tokens.append(token.string)
    except (tokenize.TokenError, IndentationError):
        pass  # a fragment of a statement ends where it ends
    return tokens


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
