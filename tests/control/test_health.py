"""Health of our own processes as points."""

import pytest

from gateway.control.health import HealthBoard
from gateway.core.reading import Reading, Value
from gateway.settings.health import health_points
from tests.control.fakes import SECOND

KNOWN = health_points(["sensors"])


class Rig:
    """A health board and what it told."""

    def __init__(self) -> None:
        self.own: dict[str, Value] = {"gateway/control.ring_fill": 0.0}
        self.told: list[Reading] = []
        self.board = HealthBoard(KNOWN, lambda: self.own, self.told.extend)

    def check(self, second: float) -> dict[str, Value | None]:
        self.told.clear()
        self.board.check(round(second * SECOND))
        return {reading.point: reading.value for reading in self.told}


def test_a_process_that_speaks_is_connected_and_its_points_are_told() -> None:
    """Health frames become points under the process's name."""
    rig = Rig()
    rig.board.heard("recorder", {"store_ok": True, "backlog": 3, "uplink_connected": False}, SECOND)
    told = rig.check(1)
    assert told["gateway/recorder.connected"] is True
    assert (told["gateway/recorder.store_ok"], told["gateway/recorder.backlog"]) == (True, 3)
    assert told["gateway/field.connected"] is False


def test_silence_of_six_seconds_is_bad_and_disconnected() -> None:
    """A stopped process is noticed, and what it said last is no longer believed; it recovers by speaking."""
    rig = Rig()
    rig.board.heard("recorder", {"store_ok": True}, 0)
    rig.check(1)
    assert "gateway/recorder.connected" not in rig.check(6)
    told = rig.check(6.1)
    assert told["gateway/recorder.connected"] is False
    assert told["gateway/recorder.store_ok"] is None
    rig.board.heard("recorder", {"store_ok": True}, 8 * SECOND)
    told = rig.check(8)
    assert (told["gateway/recorder.connected"], told["gateway/recorder.store_ok"]) == (True, True)


def test_changes_are_told_at_once_numbers_less_often_and_all_once_a_minute() -> None:
    """Telemetry is not flooded with health, and a switch is never late."""
    rig = Rig()
    rig.own["gateway/control.state_ok"] = True
    rig.check(0)
    rig.own |= {"gateway/control.ring_fill": 1.0, "gateway/control.state_ok": False}
    assert rig.check(1) == {"gateway/control.state_ok": False}
    assert rig.check(10) == {"gateway/control.ring_fill": 1.0}
    assert rig.check(11) == {}
    assert set(rig.check(75)) >= {"gateway/control.ring_fill", "gateway/field.connected"}


def test_unknown_points_and_wrong_types_do_not_get_in() -> None:
    """A point the configuration does not know, or of the other kind, is left out; nonsense ends the frame."""
    rig = Rig()
    rig.board.heard("recorder", {"mood": True, "store_ok": 1, "backlog": True}, 0)
    told = rig.check(0)
    assert "gateway/recorder.mood" not in told
    assert "gateway/recorder.store_ok" not in told
    with pytest.raises(ValueError, match="mood"):
        rig.board.heard("recorder", {"mood": "good"}, 0)
    for nonsense in (float("inf"), float("nan"), 10**400):
        with pytest.raises(ValueError, match="backlog"):
            rig.board.heard("recorder", {"backlog": nonsense}, 0)
