"""Which words of a text can be found."""

import pytest

from rag_indexer.adapters.bm25_terms import Bm25Terms


def shares(one: str, other: str) -> bool:
    terms = Bm25Terms()
    return not set(terms.of_query(one).indices).isdisjoint(terms.of_passage(other).indices)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("user id", "call getUserById with a number"),
        ("getUserById", "call getUserById with a number"),
        ("running", "what ran and what runs"),
        ("SESSIONS", "one session"),
        ("连接池", "数据库连接池的配置"),
        ("数据库 timeout", "the timeout is 5 s"),
        ("timeout", "数据库的 timeout 是 5"),
        ("データベース", "データベースの設定"),
        ("8000", "port 8000"),
    ],
)
def test_a_word_is_found_in_its_other_forms_and_scripts(query: str, text: str) -> None:
    assert shares(query, text)


@pytest.mark.parametrize(
    ("query", "text"), [("the of and", "the of and"), ("", "text"), ("cats", "dogs"), ("!?", "!?")]
)
def test_stop_words_and_signs_are_no_terms(query: str, text: str) -> None:
    assert not shares(query, text)
