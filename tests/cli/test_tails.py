"""Following a log by asking for its end again and again."""

import pytest

from sage_cli import tails


@pytest.mark.parametrize(
    ("before", "now", "fresh"),
    [
        ("", "", ""),
        ("", "ab", "ab"),
        ("ab", "ab", ""),
        ("ab", "abcd", "cd"),
        ("abcd", "cdef", "ef"),
        ("ab", "xyz", "xyz"),
        ("abab", "ababab", "ab"),
        ("aab", "aabab", "ab"),
        ("aaa", "aaa", ""),
        ("baa", "aab", "b"),
        ("abc", "", ""),
    ],
)
def test_only_what_is_new_is_told(before: str, now: str, fresh: str) -> None:
    assert "".join(tails.fresh(list(before), list(now))) == fresh
