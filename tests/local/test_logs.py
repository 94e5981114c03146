"""Logs: readable, and never in the caller's way."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from gateway.local.logs import QUEUE_LIMIT, Logs


def lines(script: str, **environment: str) -> list[str]:
    """What a process that configured its logs writes to stderr."""
    program = f"import logging\nfrom gateway.local.logs import configure\nlogs = configure('control')\n{script}\n"
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    return child.stderr.splitlines()


def test_lines_are_readable() -> None:
    """A line says when, which process, how bad, who, what; debug is left out unless asked for."""
    written = lines("log = logging.getLogger('gateway.x')\nlog.warning('bus %s is silent', 'probes')\nlog.debug('no')")
    assert len(written) == 1
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d control  warning  gateway\.x: bus probes is silent"
    assert re.fullmatch(pattern, written[0])
    assert "yes" in lines("logging.getLogger('x').debug('yes')", KITCHEN_GATEWAY_LOG="debug")[0]


def test_uncaught_errors_and_warnings_are_logged() -> None:
    """What would go to stderr past the queue goes through it: dying threads, uncaught errors, warnings."""
    script = (
        "import threading, warnings\n"
        "thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()\n"
        "warnings.warn('old')\nraise KeyError('end')"
    )
    written = "\n".join(lines(script))
    assert "uncaught: ZeroDivisionError: division by zero" in written
    assert "old" in written
    assert "uncaught: KeyError: 'end'" in written
    assert all(re.match(r"\d{4}-", line) for line in written.splitlines())


def test_a_broken_log_call_does_not_raise() -> None:
    """A format that does not fit its arguments is logged as it is."""
    assert "broken log call" in lines("logging.getLogger('x').error('%d', 'text')")[0]


def test_under_the_journal_lines_carry_priorities(tmp_path: Path) -> None:
    """When stderr is the journal's stream each line begins with its priority; an inherited variable alone is not it."""
    program = (
        "import logging, os, sys\nsys.modules['systemd'] = None\n"
        "from gateway.local.logs import configure\n"
        "status = os.fstat(2)\n"
        "os.environ['JOURNAL_STREAM'] = f'{status.st_dev}:{status.st_ino + int(sys.argv[1])}'\n"
        "configure('control')\nlogging.getLogger('x').error('two\\nlines')\nlogging.getLogger('x').info('fine')"
    )

    def run(shift: str) -> str:
        return subprocess.run([sys.executable, "-c", program, shift], capture_output=True, text=True, check=True).stderr

    assert run("0") == "<3>x: two\n<3>x: lines\n<6>x: fine\n"
    assert not run("1").startswith("<")


def test_a_full_pipe_never_blocks_the_caller() -> None:
    """With a reader that reads nothing each call returns at once, drops are counted, and told when it reads again."""
    reader, writer = os.pipe()
    logs = Logs("control", writer)
    logs.start()
    log = logging.Logger("flood")
    log.addHandler(logs)
    slowest_s = 0.0
    for number in range(QUEUE_LIMIT * 2):
        begin = time.perf_counter()
        log.warning("line %06d %s", number, "x" * 100)
        slowest_s = max(slowest_s, time.perf_counter() - begin)
    assert slowest_s < 0.5
    assert logs.dropped > 0
    begin = time.perf_counter()
    logs.stop(timeout_s=0.05)
    assert time.perf_counter() - begin < 1

    read = b""
    while b"were dropped" not in read:
        read += os.read(reader, 65536)
    found = [int(number) for number in re.findall(rb"line (\d{6})", read)]
    assert found == sorted(found)
    assert len(found) + logs.dropped == QUEUE_LIMIT * 2
    os.close(reader)
    os.close(writer)


def test_a_process_whose_reader_is_stopped_still_ends() -> None:
    """SIGSTOP of whoever reads the log holds up neither the work nor the end of the process."""
    program = (
        "import logging\nfrom gateway.local.logs import configure\nconfigure('control')\n"
        "log = logging.getLogger('x')\n"
        "for number in range(3000): log.warning('x' * 200)\n"
        "print('worked', flush=True)"
    )
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        os.kill(reader.pid, signal.SIGSTOP)
        child = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=reader.stdin, timeout=20, check=False
        )
        assert (child.returncode, child.stdout) == (0, b"worked\n")
    finally:
        reader.kill()
        reader.communicate()


def test_the_side_thread_survives_a_closed_reader() -> None:
    """A log that can't be written any more is counted as dropped; the thread goes on."""
    reader, writer = os.pipe()
    logs = Logs("control", writer)
    logs.start()
    os.close(reader)
    log = logging.Logger("x")
    log.addHandler(logs)
    log.error("nobody reads this")
    logs.stop(timeout_s=5)
    assert logs.dropped >= 1
    os.close(writer)
