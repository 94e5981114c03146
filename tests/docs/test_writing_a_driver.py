"""docs/writing-a-driver.md is run as it stands: the package is built, found, checked and tested."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/writing-a-driver.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files in a folder, and the package installed beside them."""
    folder = tmp_path_factory.mktemp("lm75")
    for name, text in re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        (folder / name).write_text(text, encoding="utf-8")
    install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*install, "--no-build-isolation", "--target", folder / "installed", folder], check=True)
    return folder


def run(package: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A program of ours where the package is installed."""
    path = os.pathsep.join((str(package / "installed"), str(ROOT)))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *words], env=environment, cwd=package, capture_output=True, text=True, check=False
    )


def test_the_command_knows_it_with_its_page_and_sample(package: Path) -> None:
    """A driver of others is listed, described and sampled like ours."""
    listed = run(package, "-m", "gateway", "drivers", "--json")
    assert "lm75" in {row["driver"] for row in json.loads(listed.stdout)}, listed.stderr
    assert "# lm75: NXP LM75B board temperature" in run(package, "-m", "gateway", "drivers", "lm75").stdout
    assert "driver: lm75" in run(package, "-m", "gateway", "drivers", "--sample", "lm75").stdout


def test_a_site_with_it_is_checked_by_its_options(package: Path) -> None:
    """Its options are checked like a built-in driver's: the page's entry is right, a wrong address is named."""
    entry = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
    site = package / "site.yaml"
    site.write_text(f"version: 1\nsite: {{id: demo}}\n{entry}", encoding="utf-8")
    good = run(package, "-m", "gateway", "check", "site.yaml")
    assert good.returncode == 0, good.stdout + good.stderr
    site.write_text(site.read_text().replace("0x49", "0x77"), encoding="utf-8")
    bad = run(package, "-m", "gateway", "check", "site.yaml")
    assert bad.returncode == 1
    assert "0x77" in bad.stdout + bad.stderr or "119" in bad.stdout + bad.stderr


def test_the_pages_own_test_passes(package: Path) -> None:
    """What the page calls a test is one, and it passes on the simulated wire."""
    done = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_lm75.py")
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
