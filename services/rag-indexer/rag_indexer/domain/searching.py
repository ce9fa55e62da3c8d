"""Which of the passages found are given, and whether any is: decided from values alone."""

from collections.abc import Mapping, Sequence

from rag_indexer.domain import diversity
from rag_indexer.domain.documents import Vectors
from rag_indexer.domain.evidence import Question
from rag_indexer.domain.fusing import Ranked

EXAMINED = 5
"""So many passages are looked at for evidence at least, however few are asked for."""

FAINT = 0.6
"""What has less than this part of the best one's score is not given; near-duplicates fall below it."""
RELEVANT = 0.6
"""Nor is what has less than this part of the most that any has of the question."""


def examined(ranked: Sequence[Ranked], top_k: int) -> list[Ranked]:
    """Those that may be given, and a few more."""
    return diversity.diverse(ranked, max(top_k, EXAMINED))


def given(asked: Question, found: Sequence[Ranked], vectors: Mapping[str, Vectors], top_k: int) -> list[Ranked]:
    """Best first; none when nothing found is worth quoting. A passage without vectors has gone meanwhile."""
    worth = {one.passage.id: asked.worth(vectors[one.passage.id]) for one in found if one.passage.id in vectors}
    most = max(worth.values(), default=0.0)
    if most < asked.enough:
        return []
    kept = [one for one in found if worth.get(one.passage.id, 0.0) >= RELEVANT * most]
    best = max(one.score for one in kept)
    return [one for one in kept if one.score >= FAINT * best][:top_k]
