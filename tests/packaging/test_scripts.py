"""The set-up behind ./run and ./test, on machines played by a directory of small programs."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = ("run", "test", ".ci/run", ".ci/check", "libexec/environment.sh")
TOOLS = ("sh", "env", "cat", "cksum", "tr", "rm", "ln", "mkdir", "chmod", "basename", "dirname", "cp")
PYTHON = """#!/bin/sh
# A Python that can do what the set-up asks of it, and notes it.
case "$*" in
*ensurepip*) exit 0 ;;
*sys.version*) echo "$(cat "$0.version" 2>/dev/null || echo 3.11.2)" ;;
"-m venv "*)
    echo "venv $3" >>LOG
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    [ ! -e "$0.version" ] || cp "$0.version" "$3/bin/python.version" ;;
"-m pip "*) echo "pip $*" >>LOG ;;
esac
exit 0
"""


class Machine:
    """A machine with only the given programs on its path, and what they were asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "path"
        self.path.mkdir()
        self.log = home / "log"
        self.log.touch()
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
        for name in ("setup.cfg", "pyproject.toml"):
            shutil.copy(REPOSITORY / name, home)

    def has(self, name: str, script: str) -> None:
        """Put a program on the path; LOG in its text becomes the log's path."""
        program = self.path / name
        program.write_text(script.replace("LOG", str(self.log)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def user(self, uid: int, *, sudo: bool) -> None:
        """Who runs the script, and whether there is a sudo."""
        self.has("id", f"#!/bin/sh\necho {uid}\n")
        if sudo:
            self.has("sudo", '#!/bin/sh\necho "sudo $*" >>LOG\nexec "$@"\n')

    def does(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Run shell commands after sourcing the set-up."""
        script = f". {REPOSITORY}/libexec/environment.sh\n{commands}"
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", script, "run"],
            cwd=self.home,
            env={"PATH": str(self.path), "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )


APT = """#!/bin/sh
# Installs a Python that works.
echo "apt-get $*" >>LOG
case "$*" in
*install*)
    echo "#!/bin/sh" >PATH/python3
    chmod +x PATH/python3 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fresh machine: a shell and the core utilities, no Python."""
    return Machine(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_is_plain_shell(script: str) -> None:
    """The scripts are POSIX shell that parses, and those that are called are executable."""
    subprocess.run(["/bin/sh", "-n", REPOSITORY / script], check=True, timeout=10)
    assert script.endswith(".sh") or os.access(REPOSITORY / script, os.X_OK)


def test_installs_python_through_sudo_after_saying_so(machine: Machine) -> None:
    """Without Python, the packages are named, then installed with sudo; then that Python is taken."""
    machine.user(1000, sudo=True)
    machine.has("apt-get", APT.replace("PATH", str(machine.path)))
    done = machine.does("find_python")
    assert (done.returncode, done.stdout) == (0, "python3\n")
    assert done.stderr.index("Installing python3 python3-venv") < done.stderr.index("sudo may ask for your password")
    assert "sudo env DEBIAN_FRONTEND=noninteractive apt-get" in machine.log.read_text()
    assert machine.log.read_text().splitlines()[-1].endswith("install -y --no-install-recommends python3 python3-venv")


def test_root_needs_no_sudo(machine: Machine) -> None:
    """Root installs directly."""
    machine.user(0, sudo=True)
    machine.has("apt-get", APT.replace("PATH", str(machine.path)))
    assert machine.does("find_python").stdout == "python3\n"
    assert "sudo" not in machine.log.read_text()


def test_without_sudo_the_command_is_told(machine: Machine) -> None:
    """Neither root nor sudo: nothing is done, and the exact command to run is in the message."""
    machine.user(1000, sudo=False)
    machine.has("apt-get", APT)
    done = machine.does("install_packages why mosquitto")
    assert done.returncode == 1
    assert "apt-get update && apt-get install -y --no-install-recommends mosquitto" in done.stderr
    assert machine.log.read_text() == ""


def test_without_apt_the_packages_are_told(machine: Machine) -> None:
    """Another system: the message names what to install."""
    done = machine.does("install_packages why mosquitto")
    assert done.returncode == 1
    assert "install mosquitto by your system's own means" in done.stderr


def test_a_python_that_does_not_work_is_passed_over(machine: Machine) -> None:
    """A shim that runs nothing, or a Python too old or without venv, is not taken: the next one is."""
    machine.has("python3", "#!/bin/sh\nexit 127\n")
    machine.has("python3.12", PYTHON)
    assert machine.does("find_python").stdout == "python3.12\n"


def test_a_wanted_version_is_found_in_pyenv(machine: Machine) -> None:
    """A Python that pyenv keeps but does not activate is found; one that is nowhere is an error."""
    kept = machine.home / ".pyenv/versions/3.13.0/bin"
    kept.mkdir(parents=True)
    machine.has("python3.13", "#!/bin/sh\nexit 127\n")
    (kept / "python3.13").symlink_to(machine.path / "python3.12")
    machine.has("python3.12", PYTHON)
    assert machine.does("find_python_version 3.13").stdout == f"{kept}/python3.13\n"
    missing = machine.does("find_python_version 3.14")
    assert missing.returncode == 1
    assert "no working Python 3.14 found" in missing.stderr


def test_the_second_call_does_nothing(machine: Machine) -> None:
    """An environment whose description did not change is neither made nor installed again."""
    machine.has("python3", PYTHON)
    for _ in range(2):
        assert machine.does("environment .venv python3 dht").returncode == 0
    first = machine.log.read_text().splitlines()
    assert first[0] == "venv .venv"
    assert len(first) == 2
    assert first[1].endswith("--editable .[dht]")


def test_a_changed_description_is_installed(machine: Machine) -> None:
    """After an edit of setup.cfg the packages are installed into the same environment."""
    machine.has("python3", PYTHON)
    machine.does("environment .venv python3 dht")
    (machine.home / "setup.cfg").write_text("[metadata]\n")
    machine.does("environment .venv python3 dht")
    assert [line.split()[0] for line in machine.log.read_text().splitlines()] == ["venv", "pip", "pip"]


def test_another_python_gets_a_new_environment(machine: Machine) -> None:
    """When the system's Python became another version, the environment is made anew."""
    machine.has("python3", PYTHON)
    machine.does("environment .venv python3 dht")
    (machine.path / "python3.version").write_text("3.13.5\n")
    machine.does("environment .venv python3 dht")
    assert [line.split()[0] for line in machine.log.read_text().splitlines()] == ["venv", "pip", "venv", "pip"]


def test_a_failed_installation_is_tried_again(machine: Machine) -> None:
    """When pip fails the message says so, and the next call does not take the half-made environment for a good one."""
    machine.has("python3", PYTHON.replace('"-m pip "*) ', '"-m pip "*) [ -e ok ] || exit 1; '))
    failed = machine.does("environment .venv python3 dht")
    assert failed.returncode == 1
    assert "pip could not install the gateway" in failed.stderr
    (machine.home / "ok").touch()
    assert machine.does("environment .venv python3 dht").returncode == 0
    assert "pip" in machine.log.read_text()


@pytest.mark.parametrize(("extras", "installed"), [("dht", []), ("dht,test", ["gcc libc6-dev", "python3-dev"])])
def test_a_compiler_is_installed_for_the_tests_alone(machine: Machine, extras: str, installed: list[str]) -> None:
    """./test and .ci/check get a C compiler and Python's headers before pip needs them; ./run does without."""
    machine.user(0, sudo=False)
    machine.has("python3", PYTHON)
    machine.has("apt-get", '#!/bin/sh\necho "apt-get $*" >>LOG\n')
    assert machine.does(f"environment .venv python3 {extras}").returncode == 0
    log = machine.log.read_text().splitlines()
    packages = [line.partition("--no-install-recommends ")[2] for line in log if " install -y " in line]
    assert packages == installed
    assert log[-1].endswith(f"--editable .[{extras}]")
