"""Sound level meter: its straight line, its limits, and the part on the simulated wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import sound_level
from drivers.decoding.transmitter import Band
from gateway.core.errors import SensorFailure
from gateway.core.quality import Reason
from tests.drivers.wire import Wire, values


@pytest.mark.parametrize(("volts", "level_db"), [(0.6, 30.0), (1.24, 62.0), (2.6, 130.0)])
def test_fifty_decibels_per_volt(volts: float, level_db: float) -> None:
    """The product page's line: 50 dB(A) per volt."""
    assert sound_level.SCALING.value(volts) == pytest.approx(level_db)
    assert sound_level.SCALING.band(volts) is Band.VALID


@given(st.binary(min_size=2, max_size=2))
def test_any_code_is_a_level_or_a_failure(code: bytes) -> None:
    """Whatever the converter holds: Good exactly in NE 43's valid band, 28.75 to 133.125 dB, else Uncertain or Bad."""
    written = bytearray(2)

    class Bus:
        def transfer(self, _address: int, write: bytes, read: int = 0) -> bytes:
            written[:] = write[1:] or written
            return bytes(written if write[0] == 1 else code)[:read]

    meter = sound_level.SoundLevel(Bus(), sound_level.Options(0x48, 0), lambda _: None)
    try:
        (sample,) = meter.read()
    except SensorFailure:
        return
    assert 27.5 < sample.value < 136.25
    assert (sample.reason is Reason.GOOD) is (28.75 <= sample.value <= 133.125)


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
