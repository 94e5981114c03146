"""The scale: freshness, both modes, counting, and the indicator on a real pseudo-terminal."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers.scale import SPEC, Options, Scale, decode
from gateway.core.errors import DeviceTimeout, InvalidData, NotConnected
from gateway.core.quality import Quality
from gateway.core.reading import Sample
from tests.drivers.wire import Wire, values

Tell = Callable[[str], dict[str, Any]]
PORT = "/dev/serial/by-id/usb-SCALE"


def test_the_samples_are_those_of_the_channels() -> None:
    """Weight and motion, pieces where one's weight is known, net where the format tells it."""
    assert decode(b"ST,NT,+00012.34kg\r\n", Options()) == (
        Sample("weight", 12.34),
        Sample("stable", True),
        Sample("net", True),
    )
    for options, line in (
        (Options(), b"ST,GS,+00001.00kg\r\n"),
        (Options(format="mt_sics"), b"S S 1.00 kg\r\n"),
        (Options(format="plain", unit_weight_g=250.0), b"1.00 kg\r\n"),
    ):
        named = [sample.channel for sample in decode(line, options)]
        assert named == [channel.name for channel in SPEC.channels(options)]


def test_pieces_are_counted_by_their_weight() -> None:
    """Twelve eggs of 58 g; a weight between two numbers of them is Uncertain."""
    options = Options(unit_weight_g=58.0)
    (count,) = [each for each in decode(b"ST,GS,+0000.700kg\r\n", options) if each.channel == "count"]
    assert (count.value, count.reason.quality) == (12, Quality.GOOD)
    (count,) = [each for each in decode(b"ST,GS,+0000.725kg\r\n", options) if each.channel == "count"]
    assert count.reason.quality is Quality.UNCERTAIN


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"command": "P"}, "is not asked"), ({"mode": "request", "command": "W\r\n"}, "is no command")],
)
def test_commands_that_can_not_be(changes: dict[str, Any], words: str) -> None:
    """A stream is not asked, and the end of the line is ours."""
    with pytest.raises(ValueError, match=words):
        Options(**changes)


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


def test_a_request_is_a_command_and_then_a_line() -> None:
    """Nothing is awaited behind the command but the line."""
    asked = []

    class Asked(Stream):
        def request(self, *what: object) -> bytes:
            asked.append(what)
            return b""

    port: Any = Asked([b"S S 1.00 kg\r\n"], [])
    assert values(Scale(port, Options(mode="request", format="mt_sics")).read())["weight"] == 1.0
    assert asked == [(b"SI\r\n", 0, 0.0)]


def reader(old: list[bytes], new: list[bytes], **options: Any) -> Scale:
    """A scale on such a port."""
    return Scale(Stream(old, new), Options(**options))  # type: ignore[arg-type]  # the calls a scale makes


def test_what_waits_in_the_buffer_is_never_the_weight_now() -> None:
    """Old lines are thrown away; a cut first line is passed over."""
    scale = reader([b"ST,GS,+00001.00kg\r\n"] * 9, [b"2.00kg\r\n", b"ST,GS,+00003.00kg\r\n"])
    assert scale.read()[0].value == 3.0


def test_a_whole_first_line_is_taken() -> None:
    """A line that began after the discarding is of now: no second one is waited for."""
    assert reader([], [b"ST,GS,+00003.00kg\r\n"]).read()[0].value == 3.0


def test_a_cut_plain_line_is_never_a_weight() -> None:
    """What is left of 112.34 kg looks like a weight: the first line is passed over whatever it looks like."""
    scale = reader([], [b"12.34 kg\r\n", b"  112.34 kg\r\n"], format="plain")
    assert scale.read()[0].value == 112.34


def test_a_silent_scale_is_a_timeout_whatever_it_said_before() -> None:
    """No new line, no value."""
    with pytest.raises(DeviceTimeout):
        reader([b"ST,GS,+00001.00kg\r\n"], []).read()


def test_reads_the_simulated_scale(device: Callable[..., Any], tell: Tell) -> None:
    """The weight on the platform."""
    scale = device("scale")
    weight, stable, net = scale.read()
    assert 0 <= weight.value < 150
    assert stable.value in {True, False}
    assert net.value is False
    tell("unplug stock_scale")
    with pytest.raises(NotConnected):
        scale.read()
    tell("plug stock_scale")
    assert scale.read()[0].channel == "weight"


@pytest.mark.parametrize("format", ["st_gs", "mt_sics", "plain"])
@pytest.mark.parametrize("command", ["", "W"])
def test_a_scale_that_answers(wire: Wire, format: str, command: str) -> None:
    """Asked, it says what lies there, in each format and with its own command."""
    wire.place("scale", "serial", PORT, mode="request", format=format, command=command)
    scale = wire.open()
    for weight_kg, stable in ((12.34, True), (0.0, True), (-0.5, True), (99.99, True)):
        wire.set(weight=weight_kg, stable=float(stable))
        seen = values(scale.read())
        assert seen["weight"] == pytest.approx(weight_kg, abs=0.006)
        assert seen["stable"] is stable
    wire.set(stable=0.0)
    assert values(scale.read())["stable"] is False


def test_noise_on_the_line_is_no_weight(wire: Wire) -> None:
    """All ones, noise, half a line and silence are refused."""
    wire.place("scale", "serial", PORT, mode="request")
    scale = wire.open()
    for fault in ("ones", "garbage", "half", "nack"):
        wire.fault(fault)
        with pytest.raises((InvalidData, DeviceTimeout)):
            scale.read()
