"""The scale's stream: lines, freshness, and the indicator on a real pseudo-terminal."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers.scale import Options, Scale, decode
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected, SensorFailure
from gateway.core.reading import Sample

Tell = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize(
    ("line", "weight_kg", "stable"),
    [
        (b"ST,GS,+00012.34kg\r\n", 12.34, True),
        (b"US,GS,-00000.50kg\r\n", -0.5, False),
        (b"ST,NT,+  1500  g\r\n", 1.5, True),
    ],
)
def test_decode(line: bytes, weight_kg: float, stable: bool) -> None:
    """Sign, unit and motion."""
    weight, motion = decode(line)
    assert weight.channel == "weight"
    assert weight.value == pytest.approx(weight_kg)
    assert motion == Sample("stable", stable)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n",
        b"GS,+00012.34kg\r\n",
        b"ST,GS,+00012.34lb\r\n",
        b"ST,GS,00012.34kg\r\n",
        b"ST,GS,+kg\r\n",
        b"ST,GS,+1.2.3kg\r\n",
        b"xST,GS,+00012.34kg\r\n",
        b"ST,GS,+00012.34kg",
    ],
)
def test_a_damaged_line_is_refused(line: bytes) -> None:
    """There is no checksum: the form must fit wholly."""
    with pytest.raises(InvalidData):
        decode(line)


def test_overload_is_the_scales_own_fault() -> None:
    """OL has a number in it that is no weight."""
    with pytest.raises(SensorFailure, match="overload"):
        decode(b"OL,GS,+99999.99kg\r\n")


class Stream:
    """A port: `old` is what waits in the buffer, `new` comes after the discarding."""

    def __init__(self, old: list[bytes], new: list[bytes]) -> None:
        self.lines, self.new = old, new

    def discard_input(self) -> None:
        self.lines = self.new

    def read_until(self, *_: object) -> bytes:
        if not self.lines:
            raise DeviceTimeout("silence")
        return self.lines.pop(0)


def test_what_waits_in_the_buffer_is_never_the_weight_now() -> None:
    """Old lines are thrown away; a cut first line is passed over."""
    scale = Scale(Stream([b"ST,GS,+00001.00kg\r\n"] * 9, [b"2.00kg\r\n", b"ST,GS,+00003.00kg\r\n"]), Options())  # type: ignore[arg-type]  # the calls a scale makes
    assert scale.read()[0].value == 3.0


def test_a_whole_first_line_is_taken() -> None:
    """A line that began after the discarding is of now: no second one is waited for."""
    assert Scale(Stream([], [b"ST,GS,+00003.00kg\r\n"]), Options()).read()[0].value == 3.0  # type: ignore[arg-type]  # as above


def test_a_silent_scale_is_a_timeout_whatever_it_said_before() -> None:
    """No new line, no value."""
    with pytest.raises(DeviceTimeout):
        Scale(Stream([b"ST,GS,+00001.00kg\r\n"], []), Options()).read()  # type: ignore[arg-type]  # as above


def test_reads_the_simulated_scale(device: Callable[..., Any], tell: Tell) -> None:
    """The weight on the platform."""
    scale = device("scale")
    weight, stable = scale.read()
    assert 0 <= weight.value < 150
    assert stable.value in {True, False}
    tell("unplug stock_scale")
    with pytest.raises(NotConnected):
        scale.read()
    tell("plug stock_scale")
    assert scale.read()[0].channel == "weight"
