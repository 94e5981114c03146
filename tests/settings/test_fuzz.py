"""Whatever a file holds, the answer is a configuration or a ConfigurationError, soon."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import ConfigurationError
from gateway.settings import snapshot
from gateway.settings.compiler import compile_files
from tests.settings.parts import KITCHEN

TEXT = KITCHEN.read_text(encoding="utf-8")
LINES = TEXT.splitlines()
WORDS = sorted(set(TEXT.replace("{", " ").replace("}", " ").replace(",", " ").split()))
SNIPPETS = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    ",",
    "\n",
    "\n  ",
    "- ",
    "&a ",
    "*a",
    "!!str ",
    "'",
    '"',
    "|",
    ">",
    "%",
    "#",
    "\t",
    "<<: ",
]
FUZZ = settings(
    max_examples=150,
    deadline=2000,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def path() -> Path:
    return Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp")) / "site.yaml"


def compiles(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    problems: list[str] = []
    try:
        configuration = compile_files(path)
        assert snapshot.load(snapshot.dump(configuration)) == configuration
    except ConfigurationError as error:
        problems = error.problems or [""]
    assert all(problem and "\n" not in problem for problem in problems)


@FUZZ
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(path: Path, data: bytes) -> None:
    """Bytes never raise anything but a ConfigurationError."""
    compiles(path, data)


@FUZZ
@given(text=st.text(max_size=200))
def test_arbitrary_text(path: Path, text: str) -> None:
    """Text never raises anything but a ConfigurationError."""
    compiles(path, ("version: 1\nsite: {id: a}\n" + text).encode("utf-8", "surrogatepass"))


@FUZZ
@given(parts=st.lists(st.sampled_from(WORDS + SNIPPETS), max_size=60))
def test_the_kitchens_words_in_any_order(path: Path, parts: list[str]) -> None:
    """The kitchen's own words shuffled with YAML's signs never raise anything else either."""
    compiles(path, "".join(parts).encode())


@FUZZ
@given(
    place=st.integers(0, len(LINES) - 1),
    cut=st.integers(0, 200),
    new=st.one_of(st.sampled_from(WORDS + SNIPPETS), st.text(max_size=5)),
)
def test_a_damaged_line_of_the_kitchen(path: Path, place: int, cut: int, new: str) -> None:
    """One damaged line in a whole site is refused in words, or still good, and then its snapshot comes back equal."""
    line = LINES[place]
    at = cut % (len(line) + 1)
    damaged = [*LINES[:place], line[:at] + new + line[at + len(new) :], *LINES[place + 1 :]]
    compiles(path, "\n".join(damaged).encode("utf-8", "surrogatepass"))
