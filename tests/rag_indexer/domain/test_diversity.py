"""Near-duplicates make room."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rag_indexer.domain.diversity import NEAR, alike, diverse, words
from rag_indexer.domain.fusing import Ranked
from tests.rag_indexer.parts import passage

LONG = "The gateway keeps the turns of a conversation in Redis and gives the engine what fits its window"


def ranked(*texts: str) -> list[Ranked]:
    return [Ranked(passage(f"{place}.md", text), 1 - place / 10) for place, text in enumerate(texts)]


def paths(found: list[Ranked]) -> list[str]:
    return [one.passage.path for one in found]


def test_a_near_duplicate_comes_after_what_says_something_else() -> None:
    found = diverse(ranked(LONG, LONG + " today", "Engines are drained before they stop"), 3)

    assert paths(found) == ["0.md", "2.md", "1.md"]
    assert found[2].score < found[1].score


def test_the_same_text_twice_has_no_score_left() -> None:
    assert diverse(ranked(LONG, LONG), 2)[1].score == 0


def test_what_is_not_near_anything_keeps_its_place_and_score() -> None:
    different = ranked("one fish", "two birds", "three trees in a row", "no fish at all here")

    assert diverse(different, 3) == different[:3]


@given(some.lists(some.sampled_from(["a b c d", "a b c d e", "x y", "x y z w", ""]), max_size=12), some.integers(1, 8))
def test_the_best_stays_first_and_nothing_is_given_twice(texts: list[str], limit: int) -> None:
    before = ranked(*texts)
    found = diverse(before, limit)

    assert len(found) == min(limit, len(texts))
    assert len(set(paths(found))) == len(found)
    assert paths(found)[:1] == paths(before)[:1]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        (LONG, LONG.upper(), True),
        (LONG, LONG.replace("Redis", "Valkey"), True),
        (LONG, "Something else altogether", False),
        ("会话保存在数据库里", "会话保存在数据库中", True),
        ("会话保存在数据库里", "引擎停止之前先排空", False),
        ("", "", False),
    ],
)
def test_texts_are_alike_by_their_words(one: str, other: str, *, near: bool) -> None:
    assert (alike(words(one), words(other)) >= NEAR) is near
    assert alike(words(one), words(other)) == alike(words(other), words(one))
