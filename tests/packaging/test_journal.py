"""Under systemd the logs go to the journal through systemd-python, with structured fields."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROBE = Path(__file__).with_name("journal_probe.py")


def test_a_log_line_arrives_in_the_journal_with_its_fields() -> None:
    """The real library sends priority, identifier, the message whole, and extra fields to where journald listens."""
    import systemd.journal

    assert systemd.journal.__file__, "a folder named systemd is not the library: ./test installs it"
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--user", "--map-root-user"]
    done = subprocess.run(
        [*namespace, sys.executable, str(PROBE)],
        cwd=PROBE.parents[2],
        env={**os.environ, "PYTHONPATH": str(PROBE.parents[2])},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    entry = json.loads(done.stdout)
    assert entry["MESSAGE"] == "walkin_air is silent\nsince noon"
    assert entry["PRIORITY"] == "4"
    assert entry["SYSLOG_IDENTIFIER"] == "gateway-control"
    assert entry["DEVICE"] == "walkin_air"
