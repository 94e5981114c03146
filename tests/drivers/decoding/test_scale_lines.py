"""Lines of weighing indicators: examples of the manuals, damaged ones, and that no damage gives nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decoding.scale_lines import DECODERS, Decoded, is_surely_whole
from gateway.core.errors import DeviceTimeout, InvalidData, SensorFailure

WHOLE = {"st_gs": b"ST,GS,+00012.34kg\r\n", "mt_sics": b"S S     100.00 g\r\n", "plain": b"    12.34 kg ? N\r\n"}


@pytest.mark.parametrize(
    ("format", "line", "expected"),
    [
        ("st_gs", b"ST,GS,+00012.34kg\r\n", (12.34, True, False)),
        ("st_gs", b"US,GS,-00000.50kg\r\n", (-0.5, False, False)),
        ("st_gs", b"ST,NT,+  1500  g\r\n", (1.5, True, True)),
        ("st_gs", b"ST,NT,+0010.00lb\r\n", (4.5359237, True, True)),
        ("mt_sics", b"S S     100.00 g\r\n", (0.1, True, False)),
        ("mt_sics", b"S D     129.07 g\r\n", (0.12907, False, False)),
        ("mt_sics", b"S S      -1.234 kg\r\n", (-1.234, True, False)),
        ("plain", b"    12.34 kg\r\n", (12.34, True, False)),
        ("plain", b"  -  0.50 lb ?\r\n", (-0.226796185, False, False)),
        ("plain", b"   1500 g ? N\r\n", (1.5, False, False)),
    ],
)
def test_the_formats(format: str, line: bytes, expected: Decoded) -> None:
    """Sign, unit, motion and tare of each format."""
    weight_kg, stable, net = DECODERS[format](line)
    assert weight_kg == pytest.approx(expected[0])
    assert (stable, net) == expected[1:]


@pytest.mark.parametrize(
    ("format", "line"),
    [
        *(("st_gs", line) for line in (b"", b"\r\n", b"GS,+00012.34kg\r\n", b"ST,GS,+00012.34oz\r\n")),
        *(("st_gs", line) for line in (b"ST,GS,00012.34kg\r\n", b"ST,GS,+kg\r\n", b"ST,GS,+1.2.3kg\r\n")),
        *(("st_gs", line) for line in (b"xST,GS,+00012.34kg\r\n", b"ST,GS,+00012.34kg")),
        *(("mt_sics", line) for line in (b"ES\r\n", b"S S 1.2 kg\n", b"S X     1.00 kg\r\n", b"S S  1.00\r\n")),
        *(("plain", line) for line in (b"12.34\r\n", b"12,34 kg\r\n", b"ST,GS,+00012.34kg\r\n")),
    ],
)
def test_a_foreign_or_damaged_line_is_refused(format: str, line: bytes) -> None:
    """There is no checksum: the form must fit wholly."""
    with pytest.raises(InvalidData, match="is not a weight like"):
        DECODERS[format](line)


@pytest.mark.parametrize(
    ("format", "line"), [("st_gs", b"OL,GS,+99999.99kg\r\n"), ("mt_sics", b"S +\r\n"), ("mt_sics", b"S -\r\n")]
)
def test_overload_is_the_scales_own_fault(format: str, line: bytes) -> None:
    """What it says then may have a number in it that is no weight."""
    with pytest.raises(SensorFailure, match="overload"):
        DECODERS[format](line)


def test_a_busy_scale_has_no_weight() -> None:
    """MT-SICS: command understood, not executable at present."""
    with pytest.raises(DeviceTimeout, match="busy"):
        DECODERS["mt_sics"](b"S I\r\n")


@pytest.mark.parametrize(
    ("format", "example"),
    [("st_gs", "'ST,GS,+00012.34kg'"), ("mt_sics", "'S S     12.340 kg'"), ("plain", "'   12.34 kg'")],
)
def test_a_foreign_line_is_refused_with_an_example_of_ours(format: str, example: str) -> None:
    """So that whoever sets the indicator up sees what to choose."""
    with pytest.raises(InvalidData) as refused:
        DECODERS[format](b"?\r\n")
    assert f"is not a weight like {example}: set the indicator" in str(refused.value)


def test_a_plain_line_may_have_lost_its_first_digits() -> None:
    """Of 112.34 kg a cut may leave 12.34 kg; the other formats begin with letters."""
    assert [is_surely_whole(line, format) for format, line in WHOLE.items()] == [True, True, False]
    for format in ("st_gs", "mt_sics"):
        assert not any(is_surely_whole(WHOLE[format][cut:], format) for cut in range(1, len(WHOLE[format])))


@given(st.sampled_from(sorted(WHOLE)), st.binary(max_size=24), st.integers(0, 127))
def test_any_bytes_are_a_weight_or_refused(format: str, noise: bytes, bit: int) -> None:
    """Noise and flipped bits give a number that a scale can show, or an error."""
    line = WHOLE[format]
    flipped = (int.from_bytes(line, "big") ^ 1 << bit).to_bytes(len(line), "big")
    for each in (noise, noise + b"\r\n", flipped):
        try:
            weight_kg, _, _ = DECODERS[format](each)
        except (InvalidData, SensorFailure, DeviceTimeout):
            continue
        assert abs(weight_kg) < 1e8
