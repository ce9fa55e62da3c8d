"""Find passages for a question, or say that there is nothing to be found."""

import asyncio
from collections.abc import Callable, Mapping

from rag_indexer.domain import searching
from rag_indexer.domain.documents import Filters, Vectors
from rag_indexer.domain.ports import Counts, Encoder, Passages, SearchOutcome, Terms
from rag_indexer.domain.searching import Ranked
from sage_contracts import index as wire
from sage_contracts.errors import InvalidRequest, NotFound

COLLECTION = "docs"

CANDIDATES = 50
"""Fetched of each kind, before the two rankings become one."""


class Searches:
    """`fingerprint` is that of the indexes it can read: vectors of another encoder would be compared in vain."""

    def __init__(
        self,
        *,
        passages: Passages,
        encoder: Encoder,
        terms: Terms,
        fingerprint: str,
        monotonic: Callable[[], float],
        counts: Counts,
    ) -> None:
        self._passages = passages
        self._encoder = encoder
        self._terms = terms
        self._fingerprint = fingerprint
        self._monotonic = monotonic
        self._counts = counts
        self._conversation = frozenset(terms.of_query(searching.CONVERSATION).indices)

    async def find(self, request: wire.SearchRequest) -> wire.Found:
        """Raises NotFound for an unknown collection and InvalidRequest for an unknown filter."""
        if request.collection not in {None, COLLECTION}:
            raise NotFound(f"there is no collection {request.collection!r}, only {COLLECTION!r}", param="collection")
        path_prefix = _path_prefix(request.filters or {})
        began = self._monotonic()
        outcome, found = await self._find(request.query, request.top_k, path_prefix)
        self._counts.searched(outcome, self._monotonic() - began)
        return found

    async def _find(self, text: str, top_k: int, path_prefix: str | None) -> tuple[SearchOutcome, wire.Found]:
        record = await self._passages.record()
        if record is None:
            return "no_index", _nothing("no index")
        if record.fingerprint != self._fingerprint:
            return "no_index", _nothing("the index was made by another version: build it again")
        query = await self._vectors(text)
        hits = await self._passages.search(query, limit=max(CANDIDATES, top_k), chosen=Filters(path_prefix=path_prefix))
        ranked = searching.fused(hits, max(top_k, searching.EXAMINED))
        examined = [found.passage.id for found in ranked[: searching.EXAMINED]]
        vectors = await self._passages.vectors(examined) if examined else {}
        terms = set(query.sparse.indices) - self._conversation
        if not searching.is_evidence(terms, query.dense, list(vectors.values())):
            return "no_evidence", _nothing("nothing in the index speaks of this")
        return "evidence", wire.Found(passages=[_told(found) for found in ranked[:top_k]], evidence=True)

    async def _vectors(self, text: str) -> Vectors:
        terms = await asyncio.to_thread(self._terms.of_query, text)
        return Vectors(terms, (await self._encoder.encode([text], kind="query"))[0])


def _path_prefix(filters: Mapping[str, object]) -> str | None:
    if unknown := sorted(filters.keys() - {"path_prefix"}):
        raise InvalidRequest(f"unknown filter {unknown[0]!r}; there is: path_prefix", param="filters")
    prefix = filters.get("path_prefix")
    if prefix is not None and not isinstance(prefix, str):
        raise InvalidRequest("path_prefix must be a string", param="filters.path_prefix")
    return prefix or None


def _nothing(reason: str) -> wire.Found:
    return wire.Found(passages=[], evidence=False, reason=reason)


def _told(ranked: Ranked) -> wire.Passage:
    passage = ranked.passage
    return wire.Passage(
        id=passage.id,
        text=passage.text,
        score=round(ranked.score, 4),
        source=wire.Source(
            path=passage.path,
            title=passage.title,
            heading=passage.heading,
            anchor=passage.anchor,
            lines=(passage.first_line, passage.last_line),
        ),
    )
