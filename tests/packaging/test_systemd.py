"""The service units: right for systemd, and right for what the gateway promises."""

import importlib.util
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from gateway.settings.model import Access

UNITS = Path(__file__).resolve().parents[2] / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
LONG_LIVED = [unit for unit in SERVICES if "config" not in unit.name]
PROGRAMS = ("opt/kitchen-gateway/current/bin/python", "usr/libexec/kitchen-gateway/safe-state", "bin/kill")


def settings(unit: Path) -> dict[str, list[str]]:
    """Every key of a unit with its values in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found[key].append(value)
    return found


def names(unit: Path) -> str:
    return unit.name


def installed(root: Path) -> Path:
    """A root directory with our units, systemd's own targets, and something executable where our programs will be."""
    ours = root / "etc/systemd/system"
    ours.mkdir(parents=True)
    for unit in [*SERVICES, *UNITS.glob("*.target")]:
        shutil.copy(unit, ours)
    theirs = root / "usr/lib/systemd/system"
    theirs.mkdir(parents=True)
    for pattern in ("*.target", "*.slice"):
        for unit in Path("/usr/lib/systemd/system").glob(pattern):
            if not unit.is_symlink():
                shutil.copy(unit, theirs)
    for program in PROGRAMS:
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        (root / program).write_text("#!/bin/sh\n")
        (root / program).chmod(0o755)
    return root


def verify(root: Path) -> str:
    """What systemd has to say against our units; it exits with 0 also for keys that it ignores, so the text counts."""
    ours = [unit.name for unit in [*SERVICES, *UNITS.glob("*.target")]]
    done = subprocess.run(
        ["systemd-analyze", f"--root={root}", "verify", *ours], capture_output=True, text=True, timeout=30, check=False
    )
    return "\n".join(line for line in (done.stdout + done.stderr).splitlines() if "kitchen-gateway" in line)


def test_systemd_has_nothing_against_our_units(tmp_path: Path) -> None:
    """Every unit is understood wholly by the systemd of this machine."""
    assert verify(installed(tmp_path)) == ""


def test_a_misspelt_key_would_be_found(tmp_path: Path) -> None:
    """The check above bites: an unknown key is told."""
    unit = installed(tmp_path) / "etc/systemd/system/kitchen-gateway-control.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert "WatchdogSecs" in verify(tmp_path)


@pytest.mark.parametrize("unit", SERVICES, ids=names)
def test_exposure_is_small(unit: Path) -> None:
    """systemd's own exposure score is at most 1.0 for what holds the pins and 2.0 for what has a network."""
    limit = 10 if re.search("control|config", unit.name) else 20
    subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={limit}", str(unit)],
        check=True,
        capture_output=True,
        timeout=30,
    )


@pytest.mark.parametrize("unit", LONG_LIVED, ids=names)
def test_processes_are_watched_and_never_given_up(unit: Path) -> None:
    """Each long-lived process tells when it is ready, is watched, and is started again for ever."""
    found = settings(unit)
    assert found["Type"] == ["notify"]
    assert found["Restart"] == ["always"]
    assert found["StartLimitIntervalSec"] == ["0"]
    assert int(found["WatchdogSec"][0]) <= 10


@pytest.mark.parametrize("unit", LONG_LIVED, ids=names)
def test_the_boot_can_be_named(unit: Path) -> None:
    """No process is kept from /proc/sys/kernel/random/boot_id, which `ProcSubset=pid` hides."""
    assert settings(unit)["ProcSubset"] == ["all"]


def test_a_hang_of_control_is_bounded_and_ends_safe() -> None:
    """Control's watchdog is at most 3 s, and the safe-state program runs after every end, from outside the release."""
    found = settings(UNITS / "kitchen-gateway-control.service")
    assert int(found["WatchdogSec"][0]) <= 3
    program, list_file = found["ExecStopPost"][0].split()
    assert program == "/usr/libexec/kitchen-gateway/safe-state"
    assert list_file == "/var/lib/kitchen-gateway/state/control/safe-state.list"
    assert not any("/opt/" in command for command in found["ExecStopPost"])


def test_reload_is_the_one_that_compiles() -> None:
    """A reload is `gateway reload FILE`, which compiles first: an invalid file never reaches control."""
    (command,) = settings(UNITS / "kitchen-gateway-control.service")["ExecReload"]
    (site,) = settings(UNITS / "kitchen-gateway-config.service")["ExecStart"]
    file = site.split()[site.split().index("check") + 1]
    assert command.split()[4:6] == ["reload", file]


def test_rights_shrink_with_the_distance_from_the_pins() -> None:
    """Control has device nodes and no network, the recorder a network and no device node; each has its own user."""
    control = settings(UNITS / "kitchen-gateway-control.service")
    recorder = settings(UNITS / "kitchen-gateway-recorder.service")
    assert control["PrivateNetwork"] == ["yes"]
    assert control["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert "char-gpiochip rw" in control["DeviceAllow"]
    assert recorder["PrivateDevices"] == ["yes"]
    assert recorder["DeviceAllow"] == []
    assert len({settings(unit)["User"][0] for unit in LONG_LIVED}) == len(LONG_LIVED)


def test_control_may_write_pwm_and_nothing_else_of_the_kernels() -> None:
    """Tunables are read-only for every process; control, with its safe-state program, may write PWM controllers."""
    for unit in SERVICES:
        found = settings(unit)
        assert found["ProtectKernelTunables"] == ["yes"]
        kernels = [path for path in " ".join(found["ReadWritePaths"]).split() if "/sys" in path or "/proc" in path]
        pwm = [f"-/sys/class/pwm/pwmchip{number}" for number in range(4)]
        assert kernels == (pwm if unit.name == "kitchen-gateway-control.service" else [])
    (rule,) = re.findall(r'^SUBSYSTEM=="pwm".*$', (UNITS / "60-kitchen-gateway.rules").read_text(), re.MULTILINE)
    assert "chgrp -R gpio /sys%p" in rule


def test_users_and_groups_are_declared() -> None:
    """Every user and group of a unit, of the directories and of the local protocol's defaults is made by sysusers."""
    declared = set(re.findall(r"^[ug] (\S+)", (UNITS / "kitchen-gateway.sysusers").read_text(), re.MULTILINE))
    declared |= {"root", "dialout"}  # every Debian has them
    wanted = set(re.findall(r"^d \S+ \d+ (\S+) (\S+)", (UNITS / "kitchen-gateway.tmpfiles").read_text(), re.MULTILINE))
    needed = {name for pair in wanted for name in pair}
    for unit in SERVICES:
        found = settings(unit)
        needed |= {*found["User"], *found["Group"], *" ".join(found["SupplementaryGroups"]).split()}
    access = Access()
    needed |= {access.operator_group, access.installer_group, access.recorder_user, access.field_user}
    assert needed <= declared


def test_sysusers_and_tmpfiles_are_understood(tmp_path: Path) -> None:
    """systemd reads our users and directories without a complaint (it touches nothing here)."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\ndialout:x:20:\n")
    users = ["systemd-sysusers", "--dry-run", f"--root={tmp_path}", str(UNITS / "kitchen-gateway.sysusers")]
    done = subprocess.run(users, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "Creating user 'kitchen-control'" in done.stderr) == (0, True), done.stderr
    directories = ["systemd-tmpfiles", "--create", "--prefix=/nothing", str(UNITS / "kitchen-gateway.tmpfiles")]
    done = subprocess.run(directories, capture_output=True, text=True, timeout=30, check=False)
    assert "nvalid" not in done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=names)
def test_commands_exist(unit: Path) -> None:
    """Each `gateway` command that a unit starts is a command of this release."""
    found = settings(unit)
    commands = re.findall(r"-m gateway (\S+)", "\n".join(found["ExecStart"] + found["ExecReload"]))
    assert commands
    for command in commands:
        assert importlib.util.find_spec(f"gateway.cli.{command}"), command
