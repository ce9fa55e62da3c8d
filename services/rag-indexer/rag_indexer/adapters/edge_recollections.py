"""Recollections in Qdrant Edge, in this process: one shard for all tenants, with an index on the tenant."""

import asyncio
import logging
import shutil
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    IdfParams,
    IntegerIndexParams,
    KeywordIndexParams,
    MatchAny,
    MatchValue,
    Memory,
    Modifier,
    Point,
    Query,
    QueryBatchRequest,
    QueryRequest,
    RangeFloat,
    ScoredPoint,
    SearchParams,
    SparseVector,
    UpdateOperation,
)

from rag_indexer.adapters.data_folder import locked
from rag_indexer.adapters.edge_shard import BATCH, DENSE, SPARSE, attempted
from rag_indexer.domain.documents import Vectors
from rag_indexer.domain.recollections import Candidates, Found, Kept, Ranges, StoredRecollection
from sage_contracts.errors import StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

TENANT = "tenant"
POSITION = "position"
FLUSH_EVERY = 256
"""Writes between flushes: what the log holds beyond the last one is read again at the next start."""


@asynccontextmanager
async def edge_recollections(root: Path, *, fingerprint: str, dimensions: int) -> AsyncGenerator["EdgeRecollections"]:
    """
    The store in `root`, which nobody else may use meanwhile. Raises DataFolderInUse.

    `fingerprint` names how vectors are made: those of another one lie in another shard, and are not compared.
    """
    with locked(root):
        shard = await asyncio.to_thread(attempted, lambda: _opened(root / fingerprint, dimensions))
        store = EdgeRecollections(shard)
        try:
            yield store
        finally:
            await store.close()


class EdgeRecollections:
    """Implements RecollectionStore. One thread writes, in order; reads go on beside it."""

    def __init__(self, shard: EdgeShard) -> None:
        self._shard = shard
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recollections")
        self._writes = 0

    async def put(self, kept: Sequence[Kept]) -> None:
        points = [_point(item) for item in kept]
        for start in range(0, len(points), BATCH):
            await self._write(UpdateOperation.upsert_points(points[start : start + BATCH]))

    async def search(self, tenant: str, query: Vectors, *, limit: int, within: Ranges | None = None) -> Candidates:
        return await asyncio.to_thread(attempted, lambda: _searched(self._shard, tenant, query, limit, within))

    async def remove(self, tenant: str, ids: Collection[str] | None, *, keep: Collection[str] = ()) -> int:
        chosen = _only(tenant, ids, keep)
        there = await self._do(lambda: self._shard.count(CountRequest(filter=chosen)))
        if there:
            await self._write(UpdateOperation.delete_points_by_filter(chosen))
        return there

    async def close(self) -> None:
        await self._do(self._shard.close)
        self._thread.shutdown(wait=False)

    async def _write(self, operation: UpdateOperation) -> None:
        await self._do(lambda: self._shard.update(operation))
        self._writes += 1
        if self._writes % FLUSH_EVERY == 0:
            await self._do(self._shard.flush)

    async def _do(self, action: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, attempted, action)


def _opened(folder: Path, dimensions: int) -> EdgeShard:
    """
    What cannot be opened is put aside, under a name that says so: searches must not wait for somebody to mend it.

    Not before a new one is there: where none can be made, on a full disk, the old one may well be whole.
    """
    if not folder.exists():
        _new(folder, dimensions).rename(folder)
        return _loaded(folder)
    try:
        return attempted(lambda: _loaded(folder))
    except StoreUnavailable as error:
        new = _new(folder, dimensions)
        aside = folder.with_name(f"{folder.name}.broken-{uuid.uuid4().hex[:8]}")
        folder.rename(aside)
        new.rename(folder)
        log.exception("recollections put aside", extra={"folder": str(aside), "reason": error.message})
    return _loaded(folder)


def _loaded(folder: Path) -> EdgeShard:
    """With its indexes: those of an earlier release have none on the position."""
    shard = EdgeShard.load(str(folder))
    shard.update(UpdateOperation.create_field_index(TENANT, KeywordIndexParams(is_tenant=True)))
    shard.update(UpdateOperation.create_field_index(POSITION, IntegerIndexParams(lookup=False, range=True)))
    return shard


def _new(folder: Path, dimensions: int) -> Path:
    """An empty one beside `folder`, which could be opened."""
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    _create(draft, dimensions)
    _loaded(draft).close()
    return draft


def _create(folder: Path, dimensions: int) -> None:
    config = EdgeConfig(
        vectors={DENSE: EdgeVectorParams(size=dimensions, distance=Distance.Cosine, memory=Memory.Cold)},
        sparse_vectors={SPARSE: EdgeSparseVectorParams(modifier=Modifier.Idf, memory=Memory.Cold)},
        payload_memory=Memory.Cold,
        wal_enabled=True,
    )
    shard = EdgeShard.create(str(folder), config)
    shard.flush()
    shard.close()


def _only(
    tenant: str, ids: Collection[str] | None = None, keep: Collection[str] = (), within: Ranges | None = None
) -> Filter:
    of_tenant = FieldCondition(TENANT, match=MatchValue(tenant))
    kept = [FieldCondition("id", match=MatchAny(list(keep)))] if keep else []
    return Filter(
        must=[of_tenant] if ids is None else [of_tenant, FieldCondition("id", match=MatchAny(list(ids)))],
        must_not=[*kept],
        should=[FieldCondition(POSITION, range=RangeFloat(gte=first, lt=behind)) for first, behind in within or ()],
    )


def _searched(shard: EdgeShard, tenant: str, query: Vectors, limit: int, within: Ranges | None) -> Candidates:
    """Also how rare a word is counts within the tenant alone: nobody's scores tell of another's words."""
    chosen = _only(tenant, within=within)
    sparse = SparseVector(query.sparse.indices, query.sparse.values)
    requests = [
        QueryRequest(
            limit=limit,
            query=Query.Nearest(sparse, using=SPARSE),
            filter=chosen,
            with_payload=True,
            params=SearchParams(idf=IdfParams(corpus=_only(tenant))),
        ),
        QueryRequest(limit=limit, query=Query.Nearest(query.dense, using=DENSE), filter=chosen, with_payload=True),
    ]
    by_words, by_meaning = shard.query_batch(QueryBatchRequest(requests))
    return Candidates(_found(by_words), _found(by_meaning))


def _point(kept: Kept) -> Point:
    one, vectors = kept.recollection, kept.vectors
    sparse = SparseVector(vectors.sparse.indices, vectors.sparse.values)
    return Point(one.point_id, {DENSE: vectors.dense, SPARSE: sparse}, msgspec.to_builtins(one))


def _found(points: Sequence[ScoredPoint]) -> list[Found]:
    return [Found(msgspec.convert(point.payload, StoredRecollection), point.score) for point in points]
