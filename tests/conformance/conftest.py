"""Which chip the cases run on: the simulator's (T0), the same behind the preload shim (T1, KG_BOARD=preload), or the
kernel's own gpio-sim (T2, KG_BOARD=kernel, in the test machine).
"""

import os
from collections.abc import Iterator

import pytest

from tests.conformance.board import Board, KernelBoard, SimulatedBoard


@pytest.fixture
def board() -> Iterator[Board]:
    """A chip of 58 lines whose lines nobody holds."""
    made = board_of(os.environ.get("KG_BOARD", "replaced calls"))
    yield made
    made.remove()


def board_of(tier: str) -> Board:
    """A new board of a tier."""
    if tier == "kernel":
        return KernelBoard()
    return SimulatedBoard(os.environ["KG_SHIM_ROOT"] if tier == "preload" else "")


@pytest.fixture
def chip(board: Board) -> Iterator[int]:
    """The opened chip."""
    descriptor = os.open(os.path.join(board.root, board.device.lstrip("/")), os.O_RDWR | os.O_CLOEXEC)
    yield descriptor
    os.close(descriptor)
