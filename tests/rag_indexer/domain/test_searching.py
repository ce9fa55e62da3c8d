"""The order of passages, and whether they speak of what was asked."""

from collections.abc import Sequence

import pytest

from rag_indexer.domain.documents import Sparse, Vectors
from rag_indexer.domain.ports import Hit, Hits
from rag_indexer.domain.searching import fused, is_evidence
from tests.rag_indexer.parts import passage


def hits(scores: dict[str, float]) -> list[Hit]:
    return [Hit(passage(name), score) for name, score in scores.items()]


@pytest.mark.parametrize(
    ("sparse", "dense", "order"),
    [
        ({}, {}, ""),
        ({"a": 9.0, "b": 3.0}, {}, "ab"),
        ({}, {"b": 0.5, "a": 0.4}, "ba"),
        ({"a": 9.0, "b": 8.9}, {"b": 0.6, "a": 0.1}, "ba"),
        ({"a": 9.0, "b": 3.0}, {"b": 0.9}, "ab"),
        ({"a": 9.0}, {"c": 0.9}, "ac"),
        ({"b": 2.0, "a": 2.0}, {}, "ab"),
        ({"a": 1.0}, {"b": -0.5}, "ab"),
    ],
)
def test_terms_lead_and_meaning_decides_between_near_ones(
    sparse: dict[str, float], dense: dict[str, float], order: str
) -> None:
    found = fused(Hits(hits(sparse), hits(dense)), limit=10)

    assert "".join(ranked.passage.path for ranked in found) == order
    assert all(0 <= ranked.score <= 1 for ranked in found)


def test_no_more_than_the_limit_are_ranked() -> None:
    assert len(fused(Hits(hits({"a": 3.0, "b": 2.0, "c": 1.0}), []), limit=2)) == 2


def seen(terms: Sequence[int], cosine: float) -> Vectors:
    """A passage with these terms, at this cosine from the query [1, 0]."""
    return Vectors(Sparse(list(terms), [1.0] * len(terms)), [cosine, (1 - cosine**2) ** 0.5])


@pytest.mark.parametrize(
    ("query", "found", "expected"),
    [
        ([1, 2, 3], [], False),
        ([], [seen([1], 0.3)], False),
        ([], [seen([1], 0.5)], True),
        ([1, 2, 3], [seen([1, 2, 3, 9], 0.0)], True),
        ([1, 2], [seen([1], 0.25)], True),
        ([1, 2, 3], [seen([1], 0.1)], False),
        ([1], [seen([1], 0.0)], False),
        ([1], [seen([1], 0.2)], True),
        ([1, 2, 3], [seen([1], 0.0), seen([1, 2, 3], 0.1)], True),
        ([1, 2, 3], [seen([9], 0.0)] * 5 + [seen([1, 2, 3], 0.9)], False),
        ([1, 2, 3], [seen([9], -0.9)], False),
    ],
)
def test_evidence_is_a_passage_with_the_questions_terms_or_its_meaning(
    query: list[int], found: list[Vectors], *, expected: bool
) -> None:
    assert is_evidence(query, [1.0, 0.0], found) is expected
