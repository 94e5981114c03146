"""Frames: however the bytes are split, and whatever they are."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.local.frames import BODY_LIMIT, LINE_LIMIT, Frame, FrameParser, ProtocolError, encode, encode_value

CHUNK = 64 * 1024
headers = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key not in ("kind", "body")),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20) | st.lists(st.text(max_size=3)),
    max_size=4,
).map(lambda fields: {"kind": "x", **fields})
frames = st.lists(st.tuples(headers, st.none() | st.binary(min_size=1, max_size=200)), max_size=5)


def feed(parser: FrameParser, data: bytes) -> list[Frame]:
    parser.feed(data)
    found = []
    while (frame := parser.take()) is not None:
        found.append(frame)
    return found


@given(frames, st.lists(st.integers(0, 2000), max_size=6))
def test_frames_do_not_depend_on_the_split(sent: list[Frame], cuts: list[int]) -> None:
    """The same frames come out wherever the stream is cut."""
    stream = b"".join(encode(header, body) for header, body in sent)
    parser, found, begin = FrameParser(), [], 0
    for end in [*sorted(cut for cut in cuts if cut < len(stream)), len(stream)]:
        found += feed(parser, stream[begin:end])
        begin = end
    assert [({key: value for key, value in header.items() if key != "body"}, body) for header, body in found] == sent
    assert parser.held == 0


def test_frames_survive_single_bytes() -> None:
    """A stream that arrives byte by byte gives the same frames."""
    stream = encode({"kind": "a"}, b"[1,2]\n{") + encode({"kind": "b", "text": "가\n"})
    parser = FrameParser()
    found = [frame for index in range(len(stream)) for frame in feed(parser, stream[index : index + 1])]
    assert found == [({"kind": "a", "body": 7}, b"[1,2]\n{"), ({"kind": "b", "text": "가\n"}, None)]


@given(st.lists(st.binary(max_size=300) | st.sampled_from([b"\n", b'{"kind":"x"}\n', b'{"kind":"x","body":9}\n'])))
@example([b"[" * 60_000 + b"\n"])
@example([b'{"kind":"x","n":' + b"1" * 5000 + b"}\n"])
@example([b'{"kind":"x","t":"\\ud800"}\n'])
@example([b'{"kind":"x","n":NaN}\n'])
@example([b"\xff\n"])
def test_hostile_bytes_end_in_a_protocol_error(chunks: list[bytes]) -> None:
    """Arbitrary bytes give frames or a ProtocolError, never another exception, and nothing piles up."""
    parser = FrameParser()
    try:
        for chunk in chunks:
            feed(parser, chunk)
            assert parser.held <= LINE_LIMIT + BODY_LIMIT
    except ProtocolError:
        return


@pytest.mark.parametrize("line", [b"[]", b"1", b'{"no":"kind"}', b'{"kind":1}', b"", b'{"kind":"x","t":"\\uDC00"}'])
def test_a_line_must_be_an_object_with_a_kind(line: bytes) -> None:
    """JSON that is no object with a text `kind`, or that nothing could store, is refused."""
    with pytest.raises(ProtocolError):
        feed(FrameParser(), line + b"\n")


@pytest.mark.parametrize("length", ["0", "-1", "true", "1.5", '"7"', "null", str(BODY_LIMIT + 1)])
def test_a_body_length_must_be_within_bounds(length: str) -> None:
    """A body of impossible length is refused before a byte of it is kept."""
    with pytest.raises(ProtocolError, match="body"):
        feed(FrameParser(), f'{{"kind":"x","body":{length}}}\n'.encode())


def test_an_endless_line_is_refused_while_it_comes() -> None:
    """A line longer than 64 KiB is refused without waiting for its end; one of exactly 64 KiB is taken."""
    frame = b'{"kind":"x","t":"' + b"a" * (LINE_LIMIT - 19) + b'"}'
    assert len(frame) == LINE_LIMIT
    assert len(feed(FrameParser(), frame + b"\n")) == 1
    parser = FrameParser()
    feed(parser, b"a" * LINE_LIMIT)
    with pytest.raises(ProtocolError, match="longer"):
        feed(parser, b"a")
    with pytest.raises(ProtocolError, match="longer"):
        feed(FrameParser(), b" " + frame + b"\n")


def test_the_largest_body_passes() -> None:
    """A body of exactly 1 MiB arrives whole; one byte more can't be sent."""
    body = b"z" * BODY_LIMIT
    parser = FrameParser()
    stream = encode({"kind": "records"}, body)
    found = [frame for start in range(0, len(stream), CHUNK) for frame in feed(parser, stream[start : start + CHUNK])]
    assert found == [({"kind": "records", "body": BODY_LIMIT}, body)]
    with pytest.raises(ProtocolError):
        encode({"kind": "records"}, body + b"z")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_values_are_encoded_as_json(value: object) -> None:
    """Item-by-item encoding is the JSON that json.loads gives back, also for lone surrogates."""
    assert json.loads(encode_value(value)) == value


def test_not_a_number_is_never_sent() -> None:
    """NaN is no JSON: the sender is told, not the receiver."""
    with pytest.raises(ValueError, match="JSON"):
        encode({"kind": "x", "value": float("nan")})
