"""Two rankings as one."""

import pytest

from rag_indexer.domain.fusing import UNKNOWN, Trust, fused, trust
from rag_indexer.domain.ports import Hit, Hits
from tests.rag_indexer.parts import passage

WEAK = Trust(weight=0.3, floor=0.0)
HIGH = Trust(weight=0.5, floor=0.8)


def hits(scores: dict[str, float]) -> list[Hit]:
    return [Hit(passage(name), score) for name, score in scores.items()]


@pytest.mark.parametrize(
    ("trusted", "sparse", "dense", "order"),
    [
        (WEAK, {}, {}, ""),
        (WEAK, {"a": 9.0, "b": 3.0}, {}, "ab"),
        (WEAK, {}, {"b": 0.5, "a": 0.4}, "ba"),
        (WEAK, {"a": 9.0, "b": 8.9}, {"b": 0.6, "a": 0.1}, "ba"),
        (WEAK, {"a": 9.0, "b": 3.0}, {"b": 0.9}, "ab"),
        (WEAK, {"a": 9.0}, {"c": 0.9}, "ac"),
        (WEAK, {"b": 2.0, "a": 2.0}, {}, "ab"),
        (WEAK, {"a": 1.0}, {"b": -0.5}, "ab"),
        (HIGH, {"a": 9.0, "b": 5.0}, {"b": 0.95, "a": 0.75}, "ba"),
        (HIGH, {"a": 9.0, "b": 5.0}, {"b": 0.82, "a": 0.81}, "ab"),
        (UNKNOWN, {"a": 9.0, "b": 7.0}, {"b": 0.91, "a": 0.90, "c": 0.89}, "abc"),
        (UNKNOWN, {"a": 9.0, "b": 8.0}, {"b": 0.91, "c": 0.90, "a": 0.89}, "bac"),
        (UNKNOWN, {"a": 9.0}, {"b": 0.9}, "ab"),
        (UNKNOWN, {}, {"b": -0.1, "a": -0.1}, "ab"),
    ],
)
def test_words_lead_as_far_as_the_encoder_is_not_trusted(
    trusted: Trust, sparse: dict[str, float], dense: dict[str, float], order: str
) -> None:
    found = fused(Hits(hits(sparse), hits(dense)), trusted, limit=10)

    assert "".join(ranked.passage.path for ranked in found) == order
    assert all(0 <= ranked.score <= 1 for ranked in found)


def test_without_a_vector_the_best_by_words_has_the_whole_score() -> None:
    assert [one.score for one in fused(Hits(hits({"a": 8.0, "b": 2.0}), []), WEAK, limit=10)] == [1.0, 0.25]


def test_no_more_than_the_limit_are_ranked() -> None:
    assert len(fused(Hits(hits({"a": 3.0, "b": 2.0, "c": 1.0}), []), WEAK, limit=2)) == 2


@pytest.mark.parametrize(
    ("name", "known"),
    [("wordllama-l2-supercat", True), ("intfloat/multilingual-E5-small", True), ("nobody/has-measured-this", False)],
)
def test_an_encoder_is_known_by_a_part_of_its_name(name: str, *, known: bool) -> None:
    assert (trust(name) is not UNKNOWN) is known
