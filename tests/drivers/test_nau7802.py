"""NAU7802: set-up, the part on the simulated wire, and Cedar Grove's driver beside ours."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.nau7802 import Nau7802, Options, decode, has, settings
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.quality import Reason
from tests.drivers.wire import Wire, values

WANTED = settings(Options(tare=0, counts_per_kg=1.0, capacity_kg=1.0))


def part_of(wire: Wire) -> Any:
    return wire.machine.bus("i2c", "/dev/i2c-1").part(0x2A)


@pytest.mark.parametrize(("data", "raw"), [(b"\x00\x00\x01", 1), (b"\xff\xff\xff", -1), (b"\x7f\xff\xfe", 0x7FFFFE)])
def test_decode(data: bytes, raw: int) -> None:
    """24 bits in two's complement."""
    assert decode(data) == raw


@given(st.binary(min_size=3, max_size=3))
def test_any_bytes_are_counts_or_refused(data: bytes) -> None:
    """What passes lies strictly inside the converter's range."""
    try:
        raw = decode(data)
    except InvalidData:
        assert data in (b"\x7f\xff\xff", b"\x80\x00\x00")
        return
    assert -(1 << 23) < raw < (1 << 23) - 1
    assert raw % (1 << 24) == int.from_bytes(data, "big")


@pytest.mark.parametrize("data", [b"\x7f\xff\xff", b"\x80\x00\x00"])
def test_a_saturated_converter_is_no_weight(data: bytes) -> None:
    """Both ends: overload, or a wire of the cell is off."""
    with pytest.raises(InvalidData, match="E\\+"):
        decode(data)


@given(st.integers(0, 23))
def test_a_flipped_setting_is_noticed(bit: int) -> None:
    """Any bit but the flag of a new value."""
    damaged = (int.from_bytes(WANTED, "big") ^ 1 << bit).to_bytes(3, "big")
    assert has(damaged, WANTED) == (damaged[0] ^ WANTED[0] == 0x20)


def test_settings() -> None:
    """The registers of the datasheet: 3.0 V, gain as wanted, 10 conversions a second."""
    assert bytes([0x9E, 0x2F, 0x00]) == WANTED
    assert settings(Options(tare=0, counts_per_kg=1.0, capacity_kg=1.0, gain=1))[1] == 0x28
    with pytest.raises(ValueError, match="known weight"):
        Options(tare=0, counts_per_kg=0.0, capacity_kg=1.0)


class Converter:
    """Registers that keep what is written; a calibration takes a look, and a value is there at the second."""

    def __init__(self, *counts: int) -> None:
        self.steps: list[object] = []
        self.counts = list(counts)
        self._registers = dict.fromkeys(range(0x20), 0)
        self._looks = 0

    def transfer(self, address: int, write: bytes, read: int = 0) -> bytes:
        self.steps.append((address, write, read))
        register = write[0]
        if len(write) == 2:
            self._registers[register] = write[1] | (0x08 if register == 0x00 and write[1] & 0x02 else 0)
        if register == 0x12 and read:
            self._registers[0x00] &= ~0x20
            return (self.counts.pop(0) if self._looks else 0).to_bytes(3, "big", signed=True)
        if register == 0x00 and read and self._registers[0x00] & 0x10:
            self._looks += 1
            self._registers[0x00] |= 0x20 if self._looks % 2 == 0 else 0
        answer = bytes(self._registers[register + place] for place in range(read))
        if register == 0x02 and read == 1:
            self._registers[0x02] &= ~0x04
        return answer


def test_what_goes_over_the_wire() -> None:
    """To the bit: reset, power, 3.0 V and gain, speed, the two registers of the data sheet's advice, calibration."""
    bus = Converter(1000, 0)
    Nau7802(bus, Options(0, 100_000.0, 50.0, gain=64), bus.steps.append).read()

    def to(register: int, value: int) -> tuple[int, bytes, int]:
        return 0x2A, bytes((register, value)), 0

    def look(register: int, length: int) -> tuple[int, bytes, int]:
        return 0x2A, bytes((register,)), length

    reset = [look(0x00, 3), to(0x00, 0x01), to(0x00, 0x02), 0.01, to(0x00, 0x86)]
    analogue = [to(0x01, 0x2E), to(0x02, 0x00), to(0x15, 0x30), to(0x1C, 0x80), 0.6]
    calibration = [to(0x02, 0x04), 0.02, look(0x02, 1), 0.02, look(0x02, 1), to(0x00, 0x96), 0.6]
    conversion = [look(0x12, 3), 0.02, look(0x00, 3), 0.02, look(0x00, 3), look(0x12, 3)]
    assert bus.steps == [*reset, *analogue, *calibration, *conversion]


def test_still_within_is_in_grams() -> None:
    """10 g apart is still, a count more is not: 100,000 counts are a kilogram."""
    bus = Converter(1000, 0, 2000, 0, 3001, 0)
    options = Options(0, 100_000.0, 50.0, still_readings=2, still_within_g=10.0)
    scale = Nau7802(bus, options, bus.steps.append)
    assert [values(scale.read())["stable"] for _ in range(3)] == [False, True, False]


@pytest.mark.parametrize("kilograms", [-2.0, 0.0, 0.025, 12.5, 49.9])
def test_an_independent_driver_agrees(wire: Wire, monkeypatch: pytest.MonkeyPatch, kilograms: float) -> None:
    """Cedar Grove's driver sees the counts that our weight stands for; it gives twice the 24-bit number."""
    from cedargrove_nau7802 import NAU7802

    wire.place("nau7802", tare=84_210, counts_per_kg=21_500.0)
    wire.set(weight=kilograms)
    seen = values(wire.open().read())
    assert seen["weight"] == pytest.approx(kilograms, abs=0.003)
    monkeypatch.setattr(time, "sleep", wire.timer.sleep)
    oracle = NAU7802(wire.busio())
    assert oracle.calibrate()
    wire.timer.sleep(1.0)
    assert oracle.available()
    assert seen["weight"] == pytest.approx((oracle.read() / 2 - 84_210) / 21_500, abs=0.003)


def test_each_read_waits_for_a_conversion_of_its_own(wire: Wire) -> None:
    """What lay in the register before the call is thrown away."""
    wire.place("nau7802")
    scale = wire.open()
    scale.read()
    for truth in (5.0, 20.0):
        wire.timer.sleep(10.0)  # a conversion of the old weight waits
        scale._bus.transfer(0x2A, b"\x00", 1)
        wire.set(weight=truth)
        assert values(scale.read())["weight"] == pytest.approx(truth, abs=0.003)


def test_the_first_weight_is_a_settled_one(wire: Wire) -> None:
    """After power-on the converter's filter comes up from its calibration, in which the input is shorted."""
    wire.place("nau7802", tare=84_210, counts_per_kg=21_500.0)
    wire.set(weight=40.0)
    assert values(wire.open().read())["weight"] == pytest.approx(40.0, abs=0.003)


def test_still_and_counted(wire: Wire) -> None:
    """Three agreeing readings; a load put on begins anew; so does an error."""
    wire.place("nau7802", unit_weight_g=25.0)
    scale = wire.open()
    assert [values(scale.read())["stable"] for _ in range(3)] == [False, False, True]
    weight, _, pieces = scale.read()
    assert (weight.reason, pieces.value, pieces.reason) == (Reason.GOOD, 500, Reason.GOOD)
    wire.set(weight=5.0)
    moved = scale.read()
    assert moved[1].value is False
    assert moved[2].reason is Reason.UNCERTAIN_SENSOR_NOT_ACCURATE
    assert [values(scale.read())["stable"] for _ in range(2)] == [False, True]
    wire.plug(False)
    with pytest.raises(NotConnected):
        scale.read()
    wire.plug(True)
    assert not values(scale.read())["stable"]


def test_after_a_power_cut_it_is_set_up_again(wire: Wire) -> None:
    """Registers as after power-on: the next read sets up and weighs."""
    wire.place("nau7802")
    scale = wire.open()
    scale.read()
    wire.machine.do(part_of(wire).power_off)
    assert values(scale.read())["weight"] == pytest.approx(12.5, abs=0.003)
    started_s = wire.timer.now_s
    scale.read()
    assert wire.timer.now_s - started_s < 0.2


def test_a_part_that_stands_still_is_a_timeout(wire: Wire) -> None:
    """A calibration that does not end, and a conversion that does not come."""
    wire.place("nau7802")
    naps = list[float]()
    with pytest.raises(DeviceTimeout, match="calibration does not end"):
        wire.open(sleep=naps.append).read()
    assert naps == [0.01, 0.6, *[0.02] * 60]
    scale = wire.open()
    scale.read()
    naps.clear()
    scale._sleep = naps.append
    with pytest.raises(DeviceTimeout, match=r"no conversion within 0\.24 s"):
        scale.read()
    assert naps == [0.02] * 12


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("saturated", InvalidData),
        ("uncalibrated", SensorFailure),
        ("ones", InvalidData),
        ("nack", NotConnected),
        ("stuck", DeviceTimeout),
    ],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault ends in its own error, and in values again when it is over."""
    wire.place("nau7802")
    scale = wire.open()
    wire.fault(fault)
    with pytest.raises((error, DeviceTimeout) if fault == "ones" else error):
        scale.read()
    wire.fault("none")
    assert len(scale.read()) == 3
