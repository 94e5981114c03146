"""Faulty site files in `cases/`, each with the exact messages it must give beside it in NAME.expected."""

from pathlib import Path

import pytest

from gateway.core.errors import ConfigurationError
from gateway.settings.compiler import compile_files

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_is_named_with_place_and_cure(name: str) -> None:
    """A faulty file is refused with all of its faults, each with file, line, what is wrong and what to do."""
    with pytest.raises(ConfigurationError) as refused:
        compile_files(CASES / f"{name}.yaml")
    found = [problem.replace(f"{CASES}/", "") for problem in refused.value.problems]
    assert found == (CASES / f"{name}.expected").read_text(encoding="utf-8").splitlines()


def test_there_are_many_cases_and_none_is_alone() -> None:
    """At least thirty kinds of fault are pinned, and no file of the folder lacks its counterpart."""
    assert len(NAMES) >= 30
    assert sorted(path.stem for path in CASES.glob("*.expected")) == NAMES
