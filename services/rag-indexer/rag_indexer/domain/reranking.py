"""A second, slower look at the best passages, by a model that reads the question and a passage together."""

from collections.abc import Sequence
from typing import Protocol

from rag_indexer.domain.documents import StoredPassage
from rag_indexer.domain.fusing import Ranked, ordered

DEPTH = 20
"""So many of the best passages are read."""
MAX_LETTERS = 4_000
"""Of a passage: rerankers have small windows, and time goes by length."""


class RerankerAway(Exception):
    """It did not answer in time, or not usefully; the message says how."""


class Reranker(Protocol):
    @property
    def name(self) -> str: ...

    async def relevance(self, query: str, texts: Sequence[str]) -> list[float]:
        """Of each text, from 0 to 1. Raises RerankerAway."""
        ...


def readable(passage: StoredPassage) -> str:
    return f"{passage.title}\n{passage.heading}\n{passage.text}"[:MAX_LETTERS]


def reranked(ranked: Sequence[Ranked], relevance: Sequence[float]) -> list[Ranked]:
    """By relevance, as far as it was asked for; the rest is left out: its scores would not compare."""
    return ordered([Ranked(one.passage, score) for one, score in zip(ranked, relevance, strict=False)])
