"""What was said in a session, kept by meaning and by words, and found again by a question of that same session."""

import asyncio
import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from rag_indexer.domain.documents import Vectors
from rag_indexer.domain.evidence import words
from rag_indexer.domain.ports import Encoder, Terms
from sage_contracts import names
from sage_contracts import recollections as wire
from sage_contracts.errors import InvalidRequest

WORDS_WEIGHT = 0.5
MEANING_WEIGHT = 0.5
"""What was said is short and plain, so a weak encoder helps more than it does with documents."""

CANDIDATES = 40
"""Fetched of each kind, before the two rankings become one."""

Ranges = Sequence[tuple[int, int]]
"""Of positions, each from its first to before its second."""

_WHO = re.compile(r"^(?:user|assistant): ", re.MULTILINE)
"""Who says it stands in the text, and says nothing of its meaning."""


class StoredRecollection(Struct, frozen=True, kw_only=True):
    """As it stands in the store. `tenant` is its owner and session: nobody else's query can meet it."""

    tenant: str
    id: str
    text: str
    at: float
    position: int

    @property
    def point_id(self) -> str:
        """A UUID, as Qdrant wants: the same for the same recollection, and for no other."""
        return str(UUID(bytes=hashlib.sha256(f"{self.tenant}\n{self.id}".encode()).digest()[:16]))


@dataclass(frozen=True, slots=True)
class Kept:
    recollection: StoredRecollection
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Found:
    recollection: StoredRecollection
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """Best first: by BM25 within the tenant, and by cosine similarity."""

    by_words: Sequence[Found]
    by_meaning: Sequence[Found]


class RecollectionStore(Protocol):
    """
    Where recollections lie. A tenant's lie apart: each call names one, and the store itself leaves out all others.

    Every method raises StoreUnavailable when the store is away.
    """

    async def put(self, kept: Sequence[Kept]) -> None:
        """Stored when it returns; one of the same tenant and id is replaced."""
        ...

    async def search(self, tenant: str, query: Vectors, *, limit: int, within: Ranges | None = None) -> Candidates:
        """`limit` of each kind at most, of those that stand in one of these ranges where they are given."""
        ...

    async def remove(self, tenant: str, ids: Collection[str] | None, *, keep: Collection[str] = ()) -> int:
        """All of the tenant's where `ids` is None, but never those in `keep`; how many there were."""
        ...


class Recollections:
    def __init__(self, *, store: RecollectionStore, encoder: Encoder, terms: Terms) -> None:
        self._store = store
        self._encoder = encoder
        self._terms = terms

    async def remember(self, request: wire.Remember) -> wire.Stored:
        tenant = tenant_of(request.owner, request.session_id)
        said = [_WHO.sub("", item.text) for item in request.items]
        dense = await self._encoder.encode(said, kind="passage")
        sparse = await asyncio.to_thread(lambda: [self._terms.of_passage(text) for text in said])
        kept = [
            Kept(
                StoredRecollection(tenant=tenant, id=item.id, text=item.text, at=item.at, position=item.position),
                vectors,
            )
            for item, vectors in zip(request.items, map(Vectors, sparse, dense), strict=True)
        ]
        await self._store.put(kept)
        return wire.Stored(stored=len({item.recollection.id for item in kept}))

    async def recall(self, request: wire.Recall) -> wire.RecallAnswer:
        tenant = tenant_of(request.owner, request.session_id)
        (dense,) = await self._encoder.encode([request.query], kind="query")
        asked = await asyncio.to_thread(words, request.query, self._terms)
        found = await self._store.search(
            tenant, Vectors(asked.all, dense), limit=max(CANDIDATES, request.top_k), within=request.within
        )
        hits = await asyncio.to_thread(self._ranked, asked.subject, found)
        return wire.RecallAnswer(hits=hits[: request.top_k])

    async def forget(self, request: wire.Forget) -> wire.Gone:
        tenant = tenant_of(request.owner, request.session_id)
        return wire.Gone(removed=await self._store.remove(tenant, request.ids, keep=request.keep))

    def _ranked(self, subject: frozenset[int], found: Candidates) -> list[wire.Recalled]:
        """
        Both rankings as one. BM25 counts as a part of the best one found, and the best by how many of the question's
        words it has: so a recall that met nothing but "the" and "what" has low scores throughout.
        """
        by_words = _shares(found.by_words, self._coverage(subject, found.by_words))
        by_meaning = {one.recollection.id: min(1.0, max(0.0, one.score)) for one in found.by_meaning}
        known = {one.recollection.id: one.recollection for one in [*found.by_words, *found.by_meaning]}
        scores = {
            key: WORDS_WEIGHT * by_words.get(key, 0.0) + MEANING_WEIGHT * by_meaning.get(key, 0.0) for key in known
        }
        ranked = sorted(known.values(), key=lambda one: (-scores[one.id], -one.position, one.id))
        return [
            wire.Recalled(id=one.id, text=one.text, at=one.at, position=one.position, score=round(scores[one.id], 4))
            for one in ranked
        ]

    def _coverage(self, asked: frozenset[int], found: Sequence[Found]) -> float:
        if not asked or not found:
            return 0.0
        has = asked.intersection(self._terms.of_passage(found[0].recollection.text).indices)
        return len(has) / len(asked)


def tenant_of(owner: str, session_id: str) -> str:
    """Neither part holds `/`, so that no two sessions share a tenant. InvalidRequest where one does."""
    if not names.is_id(owner):
        raise InvalidRequest("owner must be 1 to 128 letters, digits or any of - _ . :", param="owner")
    return f"{owner}/{names.session_id(session_id)}"


def _shares(found: Sequence[Found], best: float) -> dict[str, float]:
    """Each one's score as a part of the first one's, which is worth `best`."""
    if not found or found[0].score <= 0:
        return {}
    top = found[0].score
    return {one.recollection.id: best * one.score / top for one in found}
