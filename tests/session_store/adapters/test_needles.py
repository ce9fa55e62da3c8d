"""What is looked for on the server is in every text that holds the words."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from session_store.adapters.needles import needles


def is_folded_to_latin(character: str) -> bool:
    return not character.isascii() and any(one.isascii() for one in character.casefold())


LETTERS = st.text(
    st.one_of(
        st.sampled_from('aA bB"\\/\nsSßéÉжЖ日本語ΔδςtT0'),
        st.characters(max_codepoint=0xFFFF, exclude_categories=["C"]).filter(lambda one: not is_folded_to_latin(one)),
    ),
    max_size=12,
)


def low(text: str) -> bytes:
    """As the server sees it: JSON, its ASCII letters in lower case."""
    return msgspec.json.encode(text).lower()


@settings(deadline=None)
@given(before=LETTERS, words=LETTERS, after=LETTERS)
def test_no_text_that_holds_the_words_is_passed_over(before: str, words: str, after: str) -> None:
    for written in {words, words.upper(), words.lower(), words.swapcase()}:
        if words.casefold() in written.casefold():
            assert any(needle in low(before + written + after) for needle in needles(words.casefold()))


def test_what_tells_most_is_looked_for() -> None:
    assert needles("say: hello \\ there") == [b"say: hello "]
    assert needles("straße".casefold()) == [b"stra"]
    assert needles("in 日本語") == ["日本語".encode()]
    assert len(needles("жизнь")) == 8
