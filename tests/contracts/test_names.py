"""What may name a session or an engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_contracts import names
from sage_contracts.errors import InvalidRequest


@pytest.mark.parametrize("good", ["a", "A-1_b.c:d", "x" * 128, "...", "-", "0"])
def test_a_plain_id_is_itself(good: str) -> None:
    assert names.session_id(good) == names.engine_id(good) == good


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "a/b", "a\\b", "a b", "a\n", "\0", "é", "😀", "x" * 129, "a%2Fb", "{a}", "*"]
)
def test_what_could_break_a_path_or_a_key_is_refused(bad: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        names.session_id(bad)
    assert caught.value.param == "session_id"


@given(st.text(max_size=200))
def test_whatever_passes_is_safe_in_a_url_and_a_key(text: str) -> None:
    if names.is_id(text):
        assert text.isascii()
        assert not set(text) & set("/\\ \t\r\n\0{}*?#%")
