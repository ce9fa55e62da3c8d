"""Frames are the same however the bytes were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_contracts import sse
from sage_contracts.sse import Frames

frame_data = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)
endings = st.sampled_from([b"\n\n", b"\r\n\r\n"])


@given(st.lists(st.tuples(frame_data, endings), max_size=20), st.data())
@pytest.mark.slow
def test_any_cut_gives_the_same_frames(parts: list[tuple[str, bytes]], cuts: st.DataObject) -> None:
    whole = [b"data: " + text.encode() + ending for text, ending in parts]
    stream = b"".join(whole)
    frames = Frames()
    found: list[bytes] = []
    position = 0
    while position < len(stream):
        step = cuts.draw(st.integers(1, len(stream) - position))
        found += frames.feed(stream[position : position + step])
        position += step

    assert b"".join(found) == stream
    assert [sse.data(frame) for frame in found] == [text.encode() for text, _ in parts]


def test_what_comes_after_the_last_frame_is_the_rest() -> None:
    frames = Frames()

    assert frames.feed(b"data: 1\n\ndata: 2\n") == [b"data: 1\n\n"]
    assert frames.rest() == b"data: 2\n"


def test_a_frame_without_end_is_refused() -> None:
    frames = Frames(limit=100)

    with pytest.raises(ValueError, match="longer than 100"):
        for _ in range(20):
            frames.feed(b"x" * 10)


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        (b": ping\n\n", None),
        (b"event: x\n\n", None),
        (b"data: [DONE]\n\n", b"[DONE]"),
        (b"data:no space\n\n", b"no space"),
        (b"event: m\r\ndata: 1\r\n\r\n", b"1"),
        (b"data: 1\ndata: 2\n\n", b"1\n2"),
        (b"data: \n\n", b""),
    ],
)
def test_data_of_a_frame(frame: bytes, data: bytes | None) -> None:
    assert sse.data(frame) == data


def test_an_event_is_one_frame() -> None:
    assert Frames().feed(sse.event({"a": "\n\n"})) == [b'data: {"a":"\\n\\n"}\n\n']
