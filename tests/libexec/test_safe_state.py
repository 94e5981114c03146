"""The safe-state program: everything safe and proven, whatever state its list and the machine are in."""

import ast
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.buses.digital import GpioChip
from fake_hw import client
from fake_hw.inject import install
from fake_hw.simulator import Simulator
from gateway.control.safe_list import safe_list
from gateway.settings.compiler import compile_files

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "libexec" / "safe-state"
Run = Callable[[bytes], subprocess.CompletedProcess[str]]


def sealed(*lines: str) -> bytes:
    data = "".join(f"{line}\n" for line in lines).encode()
    return data + b"crc32 %08x\n" % zlib.crc32(data)


VALVE, LIGHT, SIREN = "gpio /dev/gpiochip0 17 0", "gpio /dev/gpiochip0 10 1", "gpio /dev/gpiochip0 18 0"


@pytest.fixture
def root() -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix="kg-", dir="/tmp")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def kitchen(root: str) -> Iterator[Simulator]:
    """A kitchen whose outputs were left energised by somebody who died."""
    simulator = Simulator(root)
    simulator.start()
    undo = install(root)
    chip = GpioChip("/dev/gpiochip0", root)
    for line, active_low in ((17, False), (10, True), (18, False)):
        chip.output(line, active_low=active_low, initial=True)
    chip.close()
    yield simulator
    undo()
    simulator.stop()


@pytest.fixture
def run(kitchen: Simulator) -> Run:
    """Runs the program in a process of its own on the simulated machine."""

    def start(data: bytes) -> subprocess.CompletedProcess[str]:
        path = Path(kitchen.root, "list")
        path.write_bytes(data)
        command = [
            sys.executable,
            "-m",
            "fake_hw.inject",
            kitchen.root,
            str(PROGRAM),
            str(path),
            "--root",
            kitchen.root,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=20)

    return start


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The program as a module, for what it decides without a machine."""
    loader = SourceFileLoader("safe_state", str(PROGRAM))
    spec = importlib.util.spec_from_loader("safe_state", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_every_line_is_driven_and_proven(run: Run, kitchen: Simulator) -> None:
    """After a death that left outputs energised, all are safe, each is told, exit 0."""
    assert client.levels(kitchen.root)["GPIO17"] == 1
    done = run(sealed(VALVE, LIGHT, SIREN))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"GPIO{n} on /dev/gpiochip0: {level}" for n, level in ((17, 0), (10, 1), (18, 0))
    ]
    levels = client.levels(kitchen.root)
    assert (levels["GPIO17"], levels["GPIO10"], levels["GPIO18"]) == (0, 1, 0)


def test_on_standby_it_acts_when_its_standard_input_ends(root: str, kitchen: Simulator, tmp_path: Path) -> None:
    """Kept ready it touches nothing; when whoever watches control lets go, or dies, every line is safe."""
    (tmp_path / "list").write_bytes(sealed(VALVE, LIGHT, SIREN))
    waiting = subprocess.Popen(
        [sys.executable, "-m", "fake_hw.inject", root, PROGRAM, tmp_path / "list", "--root", root, "--standby"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert waiting.stdin is not None
    waiting.stdin.write(b"still well\n")
    waiting.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.2)
    assert client.levels(root)["GPIO17"] == 1
    waiting.communicate(timeout=10)
    assert waiting.returncode == 0
    levels = client.levels(root)
    assert (levels["GPIO17"], levels["GPIO10"], levels["GPIO18"]) == (0, 1, 0)


def test_the_list_control_writes_is_understood(run: Run) -> None:
    """The writer in control and this reader agree: the kitchen's eight outputs."""
    done = run(safe_list(compile_files(ROOT / "config" / "kitchen.yaml")))
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 8


def test_no_line_goes_through_an_unsafe_level(run: Run, kitchen: Simulator) -> None:
    """A line that is safe already is not disturbed: no change of level is logged."""
    run(sealed(LIGHT))
    before = len(client.read_log(kitchen.root))
    assert run(sealed(LIGHT)).returncode == 0
    assert {e["level"] for e in client.read_log(kitchen.root)[before:] if e["line"] == "GPIO10"} == {1}


def test_a_damaged_list_is_driven_as_far_as_it_can_be_read(run: Run, kitchen: Simulator) -> None:
    """A wrong checksum, a torn line and nonsense do not stop the readable lines; exit 1 says that it is not proven."""
    done = run(b"gpio /dev/gpio\xff\nhello\n" + sealed(SIREN, VALVE)[:-3])
    assert done.returncode == 1
    assert "damaged" in done.stdout
    assert "unreadable, not driven" in done.stdout
    assert "Traceback" not in done.stderr
    assert client.levels(kitchen.root)["GPIO17"] == client.levels(kitchen.root)["GPIO18"] == 0


def test_a_failing_line_does_not_stop_the_others(run: Run, kitchen: Simulator) -> None:
    """A chip or a line that does not exist costs itself only."""
    done = run(sealed("gpio /dev/gpiochip7 1 0", "gpio /dev/gpiochip0 999 0", VALVE))
    assert done.returncode == 1
    assert "GPIO1 on /dev/gpiochip7: NOT driven to 0: No such file" in done.stdout
    assert "GPIO999 on /dev/gpiochip0: NOT driven" in done.stdout
    assert "GPIO17 on /dev/gpiochip0: 0" in done.stdout


def test_a_held_line_is_waited_for_and_then_told(run: Run, kitchen: Simulator) -> None:
    """A line that somebody keeps for more than a second is reported; the others were safe at once."""
    holder = GpioChip("/dev/gpiochip0", kitchen.root)
    held = holder.output(17, active_low=False, initial=True)
    done = run(sealed(VALVE, SIREN))
    assert held.level() is True
    holder.close()
    assert done.returncode == 1
    assert "GPIO17 on /dev/gpiochip0: NOT driven to 0: another program holds it" in done.stdout
    assert "GPIO18 on /dev/gpiochip0: 0" in done.stdout


def test_a_line_that_is_freed_in_time_is_driven(
    kitchen: Simulator, program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dying process may hold a line a moment longer: it is tried again."""
    holder = GpioChip("/dev/gpiochip0", kitchen.root)
    held = holder.output(17, active_low=False, initial=True)
    pauses: list[float] = []

    class Time:
        monotonic = staticmethod(time.monotonic)

        @staticmethod
        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                held.close()

    monkeypatch.setattr(program, "time", Time)
    assert program.drive([("/dev/gpiochip0", 17, 0)], kitchen.root)
    holder.close()
    assert len(pauses) == 3


def test_a_line_that_reads_back_wrong_is_not_proven(
    kitchen: Simulator, program: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A short circuit shows in the read-back: that line is told, and the outcome is not good."""
    monkeypatch.setattr(program, "VALUES", Shorted())
    assert not program.drive([("/dev/gpiochip0", 17, 0)], kitchen.root)
    assert "GPIO17 on /dev/gpiochip0: driven to 0 but it reads 1: check for a short" in capfd.readouterr().out


class Shorted:
    """Decodes every read-back as a line at 1."""

    def pack(self, *_: int) -> bytes:
        return (1).to_bytes(8, sys.byteorder) * 2

    def unpack(self, _: bytes) -> tuple[int, int]:
        return 1, 1


def test_a_missing_list_and_wrong_use_are_told(tmp_path: Path) -> None:
    """No list, no arguments: one line that says so, exit 1, and no traceback."""
    for arguments in ([str(tmp_path / "none")], [], ["a", "b"], ["a", "--root"]):
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(PROGRAM), *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert len(done.stdout.splitlines()) == 1
        assert done.stderr == ""


def test_nobody_may_read_what_it_says(tmp_path: Path) -> None:
    """A closed pipe at its output changes nothing."""
    reading, writing = os.pipe()
    os.close(reading)
    (tmp_path / "list").write_bytes(sealed())
    command = [sys.executable, "-I", "-S", str(PROGRAM), str(tmp_path / "list")]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_whoever_reads_what_it_says_may_have_stopped(root: str, kitchen: Simulator, tmp_path: Path) -> None:
    """A pipe that is full holds nothing up: every line is driven, also those of a damaged list."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    (tmp_path / "list").write_bytes(f"{VALVE}\n?\n{LIGHT}\n{SIREN}\n".encode())
    command = [sys.executable, "-m", "fake_hw.inject", root, str(PROGRAM), str(tmp_path / "list"), "--root", root]
    done = subprocess.run(command, stdout=writing, check=False, cwd=ROOT, timeout=10)
    os.close(reading)
    os.close(writing)
    levels = client.levels(root)
    assert (done.returncode, levels["GPIO17"], levels["GPIO10"], levels["GPIO18"]) == (1, 0, 1, 0)


def test_what_it_opens_never_becomes_its_output(tmp_path: Path) -> None:
    """With its standard streams closed, words go nowhere, and no bus's process inherits a line as one of them."""
    (tmp_path / "list").write_bytes(sealed("file /sys/attribute 1"))
    attribute = tmp_path / "sys" / "attribute"
    attribute.parent.mkdir()
    attribute.write_text("0")
    seen = tmp_path / "seen"
    look = (
        "import os, runpy, sys\n"
        f"program = runpy.run_path({str(PROGRAM)!r})\n"
        f"code = program['main']([{str(tmp_path / 'list')!r}, '--root', {str(tmp_path)!r}])\n"
        f"open({str(seen)!r}, 'w').write(repr((code, [os.readlink(f'/proc/self/fd/{{n}}') for n in range(3)])))\n"
    )
    subprocess.run(["sh", "-c", 'exec "$0" -I -c "$1" <&- >&- 2>&-', sys.executable, look], check=True, timeout=10)
    assert (seen.read_text(), attribute.read_text()) == (repr((0, ["/dev/null"] * 3)), "1")


def test_a_huge_list_is_read_at_once(program: ModuleType) -> None:
    """Thousands of lines cost no more than their reading."""
    began = time.monotonic()
    entries, _ = program.parse(sealed(*(f"file /sys/{number} 1" for number in range(30_000))))
    assert len(entries) == 30_000
    assert time.monotonic() - began < 3.0


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list(program: ModuleType, data: bytes) -> None:
    """Nothing that may stand in the file makes it stop; only a whole list counts as sound."""
    lines, sound = program.parse(data)
    assert not sound
    for chip, offset, level in lines:
        assert chip
        assert 0 <= offset < 10_000
        assert level in {0, 1}


@pytest.mark.parametrize("data", [b"", b"00000000\n", b"crc32 \n", b"crc32 00000001\n"])
def test_an_empty_list_must_be_sealed_too(program: ModuleType, data: bytes) -> None:
    """A file that lost its contents is damaged; a site without outputs has a sealed, empty list."""
    assert program.parse(data) == ([], False)
    assert program.parse(sealed()) == ([], True)


@given(st.integers(0, 8 * len(sealed(VALVE, LIGHT)) - 1))
def test_no_flipped_bit_goes_unnoticed(program: ModuleType, bit: int) -> None:
    """The checksum covers every byte of the list."""
    data = sealed(VALVE, LIGHT)
    damaged = (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")
    assert program.parse(damaged)[1] is False
    assert program.parse(data)[1] is True


def test_it_needs_nothing() -> None:
    """Standard library only, and little of it: it must start in milliseconds on a broken machine."""
    imported = {
        name.name
        for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    little = {"array", "errno", "fcntl", "os", "select", "signal", "struct", "sys", "termios", "time", "zlib"}
    assert imported == little
    assert "\nfrom " not in PROGRAM.read_text(encoding="utf-8")
    assert os.access(PROGRAM, os.X_OK)
    assert PROGRAM.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
