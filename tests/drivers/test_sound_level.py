"""Sound level meter: its straight line, its limits, and the part on the simulated wire."""

import pytest

from drivers import sound_level
from drivers.decoding.transmitter import Band
from gateway.core.errors import SensorFailure
from tests.drivers.wire import Wire, values


@pytest.mark.parametrize(("volts", "level_db"), [(0.6, 30.0), (1.24, 62.0), (2.6, 130.0)])
def test_fifty_decibels_per_volt(volts: float, level_db: float) -> None:
    """The product page's line: 50 dB(A) per volt."""
    assert sound_level.SCALING.value(volts) == pytest.approx(level_db)
    assert sound_level.SCALING.band(volts) is Band.VALID


@pytest.mark.parametrize("level_db", [30.0, 61.3, 130.0])
def test_reads_the_simulated_room(wire: Wire, level_db: float) -> None:
    """From the wire to dB(A), corners included."""
    wire.place("sound_level")
    wire.set(level=level_db)
    assert values(wire.open().read()) == {"level": pytest.approx(level_db, abs=0.3)}


@pytest.mark.parametrize(("fault", "words"), [("cut", "broken wire"), ("short", "short circuit")])
def test_a_broken_wire_is_no_silence(wire: Wire, fault: str, words: str) -> None:
    """0 V is not a quiet room, the supply not a loud one."""
    wire.place("sound_level")
    meter = wire.open()
    wire.fault(fault)
    with pytest.raises(SensorFailure, match=words):
        meter.read()
    wire.fault("none")
    assert len(meter.read()) == 1
