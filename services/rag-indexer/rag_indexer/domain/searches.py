"""Find passages for a question, or say that there is nothing to be found."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rag_indexer.domain import evidence, filtering, fusing, reranking, searching
from rag_indexer.domain.documents import Filters, Vectors
from rag_indexer.domain.evidence import Words
from rag_indexer.domain.fusing import Ranked, Trust
from rag_indexer.domain.ports import Collections, Counts, Encoder, Hits, Passages, Record, SearchOutcome, Terms
from rag_indexer.domain.reranking import Reranker, RerankerAway
from rag_indexer.domain.telling import told
from sage_contracts import index as wire
from sage_contracts import names
from sage_contracts.errors import CollectionNotFound, EncoderAway, PassageNotFound

CANDIDATES = 50
"""Fetched of each kind, before the two rankings become one."""

DEEP = 4
"""Of those ranked, so many times what is asked for are looked at, so that near-duplicates leave enough others."""

Mode = Literal["hybrid", "bm25", "dense"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How passages are ranked; `trust` absent goes by the encoder. All but the default is for measuring it."""

    mode: Mode = "hybrid"
    trust: Trust | None = None


class Searches:
    def __init__(
        self,
        *,
        collections: Collections,
        encoder: Encoder,
        terms: Terms,
        monotonic: Callable[[], float],
        counts: Counts,
        reranker: Reranker | None = None,
        ranking: Ranking = Ranking(),
    ) -> None:
        self._collections = collections
        self._encoder = encoder
        self._terms = terms
        self._monotonic = monotonic
        self._counts = counts
        self._reranker = reranker
        self._ranking = ranking
        self._trust = ranking.trust or fusing.trust(encoder.name)

    async def find(self, request: wire.SearchRequest) -> wire.Found:
        """Raises CollectionNotFound, and InvalidRequest for an unknown filter."""
        name = names.collection(request.collection or names.DOCS_COLLECTION)
        chosen = filtering.chosen(request.filters)
        began = self._monotonic()
        passages = await self._collections.open(name)
        record = await passages.record()
        if record is None and name != names.DOCS_COLLECTION:
            raise CollectionNotFound(f"there is no collection {name!r}", param="collection")
        outcome, found = await self._find(passages, record, request, chosen)
        self._counts.searched(outcome, self._monotonic() - began)
        return found

    async def passage(self, passage_id: str, collection: str | None) -> wire.Passage:
        """From any collection where none is named. Raises PassageNotFound."""
        if collection is not None:
            places = [names.collection(collection)]
        else:
            known = await self._collections.names()
            places = sorted(known, key=lambda name: name != names.DOCS_COLLECTION)
        for place in places:
            passages = await self._collections.open(place)
            if (found := await passages.passage(passage_id)) is not None:
                return told(found, 1.0)
        raise PassageNotFound(f"no passage {passage_id!r} is in the index: its text has changed, or is gone")

    async def _find(
        self, passages: Passages, record: Record | None, request: wire.SearchRequest, chosen: Filters
    ) -> tuple[SearchOutcome, wire.Found]:
        if record is None:
            return "no_index", _nothing("no index")
        if f" {self._terms.fingerprint} " not in record.fingerprint:
            return "no_index", _nothing("the index was made by another version: build it again")
        words = await asyncio.to_thread(evidence.words, request.query, self._terms)
        dense, how = await self._meaning(record, request.query)
        asked = evidence.question(words, dense, self._trust)
        hits = await self._hits(passages, words, dense, max(CANDIDATES, request.top_k), chosen)
        ranked = fusing.fused(hits, self._trust, max(DEEP * request.top_k, reranking.DEPTH))
        ranked, how = await self._reranked(request.query, ranked, how)
        examined = searching.examined(ranked, request.top_k)
        vectors = await passages.vectors([one.passage.id for one in examined]) if examined else {}
        given = searching.given(asked, examined, vectors, request.top_k)
        if not given:
            return "no_evidence", _nothing("nothing in the index speaks of this", how)
        return "evidence", wire.Found(passages=[told(one.passage, one.score) for one in given], evidence=True, how=how)

    async def _hits(self, passages: Passages, words: Words, dense: list[float], limit: int, chosen: Filters) -> Hits:
        hits = await passages.search(Vectors(words.all, dense), limit=limit, chosen=chosen)
        return Hits([], hits.dense) if self._ranking.mode == "dense" else hits

    async def _meaning(self, record: Record, text: str) -> tuple[list[float], wire.How]:
        """The query's vector; empty, and why, when the index cannot be asked by meaning now."""
        how = wire.How(mode=self._ranking.mode, encoder=self._encoder.name)
        if self._ranking.mode == "bm25":
            return [], how
        by_words = wire.How(mode="bm25", encoder=self._encoder.name)
        if not record.fingerprint.startswith(f"{self._encoder.fingerprint} "):
            reason = (
                f"the index was made with the encoder {record.encoder}: only words are compared until it is rebuilt"
            )
            return [], _degraded(by_words, reason)
        try:
            (vector,) = await self._encoder.encode([text], kind="query")
        except EncoderAway as error:
            return [], _degraded(by_words, f"the encoder is away: {error.message}")
        if len(vector) != record.dimensions:
            reason = f"the encoder makes {len(vector)} dimensions now, and made {record.dimensions} for the index"
            return [], _degraded(by_words, reason)
        return vector, how

    async def _reranked(self, query: str, ranked: list[Ranked], how: wire.How) -> tuple[list[Ranked], wire.How]:
        if self._reranker is None or not ranked:
            return ranked, how
        best = ranked[: reranking.DEPTH]
        try:
            relevance = await self._reranker.relevance(query, [reranking.readable(one.passage) for one in best])
        except RerankerAway as error:
            return ranked, _degraded(how, f"the reranker is away: {error}")
        how = wire.How(mode=how.mode, encoder=how.encoder, reranker=self._reranker.name, degraded=how.degraded)
        return reranking.reranked(best, relevance), how


def _degraded(how: wire.How, reason: str) -> wire.How:
    both = f"{how.degraded}; {reason}" if how.degraded else reason
    return wire.How(mode=how.mode, encoder=how.encoder, reranker=how.reranker, degraded=both)


def _nothing(reason: str, how: wire.How | None = None) -> wire.Found:
    return wire.Found(passages=[], evidence=False, reason=reason, how=how)
