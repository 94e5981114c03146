"""Fixtures of the whole-gateway tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.kitchen import Broker, Kitchen


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A running Mosquitto with an independent subscriber."""
    directory = Path(tempfile.mkdtemp(prefix="kg-mq-", dir="/tmp"))
    broker = Broker(directory)
    broker.start()
    yield broker
    broker.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def kitchen() -> Iterator[Kitchen]:
    """A running kitchen that has no broker: offline is normal."""
    with Kitchen() as running:
        yield running
