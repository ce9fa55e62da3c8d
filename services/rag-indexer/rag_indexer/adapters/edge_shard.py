"""Qdrant Edge's words for ours: how passages stand in a shard and how they are asked for."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec
from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    FloatIndexParams,
    KeywordIndexParams,
    MatchAny,
    MatchPrefix,
    MatchValue,
    Memory,
    Modifier,
    Point,
    Query,
    QueryBatchRequest,
    QueryRequest,
    RangeFloat,
    Record,
    ScoredPoint,
    ScrollRequest,
    SparseVector,
    UpdateOperation,
    VectorStorageDatatype,
)

from rag_indexer.domain.documents import Entry, Filters, Sparse, StoredPassage, Vectors, label, labels
from rag_indexer.domain.manifest import Manifest
from rag_indexer.domain.ports import Hit, Hits
from sage_contracts.errors import StoreUnavailable

DENSE = "dense"
SPARSE = "bm25"
BATCH = 128
"""Points an upsert: Edge holds the interpreter's lock meanwhile, about 3 ms for so many."""

FLUSH_EVERY = 16
"""Batches between flushes: a single flush at the end would hold the interpreter's lock for a long moment."""

T = TypeVar("T")


def attempted(action: Callable[[], T]) -> T:
    """The action's result. Edge raises bare Exception for whatever goes wrong: it becomes StoreUnavailable."""
    try:
        return action()
    except Exception as error:
        raise StoreUnavailable(f"the index store failed: {error}") from error


def created(path: Path, dimensions: int) -> EdgeShard:
    """
    Without a write-ahead log: what a crash takes of a draft is made again, and publishing flushes.

    Memory.Cold lets the kernel page vectors in as they are needed, which keeps the process small. `optimize()` is
    never called: it blocks everything for seconds to minutes, and gains nothing. A scan is fast enough: Turbo16 keeps
    vectors in 16 bits a dimension, right to the fifth digit, and reads 100,000 of them in 4 ms where 32-bit floats
    took 20. There is one segment, so that more than one thread to search it with, of which each open collection has
    its own, would be of no use.
    """
    dense = EdgeVectorParams(
        size=dimensions, distance=Distance.Cosine, datatype=VectorStorageDatatype.Turbo16, memory=Memory.Cold
    )
    config = EdgeConfig(
        vectors={DENSE: dense},
        sparse_vectors={SPARSE: EdgeSparseVectorParams(modifier=Modifier.Idf, memory=Memory.Cold)},
        payload_memory=Memory.Cold,
        wal_enabled=False,
        max_search_threads=1,
    )
    shard = EdgeShard.create(str(path), config)
    shard.update(UpdateOperation.create_field_index("path", KeywordIndexParams(prefix=True)))
    for field in ("type", "labels"):
        shard.update(UpdateOperation.create_field_index(field, KeywordIndexParams()))
    shard.update(UpdateOperation.create_field_index("modified", FloatIndexParams()))
    return shard


def add(shard: EdgeShard, entries: Sequence[Entry]) -> None:
    if entries:
        shard.update(UpdateOperation.upsert_points([_point(entry) for entry in entries]))


def remove(shard: EdgeShard, paths: Sequence[str]) -> None:
    """The passages of these files."""
    for start in range(0, len(paths), BATCH):
        some = Filter(must=[FieldCondition("path", match=MatchAny(list(paths[start : start + BATCH])))])
        shard.update(UpdateOperation.delete_points_by_filter(some))


def carry(source: Path, target: EdgeShard) -> None:
    """Copy every passage of the shard in `source` that is still there, as it is. Nobody may write to it meanwhile."""
    opened = EdgeShard.load(str(source))
    offset: int | UUID | str | None = None
    written = 0
    while True:
        records, offset = opened.scroll(ScrollRequest(offset=offset, limit=BATCH, with_payload=True, with_vector=True))
        points = [Point(one.id, one.vector, one.payload) for one in records if one.vector is not None]
        if points:
            target.update(UpdateOperation.upsert_points(points))
            written += 1
        if written % FLUSH_EVERY == 0:
            target.flush()
        if offset is None:
            opened.close()
            return


def entries(shard: EdgeShard, path: str) -> list[Entry]:
    """All passages of the file, in no order."""
    chosen = Filter(must=[FieldCondition("path", match=MatchValue(path))])
    found: list[Entry] = []
    offset: int | UUID | str | None = None
    while True:
        request = ScrollRequest(offset=offset, limit=BATCH, filter=chosen, with_payload=True, with_vector=True)
        records, offset = shard.scroll(request)
        found += [Entry(_passage(record), _vectors(record)) for record in records]
        if offset is None:
            return found


def reconcile(shard: EdgeShard, files: Manifest) -> list[str]:
    """
    Remove what does not belong to `files`: passages of others, or of other content. Returns those of `files` that do
    not have all their passages.
    """
    counts: Counter[str] = Counter()
    stray: list[str] = []
    offset: int | UUID | str | None = None
    while True:
        request = ScrollRequest(offset=offset, limit=1_000, with_payload=["path", "file_hash"], with_vector=False)
        records, offset = shard.scroll(request)
        for record in records:
            path, content = str((record.payload or {})["path"]), (record.payload or {})["file_hash"]
            if path in files and files[path].hash == content:
                counts[path] += 1
            else:
                stray.append(str(record.id))
        if offset is None:
            break
    for start in range(0, len(stray), BATCH):
        shard.update(UpdateOperation.delete_points(list(stray[start : start + BATCH])))
    broken = [path for path, state in files.items() if counts[path] != state.chunks]
    remove(shard, broken)
    return broken


def search(shard: EdgeShard, query: Vectors, *, limit: int, chosen: Filters) -> Hits:
    kept = _filter(chosen)
    asked = [Query.Nearest(SparseVector(query.sparse.indices, query.sparse.values), using=SPARSE)]
    if query.dense:
        asked.append(Query.Nearest(query.dense, using=DENSE))
    requests = [QueryRequest(limit=limit, query=one, filter=kept, with_payload=True) for one in asked]
    by_terms, *by_meaning = shard.query_batch(QueryBatchRequest(requests))
    return Hits(_hits(by_terms), _hits(by_meaning[0]) if by_meaning else [])


def passage(shard: EdgeShard, passage_id: str) -> StoredPassage | None:
    """`passage_id` is a UUID."""
    return next(map(_passage, shard.retrieve([passage_id], with_payload=True, with_vector=False)), None)


def vectors(shard: EdgeShard, ids: Sequence[str]) -> dict[str, Vectors]:
    records = shard.retrieve(list(ids), with_payload=True, with_vector=True)
    return {_passage(record).id: _vectors(record) for record in records}


def _filter(chosen: Filters) -> Filter | None:
    must: list[FieldCondition] = []
    if chosen.path_prefix:
        must.append(FieldCondition("path", match=MatchPrefix(chosen.path_prefix)))
    if chosen.types:
        must.append(FieldCondition("type", match=MatchAny(list(chosen.types))))
    if chosen.modified_after is not None or chosen.modified_before is not None:
        between = RangeFloat(gt=chosen.modified_after, lt=chosen.modified_before)
        must.append(FieldCondition("modified", range=between))
    for field, values in chosen.meta.items():
        must.append(FieldCondition("labels", match=MatchAny([label(field, value) for value in values])))
    return Filter(must=list(must)) if must else None


def _point(entry: Entry) -> Point:
    sparse = SparseVector(entry.vectors.sparse.indices, entry.vectors.sparse.values)
    payload = {**msgspec.to_builtins(entry.passage), "labels": labels(entry.passage.meta)}
    return Point(entry.passage.id, {DENSE: entry.vectors.dense, SPARSE: sparse}, payload)


def _hits(points: Sequence[ScoredPoint]) -> list[Hit]:
    return [Hit(_passage(point), point.score) for point in points]


def _passage(point: ScoredPoint | Record) -> StoredPassage:
    return msgspec.convert(point.payload, StoredPassage)


def _vectors(record: Record) -> Vectors:
    found = record.vector
    if not isinstance(found, dict):
        raise TypeError(f"a point without named vectors: {record.id}")
    sparse, dense = found[SPARSE], found[DENSE]
    if not isinstance(sparse, SparseVector) or isinstance(dense, SparseVector):
        raise TypeError(f"a point with other vectors than ours: {record.id}")
    return Vectors(Sparse(sparse.indices, sparse.values), [float(value) for value in dense if isinstance(value, float)])
