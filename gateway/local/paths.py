"""Where a gateway keeps what below its state directory."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StatePaths:
    """Names only; `create` makes the directories."""

    state: Path

    @property
    def control_sock(self) -> Path:
        """Where control answers."""
        return self.state / "control.sock"

    @property
    def recorder_sock(self) -> Path:
        """Where the recorder answers."""
        return self.state / "recorder.sock"

    @property
    def config_dir(self) -> Path:
        """Compiled configurations and the remote overlay."""
        return self.state / "config"

    @property
    def snapshot(self) -> Path:
        """The compiled configuration in force."""
        return self.config_dir / "current.json"

    @property
    def overlay(self) -> Path:
        """The cloud's part of the configuration; local keys win."""
        return self.config_dir / "overlay.yaml"

    @property
    def source(self) -> Path:
        """Names the site's file that `gateway run` was given."""
        return self.config_dir / "source"

    @property
    def control_dir(self) -> Path:
        """What only control writes."""
        return self.state / "control"

    @property
    def control_state(self) -> Path:
        """Timers, latches and alarm states that survive a power cut."""
        return self.control_dir / "state.json"

    @property
    def safe_state_list(self) -> Path:
        """Lines and safe levels for libexec/safe-state."""
        return self.control_dir / "safe-state.list"

    @property
    def database_dir(self) -> Path:
        """What only the recorder writes."""
        return self.state / "recorder"

    @property
    def sim_root(self) -> Path:
        """The simulated kitchen's device tree."""
        return self.state / "sim"

    @property
    def log_dir(self) -> Path:
        """Logs of a run in the terminal view."""
        return self.state / "log"

    def lock(self, process: str) -> Path:
        """The file whose lock the one process of this kind holds."""
        return self.state / f"{process}.lock"

    def read_source(self) -> Path | None:
        """The site's file that `gateway run` was given, None when there was none."""
        try:
            return Path(self.source.read_text(encoding="utf-8").strip())
        except FileNotFoundError:
            return None

    def create(self) -> None:
        """Make every directory. Raises OSError."""
        for directory in (self.config_dir, self.control_dir, self.database_dir):
            directory.mkdir(parents=True, exist_ok=True)


def credentials_directory(state: Path) -> Path:
    """systemd's credentials directory, else `credentials` below the state directory."""
    return Path(os.environ.get("CREDENTIALS_DIRECTORY") or state / "credentials")
