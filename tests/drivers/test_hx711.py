"""HX711: the kernel's text, and the part behind the simulated IIO tree."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.hx711 import HIGHEST, LOWEST, Hx711, Options, decode
from gateway.core.errors import DeviceError, InvalidData, NotConnected
from tests.drivers.wire import Wire, values


def opened(wire: Wire, **options: Any) -> Any:
    wire.place("hx711", "iio", "", **options)
    return wire.open()


@pytest.mark.parametrize(
    ("text", "raw"), [("8388609\n", 1), ("8388606\n", -2), ("1\n", LOWEST + 1), ("16777214\n", 8_388_606)]
)
def test_decode(text: str, raw: int) -> None:
    """The kernel's driver turns the sign bit round."""
    assert decode(text) == raw


@pytest.mark.parametrize("text", ["0\n", "16777215\n", "16777216\n", "-1\n", "", "\n", "0x10", "1.5", "\u0661"])
def test_limits_and_other_texts_are_refused(text: str) -> None:
    """Saturation codes, and whatever is no 24-bit number."""
    with pytest.raises(InvalidData):
        decode(text)


def test_the_highest_code_is_a_limit_and_one_more_is_no_code() -> None:
    """What a person has to look at differs: the load cell, or the kernel's driver."""
    with pytest.raises(InvalidData, match="at its limit"):
        decode("16777215")
    with pytest.raises(InvalidData, match="instead of a 24-bit number"):
        decode("16777216")


def test_still_within_is_in_grams() -> None:
    """10 g apart is still, a count more is not: 100,000 counts are a kilogram."""
    texts = iter((f"{(1 << 23) + 1000}\n", f"{(1 << 23) + 2000}\n", f"{(1 << 23) + 3001}\n"))

    class Bus:
        def read(self, device: str, attribute: str) -> str:
            assert (device, attribute) == ("flour", "in_voltage0_raw")
            return next(texts)

    options = Options(0, 100_000.0, 50.0, iio="flour", still_readings=2, still_within_g=10.0)
    scale = Hx711(Bus(), options)
    assert [values(scale.read()) for _ in range(3)] == [
        {"weight": 0.01, "stable": False},
        {"weight": 0.02, "stable": True},
        {"weight": 0.03001, "stable": False},
    ]


@pytest.mark.parametrize("text", ["8388608\n", "8388607\n"])
def test_a_wire_that_stood_still_is_no_empty_scale(text: str) -> None:
    """All bits low reads as exactly zero, all bits high as minus one: both are refused."""
    with pytest.raises(NotConnected, match="stood still"):
        decode(text)


@given(st.text(max_size=9))
def test_any_text_is_counts_or_refused(text: str) -> None:
    """What passes lies strictly inside the converter's range."""
    try:
        raw = decode(text)
    except DeviceError:
        return
    assert LOWEST < raw < HIGHEST


@pytest.mark.parametrize("kilograms", [-1.0, 0.0, 0.5, 7.25, 19.9])
def test_it_weighs(wire: Wire, kilograms: float) -> None:
    """From the cell through the kernel's file to kilograms, pieces and stillness."""
    scale = opened(wire)
    wire.set(weight=kilograms)
    seen = [values(scale.read()) for _ in range(3)]
    assert [each["weight"] for each in seen] == pytest.approx([kilograms] * 3, abs=0.015)
    assert seen[2]["stable"]
    assert seen[2]["count"] == round(kilograms * 2) or kilograms == 7.25  # 14.5 pieces: either


def test_one_of_several(wire: Wire) -> None:
    """Parts of one name are told apart by the label in their device tree node."""
    assert values(opened(wire, iio="flour").read())["weight"] == pytest.approx(7.5, abs=0.015)
    with pytest.raises(ValueError, match="known weight"):
        Options(tare=0, counts_per_kg=0.0, capacity_kg=1.0)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("nack", DeviceError),
        ("zeros", NotConnected),
        ("ones", NotConnected),
        ("saturated", InvalidData),
        ("cut", InvalidData),
    ],
)
def test_faults_are_errors(wire: Wire, fault: str, error: type[Exception]) -> None:
    """Each fault ends in its own error, and in values again, not yet still, when it is over."""
    scale = opened(wire)
    for _ in range(3):
        scale.read()
    wire.fault(fault)
    with pytest.raises(error) as caught:
        scale.read()
    assert type(caught.value) is error
    wire.fault("none")
    assert not values(scale.read())["stable"]


def test_unplug_and_replug(wire: Wire) -> None:
    """The kernel's driver stays bound to a part that is gone, and says EIO."""
    scale = opened(wire)
    wire.plug(False)
    with pytest.raises(DeviceError, match="disturbed or absent"):
        scale.read()
    wire.plug(True)
    assert len(scale.read()) == 3
