"""What is text, and why something else is not."""

import pytest

from rag_indexer.domain.decoding import as_text
from rag_indexer.domain.ports import Unreadable


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"plain", "plain"), (b"\xef\xbb\xbfwith a mark", "with a mark"), ("数据".encode(), "数据")],
)
def test_utf8_is_text(data: bytes, text: str) -> None:
    assert as_text(data) == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"PK\x00\x01", "binary, not text"),
        (b"caf\xe9", r"not UTF-8 \(byte 3\)"),
        ("hello".encode("utf-16"), "binary, not text"),
        (b"\xed\xa0\x80", r"not UTF-8 \(byte 0\)"),
    ],
)
def test_anything_else_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        as_text(data)
