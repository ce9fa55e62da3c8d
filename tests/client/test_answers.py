"""Answers as engines write them, in all their dialects."""

import pytest

from sage_client import answers
from sage_client.answers import ChatAnswer, ChatFrame, Embeddings
from sage_contracts.errors import UpstreamError


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'{"choices":[{"delta":{"content":"a"}}]}', "a"),
        (b'{"choices":[{"delta":{"content":null}}]}', ""),
        (b'{"choices":[{"delta":null}]}', ""),
        (b'{"choices":[{}]}', ""),
        (b'{"choices":[],"usage":{"total_tokens":3}}', ""),
        (b'{"usage":null,"unknown":1}', ""),
    ],
)
def test_a_frame_adds_what_it_adds(raw: bytes, text: str) -> None:
    assert answers.read(ChatFrame, raw).text == text


def test_what_nobody_knows_is_kept() -> None:
    answer = answers.read(ChatAnswer, b'{"choices":[{"message":{"content":"a","x":1}}],"y":[2]}', session_id="s")

    assert (answer.raw["y"], answer.raw["choices"][0]["message"]["x"], answer.session_id) == ([2], 1, "s")


def test_vectors_come_in_the_order_of_the_texts() -> None:
    raw = b'{"data":[{"index":1,"embedding":[2.0]},{"index":0,"embedding":[1]}]}'

    assert answers.read(Embeddings, raw).vectors == [[1.0], [2.0]]


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b"null", b"\xff", b'{"choices":5}', b"{}"])
def test_what_is_no_answer_is_an_upstream_error(raw: bytes) -> None:
    with pytest.raises(UpstreamError, match="no ChatAnswer"):
        answers.read(ChatAnswer, raw)
