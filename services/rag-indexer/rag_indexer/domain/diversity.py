"""No passage twice: of near-duplicates the best stays, and the others come after what says something else."""

import re
from collections.abc import Sequence
from dataclasses import replace

from rag_indexer.domain.fusing import Ranked

NEAR = 0.7
"""From this much alike on, two passages count as saying the same; below it the order is left alone."""

_WORDS = re.compile(r"[\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af]|[^\W\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af]+")


def words(text: str) -> frozenset[str]:
    """The words of a text, and single letters of scripts that have no spaces."""
    return frozenset(_WORDS.findall(text.lower()))


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """From 0, nothing in common, to 1, the same words."""
    common = len(one & other)
    return common / (len(one) + len(other) - common) if common else 0.0


def diverse(ranked: Sequence[Ranked], limit: int) -> list[Ranked]:
    """
    `limit` of `ranked`, best first, at most: by maximal marginal relevance, each with the score it has left.

    A near-duplicate of one already taken keeps only the part of its score that is new. What is not near anything keeps
    its place.
    """
    left = list(ranked)
    known: dict[str, frozenset[str]] = {}
    taken: list[Ranked] = []
    while left and len(taken) < limit:
        place, score = _best(left, taken, known)
        taken.append(replace(left.pop(place), score=score))
    return taken


def _best(left: Sequence[Ranked], taken: Sequence[Ranked], known: dict[str, frozenset[str]]) -> tuple[int, float]:
    """Its place among those `left`, and its score; what has less to begin with need not be compared."""
    best, most = 0, -1.0
    for place, one in enumerate(left):
        if one.score <= most:
            break
        its = _of(one, known)
        nearest = max((alike(its, _of(other, known)) for other in taken), default=0.0)
        score = one.score if nearest < NEAR else one.score * (1 - nearest)
        if score > most:
            best, most = place, score
    return best, most


def _of(one: Ranked, known: dict[str, frozenset[str]]) -> frozenset[str]:
    if one.passage.id not in known:
        known[one.passage.id] = words(one.passage.text)
    return known[one.passage.id]
