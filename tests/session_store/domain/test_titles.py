"""Titles as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_contracts.sessions import NewMessage
from session_store.domain.titles import MAX_CHARS, shortened, title_from
from tests.session_store.parts import said

LONG = "Please explain how the gateway chooses an engine when several are ready"


@pytest.mark.parametrize(
    ("messages", "title"),
    [
        ([said("user", "Hello there")], "Hello there"),
        ([said("system", "Be brief"), said("user", "Hi")], "Hi"),
        ([said("assistant", "Welcome")], ""),
        ([said("user", "  "), said("user", "second")], "second"),
        ([said("user", "two\n\nlines\tand  spaces")], "two lines and spaces"),
        ([said("user", "a\x00b\x1b[31mc")], "a b [31mc"),
        ([said("user", "a\u202eb \u200b")], "a b"),
        ([said("user", "👩\u200d💻 می\u200cشود")], "👩\u200d💻 می\u200cشود"),
        ([said("user", "\u200d \u200c"), said("user", "x")], "x"),
        ([said("user", LONG)], "Please explain how the gateway chooses an engine when…"),
        ([said("user", "x" * 100)], "x" * 59 + "…"),
        ([said("user", "日本語" * 40)], ("日本語" * 40)[:59] + "…"),
        ([said("user", "word, " * 20)], "word, " * 9 + "word…"),
        ([NewMessage(role="user", content=[{"type": "text", "text": "look"}, {"type": "image_url"}])], "look"),
        ([NewMessage(role="user", content=[{"type": "text", "text": 5}])], ""),
        ([NewMessage(role="user", content=None)], ""),
        ([], ""),
    ],
)
def test_a_title_is_the_first_question_on_one_line(messages: list[NewMessage], title: str) -> None:
    assert title_from(messages) == title


@given(st.text())
def test_a_title_is_never_too_long(text: str) -> None:
    assert len(shortened(text)) <= MAX_CHARS
