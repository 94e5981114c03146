"""The supervisor: it starts, rescues, restarts and stops, and nothing outlives it."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from gateway.app import supervisor as supervising
from gateway.app.supervisor import Child, Supervisor

PYTHON = (sys.executable, "-I", "-S", "-c")
NOTE = (
    "import os, sys, time\n"
    "def log(text):\n"
    "    with open(sys.argv[1], 'a') as file: file.write(f'{text} {time.monotonic()} {os.getpid()}\\n')\n"
)
LIVE = (
    NOTE
    + "import signal\n"
    + "def end(*_): log('stopped'); sys.exit(0)\n"
    + "signal.signal(signal.SIGTERM, end); log('started')\nwhile True: signal.pause()"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="kg-", dir="/tmp"))
    yield path
    rmtree(path)


def live(folder: Path, name: str, **rest: Any) -> Child:
    """A child that runs until SIGTERM and notes what happens to it."""
    return Child(name, (*PYTHON, LIVE, str(folder / name)), **rest)


def notes(folder: Path, name: str) -> list[tuple[str, float, int]]:
    """(what, time.monotonic(), pid) of each thing a child noted."""
    try:
        rows = [line.split() for line in (folder / name).read_text().splitlines()]
    except FileNotFoundError:
        return []
    return [(what, float(moment), int(pid)) for what, moment, pid in rows]


def wait_for(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Look until the condition holds; fail after the deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def supervise(children: list[Child], act: Callable[[Supervisor], None], **options: Any) -> int:
    """Run the supervisor here, in the main thread, and `act` beside it; then stop it by SIGTERM."""
    turning, failed = threading.Event(), list[BaseException]()
    supervisor = Supervisor(children, on_tick=turning.set, **options)

    def beside() -> None:
        if not turning.wait(15):
            return
        try:
            act(supervisor)
        except BaseException as error:
            failed.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=beside)
    thread.start()
    code = supervisor.run()
    thread.join()
    if failed:
        raise failed[0]
    return code


def started(folder: Path, name: str, times: int = 1) -> list[tuple[str, float, int]]:
    """Wait until a child has started so many times; those notes."""

    def starts() -> list[tuple[str, float, int]]:
        return [note for note in notes(folder, name) if note[0] == "started"]

    wait_for(lambda: len(starts()) >= times)
    return starts()


def await_start(folder: Path, name: str) -> None:
    """Wait until a child has started."""
    started(folder, name)


def rescued(folder: Path, times: int) -> float:
    """When the rescue noted that it ran for this time."""
    wait_for(lambda: len(notes(folder, "rescue")) >= times)
    return notes(folder, "rescue")[-1][1]


def test_children_stop_in_their_order(folder: Path) -> None:
    """SIGTERM to the supervisor stops the children by rank, each before the next, and the exit code is 0."""
    children = [live(folder, "recorder", stop_rank=2), live(folder, "control"), live(folder, "field", stop_rank=1)]

    def act(_: Supervisor) -> None:
        for child in children:
            started(folder, child.name)

    assert supervise(children, act) == 0
    ends = {child.name: notes(folder, child.name)[-1] for child in children}
    assert {what for what, _, _ in ends.values()} == {"stopped"}
    assert ends["control"][1] < ends["field"][1] < ends["recorder"][1]


def test_a_killed_child_is_made_safe_at_once_and_started_again(folder: Path) -> None:
    """kill -9: the rescue runs within 0.1 s and before the restart; status tells the new pid and the restarts."""
    rescue = (*PYTHON, NOTE + "log('rescued')", str(folder / "rescue"))
    child = live(folder, "control", on_death=rescue)

    def act(supervisor: Supervisor) -> None:
        for round in range(1, 4):
            pid = started(folder, "control", round)[-1][2]
            wait_for(partial(_runs, supervisor, pid, round - 1))
            killed = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            safe = rescued(folder, round)
            assert safe - killed < 0.1
            assert started(folder, "control", round + 1)[-1][1] > safe

    assert supervise([child], act) == 0
    assert len(notes(folder, "rescue")) == 3, "a clean stop needs no rescue"


def test_a_waiting_rescue_acts_when_its_child_dies_and_only_then(folder: Path) -> None:
    """A standby starts beside the child, acts at its death, is replaced when killed, and rests after a clean stop."""
    waiting = NOTE + "log('waits')\nwhile os.read(0, 64): pass\nlog('rescued')"
    child = live(folder, "control", on_death=(*PYTHON, waiting, str(folder / "rescue")), standby=True)

    def act(_: Supervisor) -> None:
        started(folder, "control", 1)
        wait_for(lambda: [what for what, _, _ in notes(folder, "rescue")] == ["waits"])
        first = notes(folder, "rescue")[0][2]
        os.kill(started(folder, "control", 1)[-1][2], signal.SIGKILL)
        wait_for(lambda: ("rescued", first) in [(what, pid) for what, _, pid in notes(folder, "rescue")])
        wait_for(lambda: [what for what, _, _ in notes(folder, "rescue")].count("waits") == 2)
        os.kill(notes(folder, "rescue")[-1][2], signal.SIGKILL)
        wait_for(lambda: [what for what, _, _ in notes(folder, "rescue")].count("waits") == 3)

    assert supervise([child], act) == 0
    assert [what for what, _, _ in notes(folder, "rescue")].count("rescued") == 1


def _runs(supervisor: Supervisor, pid: int, restarts: int) -> bool:
    status = supervisor.status()[0]
    return (supervisor.pid("control"), status.pid, status.restarts) == (pid, pid, restarts)


def test_restarts_back_off_and_begin_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that keeps dying is started ever later, up to the limit; one that has proven itself at once again."""
    monkeypatch.setattr(supervising, "RESTART_FIRST_S", 0.02)
    monkeypatch.setattr(supervising, "RESTART_LAST_S", 0.16)
    child = Child("control", (*PYTHON, NOTE + "log('started'); sys.exit(3)", str(folder / "control")))

    def act(_: Supervisor) -> None:
        started(folder, "control", 7)
        monkeypatch.setattr(supervising, "PROVEN_S", 0.0)
        started(folder, "control", 9)

    supervise([child], act)
    moments = [moment for _, moment, _ in notes(folder, "control")]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert gaps[1] > 0.04
    assert gaps[4] > 0.16
    assert gaps[5] > 0.16
    assert min(gaps[6:8]) < 0.16


def test_a_stubborn_child_is_killed_and_made_safe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that does not react to SIGTERM, or is stopped, is killed and rescued, and that is awaited."""
    monkeypatch.setattr(supervising, "STOP_WITHIN_S", 0.2)
    rescue = (*PYTHON, NOTE + "log('rescued')", str(folder / "rescue"))
    child = live(folder, "control", on_death=rescue)

    def act(supervisor: Supervisor) -> None:
        os.kill(started(folder, "control")[0][2], signal.SIGSTOP)

    assert supervise([child], act) == 0
    assert [what for what, _, _ in notes(folder, "rescue")] == ["rescued"]


def test_a_rescue_that_hangs_does_not_keep_the_child_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rescue is given up after its time, because a starting control makes its outputs safe as well."""
    monkeypatch.setattr(supervising, "RESCUE_WITHIN_S", 0.2)
    hang = (*PYTHON, NOTE + "log('hangs')\nwhile True: time.sleep(60)", str(folder / "rescue"))
    child = live(folder, "control", on_death=hang)

    def act(_: Supervisor) -> None:
        os.kill(started(folder, "control")[0][2], signal.SIGKILL)
        started(folder, "control", 2)

    assert supervise([child], act) == 0
    pid = notes(folder, "rescue")[0][2]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_child_that_hangs_is_killed_and_made_safe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence on its watchdog socket after it was ready ends a child; one that goes on saying it is well lives."""
    monkeypatch.setattr(supervising, "WATCHDOG_S", 0.3)
    monkeypatch.setattr(supervising, "_TICK_S", 0.05)
    notify = (
        "from gateway.local.notify import Notifier\n"
        + NOTE
        + "notifier = Notifier(); notifier.ready(); log('started')\n"
        "assert notifier.watchdog_s == 0.3\n"
        "while os.path.exists(sys.argv[1] + '.well') or notifier.dropped: notifier.watchdog(); time.sleep(0.05)\n"
        "while True: time.sleep(60)"
    )
    well = folder / "control.well"
    well.touch()
    child = Child(
        "control",
        (sys.executable, "-c", notify, str(folder / "control")),
        on_death=(*PYTHON, NOTE + "log('rescued')", str(folder / "rescue")),
        watchdog=folder / "run.sock",
    )

    def act(supervisor: Supervisor) -> None:
        begun = started(folder, "control")[0]
        wait_for(lambda: time.monotonic() - begun[1] > 0.6)
        assert supervisor.pid("control") == begun[2], "a child that is well lives"
        well.unlink()
        assert rescued(folder, 1) - begun[1] < 3
        assert started(folder, "control", 2)[-1][2] != begun[2]

    assert supervise([child], act) == 0
    assert not (folder / "run.sock").exists()


def test_a_program_that_is_not_there_holds_nobody_up(folder: Path) -> None:
    """What can't be started is tried again later; the others run."""
    missing = Child("control", (str(folder / "missing"),), on_death=(str(folder / "missing"),))
    assert supervise([missing, live(folder, "field")], lambda _: await_start(folder, "field")) == 0
    assert notes(folder, "field")[-1][0] == "stopped"


def test_the_next_child_waits_until_the_one_before_is_ready(folder: Path) -> None:
    """While starting, a child that others need is waited for."""
    first = live(folder, "simulator", ready=lambda: bool(notes(folder, "simulator")))
    supervise([first, live(folder, "control")], lambda _: await_start(folder, "control"))
    assert notes(folder, "simulator")[0][1] < notes(folder, "control")[0][1]


def test_hangup_is_told_and_nothing_stops(folder: Path) -> None:
    """SIGHUP calls on_hangup; the children run on."""
    heard = threading.Event()

    def act(_: Supervisor) -> None:
        started(folder, "control")
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard.wait(5)
        assert notes(folder, "control")[-1][0] == "started"

    assert supervise([live(folder, "control")], act, on_hangup=heard.set) == 0


def test_the_terminals_signals_do_not_reach_the_children(folder: Path) -> None:
    """Children have sessions of their own: Ctrl-C reaches the supervisor alone, which stops them in order."""

    def act(supervisor: Supervisor) -> None:
        pid = started(folder, "control")[0][2]
        assert os.getsid(pid) == pid

    supervise([live(folder, "control")], act)


def test_children_stop_when_the_supervisor_is_killed(folder: Path) -> None:
    """kill -9 of the supervisor: the kernel sends its children SIGTERM, so that they stop safely."""
    tied = (
        "import os\nfrom gateway.local.parent import stop_with_parent\n"
        "stop_with_parent(int(os.environ['KITCHEN_GATEWAY_SUPERVISOR']))\n"
    ) + LIVE
    program = (
        "import sys\nfrom gateway.app.supervisor import Child, Supervisor\n"
        "Supervisor([Child('control', (sys.executable, '-c', sys.argv[1], sys.argv[2]))]).run()"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program, tied, str(folder / "control")])
    started(folder, "control")
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: notes(folder, "control")[-1][0] == "stopped")


def test_output_goes_to_the_childs_log(folder: Path) -> None:
    """In the terminal view a child writes to its log, appending, and never to the screen."""
    log = folder / "control.log"
    log.write_text("before\n")
    child = Child("control", (*PYTHON, "import sys, os; os.write(2, b'after\\n'); sys.stdin.read()"), log=log)
    supervise([child], lambda _: wait_for(lambda: "after" in log.read_text()))
    assert log.read_text().startswith("before\nafter\n")
