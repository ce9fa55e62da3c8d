"""Two rankings as one: how much words and meaning count, by the encoder that made the vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_indexer.domain.documents import StoredPassage
from rag_indexer.domain.ports import Hit, Hits


@dataclass(frozen=True, slots=True)
class Ranked:
    """`score` is at most 1, and compares passages of one search only."""

    passage: StoredPassage
    score: float


@dataclass(frozen=True, slots=True)
class Trust:
    """
    How far an encoder's cosine is to be trusted, as `make eval-rag` measured it.

    `weight` is its part of a score; BM25 has the rest. `floor` is the cosine it gives to texts that have nothing to do
    with each other; where it is None nobody has measured it, and the last candidate of each search stands for it.
    `proof` is how much a cosine above the floor proves that a passage speaks of the question; 0 leaves that to words.
    `enough` is the least that a passage must have of the question to be given, by words and meaning together: with 0.8,
    half of the terms and a fair cosine, or nearly all of the terms. `unspaced` says whether meaning counts so for
    Chinese, Japanese, Korean and Thai as well.
    """

    weight: float
    floor: float | None = None
    proof: float = 0.0
    enough: float = 0.8
    unspaced: bool = False


UNKNOWN = Trust(weight=0.2)
"""Measured with multilingual-e5-small as if nothing were known of it: better than BM25 alone on every set."""

MEASURED = {
    "wordllama": Trust(weight=0.3, floor=0.0, proof=2.0, enough=0.7),
    "e5": Trust(weight=0.5, floor=0.75, proof=2.0, unspaced=True),
}
"""By a part of the encoder's name."""


def trust(encoder: str) -> Trust:
    return next((found for name, found in MEASURED.items() if name in encoder.lower()), UNKNOWN)


def fused(hits: Hits, trusted: Trust, limit: int) -> list[Ranked]:
    """
    Both rankings as one, by score: BM25 as a part of the best one found, and how far the cosine is above the floor.

    By rank (RRF), whatever its k, did worse than BM25 alone on some set with every encoder tried; this did not.
    """
    sparse = _relative(hits.sparse, 0.0)
    if not hits.dense:
        parts = [(1.0, sparse)]
    elif trusted.floor is None:
        parts = [(1 - trusted.weight, sparse), (trusted.weight, _relative(hits.dense, hits.dense[-1].score))]
    else:
        parts = [(1 - trusted.weight, sparse), (trusted.weight, _above(hits.dense, trusted.floor))]
    passages = {hit.passage.id: hit.passage for hit in [*hits.sparse, *hits.dense]}
    found = [
        Ranked(passage, sum(weight * scores.get(key, 0.0) for weight, scores in parts))
        for key, passage in passages.items()
    ]
    return ordered(found)[:limit]


def ordered(found: Sequence[Ranked]) -> list[Ranked]:
    """Best first; equals in the order of the documents, so that the same search always has the same answer."""
    return sorted(found, key=lambda one: (-one.score, one.passage.path, one.passage.first_line))


def _relative(hits: Sequence[Hit], lowest: float) -> dict[str, float]:
    """Each score's place between `lowest`, 0, and the best, 1."""
    span = hits[0].score - lowest if hits else 0.0
    return {hit.passage.id: max(0.0, hit.score - lowest) / span for hit in hits} if span > 0 else {}


def _above(hits: Sequence[Hit], floor: float) -> dict[str, float]:
    return {hit.passage.id: max(0.0, hit.score - floor) / (1 - floor) for hit in hits}
