"""Short directories and ready-made files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.record import Lane
from gateway.recorder.outbox import Outbox
from tests.recorder.fakes import new_file, short_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def outbox(directory: Path) -> Iterator[Outbox]:
    """An open telemetry file with a budget of 2 MiB."""
    new_file(directory, Lane.TELEMETRY)
    box = Outbox(directory, Lane.TELEMETRY, 2 << 20)
    box.open()
    yield box
    box.close()
