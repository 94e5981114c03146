"""Which chip the cases run on: the simulator's, or, with KG_BOARD=kernel in the test machine, the kernel's gpio-sim."""

import os
from collections.abc import Iterator

import pytest

from tests.conformance.board import Board, KernelBoard, SimulatedBoard


@pytest.fixture
def board() -> Iterator[Board]:
    """A chip of 58 lines whose lines nobody holds."""
    made: Board = KernelBoard() if os.environ.get("KG_BOARD") == "kernel" else SimulatedBoard()
    yield made
    made.remove()


@pytest.fixture
def chip(board: Board) -> Iterator[int]:
    """The opened chip."""
    descriptor = os.open(os.path.join(board.root, board.device.lstrip("/")), os.O_RDWR | os.O_CLOEXEC)
    yield descriptor
    os.close(descriptor)
