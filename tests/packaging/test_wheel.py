"""What is shipped: a wheel with exactly our four packages, that runs where nothing else is installed."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("drivers", "fake_hw", "gateway", "rules")
METADATA = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from a copy, so that no build directory appears in the tree."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("systemd", "tests", "bench", "config"):  # folders that must not become packages
        (source / folder).mkdir()
        (source / folder / "trap.py").touch()
    for name in METADATA:
        shutil.copy(REPOSITORY / name, source)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
            "-w",
            "out",
            ".",
        ],
        cwd=source,
        check=True,
        timeout=50,
    )
    (built,) = (source / "out").glob("*.whl")
    return built


def test_four_packages_and_nothing_else(wheel: Path) -> None:
    """The wheel's top-level names are the four packages of the tree and its own metadata."""
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)
    assert len(top) == len(PACKAGES) + 1


def test_every_module_is_shipped(wheel: Path) -> None:
    """Each Python file of the four packages is in the wheel: no folder lost its __init__.py."""
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {str(file.relative_to(REPOSITORY)) for package in PACKAGES for file in (REPOSITORY / package).rglob("*.py")}
    assert files <= names


def test_types_and_licence_are_shipped(wheel: Path) -> None:
    """Type checkers may use our annotations (PEP 561), and the licence travels with the code."""
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)
    (metadata,) = (name for name in names if name.endswith("/METADATA"))
    assert "License-Expression: Apache-2.0" in archive.read(metadata).decode()


def test_runs_where_nothing_is_installed(wheel: Path, tmp_path: Path) -> None:
    """`python -I -m gateway --version` answers from the bare wheel: no third-party import at the start."""
    venv.create(tmp_path, with_pip=False, symlinks=True)
    (packages,) = tmp_path.glob("lib/python3*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    done = subprocess.run(
        [tmp_path / "bin/python", "-I", "-m", "gateway", "--version"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert wheel.name.split("-")[1] in done.stdout
