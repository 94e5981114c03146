"""Processes that die: what a SIGKILL leaves on the lines, and a simulator that survives everybody."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fake_hw import client
from fake_hw.node import connect

HOLDER = """
import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1] + "/dev/gpiochip0", os.O_RDWR)
request = bytearray(592)
struct.pack_into("=I", request, 0, 17)
struct.pack_into("=QI20xII8sQ", request, 288, 8, 1, 2, 0, b"\\1" + bytes(7), 1)
struct.pack_into("=I", request, 560, 1)
fcntl.ioctl(fd, 0xC250B407, request)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def start(root: str, until: Callable[..., None]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the simulator as the process it is, and waits for its nodes."""
    running: list[subprocess.Popen[str]] = []

    def run(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "fake_hw", "--root", root, *options], text=True, stderr=subprocess.PIPE
        )
        running.append(process)
        until(lambda: os.path.exists(f"{root}/ready") or process.poll() is not None, 10)
        return process

    yield run
    for process in running:
        process.terminate()
        process.wait(10)
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture
def hold(root: str) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """A program that holds the gas valve open."""
    running: list[subprocess.Popen[str]] = []
    script = f"{root}/holder.py"

    def run() -> subprocess.Popen[str]:
        with open(script, "w", encoding="utf-8") as file:
            file.write(HOLDER)
        process = subprocess.Popen(
            [sys.executable, "-m", "fake_hw.inject", root, script, root], text=True, stdout=subprocess.PIPE
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield run
    for process in running:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize(("options", "level"), [((), 1), (("--strict-gpiod",), 0)])
def test_the_level_after_a_sigkill(
    root: str,
    start: Callable[..., subprocess.Popen[str]],
    hold: Callable[[], subprocess.Popen[str]],
    options: tuple[str, ...],
    level: int,
) -> None:
    """A killed holder leaves the valve open by default, closed with strict_gpiod; the log says who."""
    start(*options)
    holder = hold()
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    hold()  # the next one gets the line at once
    entries = [entry for entry in client.read_log(root) if entry["line"] == "GPIO17"]
    assert [(entry["level"], entry["why"]) for entry in entries] == [(1, "claim"), (level, "release"), (1, "claim")]
    assert entries[0]["pid"] == entries[1]["pid"] == holder.pid


def test_a_program_outlives_its_simulator(start: Callable[..., subprocess.Popen[str]], root: str) -> None:
    """When the simulator ends, open descriptors fail with ENODEV, nodes are gone and the log stays."""
    import fcntl

    from fake_hw.inject import install

    simulator = start()
    undo = install(root)
    chip = os.open(f"{root}/dev/gpiochip0", os.O_RDWR)
    simulator.kill()
    simulator.wait(10)
    with pytest.raises(OSError, match=r"\[Errno 19\]"):
        fcntl.ioctl(chip, 0x8044B401, bytearray(68))
    with pytest.raises(OSError, match=r"\[Errno 19\]"):
        os.open(f"{root}/dev/gpiochip0", os.O_RDWR)
    os.close(chip)
    os.unlink(f"{root}/ready")
    start()
    chip = os.open(f"{root}/dev/gpiochip0", os.O_RDWR)
    os.close(chip)
    undo()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(start: Callable[..., subprocess.Popen[str]], root: str, number: signal.Signals) -> None:
    """SIGTERM and SIGINT take the nodes away, leave the log and exit with 0."""
    simulator = start()
    simulator.send_signal(number)
    assert simulator.wait(10) == 0
    assert not os.path.exists(f"{root}/ready")
    assert not os.path.exists(f"{root}/dev/gpiochip0")
    assert os.path.exists(f"{root}/lines.jsonl")


def test_stop_command_ends_it(start: Callable[..., subprocess.Popen[str]], root: str) -> None:
    """`stop` answers and ends the process."""
    simulator = start()
    assert client.command(root, "stop")["ok"]
    assert simulator.wait(10) == 0


def test_a_second_simulator_refuses(start: Callable[..., subprocess.Popen[str]], root: str) -> None:
    """Two simulators cannot play one root; the first one is not disturbed."""
    start()
    second = subprocess.run(
        [sys.executable, "-m", "fake_hw", "--root", root], capture_output=True, text=True, timeout=20, check=False
    )
    assert second.returncode == 1
    assert "another simulator already plays" in second.stderr
    assert client.command(root, "status")["ok"]


def test_it_ends_with_its_parent_when_told(root: str, until: Callable[..., None]) -> None:
    """With --die-with-parent the simulator ends when the process that started it is killed."""
    program = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-m', 'fake_hw', '--root', {root!r}, '--die-with-parent'])\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    until(lambda: os.path.exists(f"{root}/ready"), 10)
    parent.kill()
    parent.wait(10)
    until(lambda: not os.path.exists(f"{root}/ready"), 10)


def test_garbage_on_every_socket_hurts_nobody(start: Callable[..., subprocess.Popen[str]], root: str) -> None:
    """Random bytes, half commands and sudden hang-ups on any node leave the simulator serving."""
    import random

    simulator = start()
    chance = random.Random(7)
    for node in ("dev/i2c-1", "dev/gpiochip0", "dev/dht-GPIO4"):
        for _ in range(100):
            with connect(f"{root}/{node}") as connection:
                connection.send(chance.randbytes(chance.randrange(1, 700)))
                if chance.random() < 0.3:
                    connection.send(b"\x07\xb4\x50\xc2" + chance.randbytes(592))  # GPIO_V2_GET_LINE of nonsense
    for junk in (b"\xff\xfe\n", b"{}\n", b"[1]\n", b'{"command": 5}\n', b'{"command": ""}\n', b"[" * 60_000 + b"\n"):
        with connect(f"{root}/sim.sock", socket.SOCK_STREAM) as connection:
            connection.sendall(junk)
            connection.settimeout(5)
            assert json.loads(connection.makefile().readline())["ok"] is False
    with connect(f"{root}/sim.sock", socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.sendall(b"x" * 300_000)
            assert connection.recv(1) == b""
        except ConnectionError:
            pass  # hung up while we were still sending
    assert client.command(root, "status")["ok"]
    assert simulator.poll() is None


def test_a_deep_root_works(root: str) -> None:
    """A root whose sockets have paths longer than the kernel's 107 bytes works just the same."""
    from fake_hw.inject import install
    from fake_hw.simulator import Simulator

    deep = f"{root}/{'d' * 60}/{'e' * 60}"
    simulator = Simulator(deep)
    simulator.start()
    undo = install(deep)
    assert client.command(deep, "levels")["ok"]
    os.close(os.open(f"{deep}/dev/gpiochip0", os.O_RDWR))
    undo()
    simulator.stop()


def test_it_is_light(start: Callable[..., subprocess.Popen[str]], root: str, until: Callable[..., None]) -> None:
    """It starts in less than 0.3 s of CPU and plays its kitchen on less than 3 % of a core."""
    simulator = start()
    used = _cpu_s(simulator.pid)
    assert used < 0.3
    began = client.command(root, "status")["status"]["time_s"]
    until(lambda: client.command(root, "status")["status"]["time_s"] > began + 1.0, every_s=0.1)
    assert _cpu_s(simulator.pid) - used < 0.03


def _cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def test_client_errors_are_plain(root: str, tmp_path: Any) -> None:
    """Without a simulator a command raises OSError, and a torn last line of the log is left out."""
    with pytest.raises(FileNotFoundError):
        client.command(str(tmp_path), "status")
    (tmp_path / "lines.jsonl").write_text('{"line": "GPIO1"}\n{"line": "GP')
    assert client.read_log(str(tmp_path)) == [{"line": "GPIO1"}]
