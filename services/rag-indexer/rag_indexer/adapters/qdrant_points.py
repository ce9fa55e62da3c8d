"""The Qdrant client's words for ours: how passages and files stand in a collection and how they are asked for."""

import uuid
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager

import msgspec
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from rag_indexer.domain.documents import Entry, Filters, Sparse, StoredPassage, Vectors, label, labels
from rag_indexer.domain.manifest import FileState, Manifest
from rag_indexer.domain.ports import Hit, Hits
from sage_contracts.errors import StoreUnavailable
from sage_contracts.names import LOCAL_OWNER

DENSE = "dense"
SPARSE = "bm25"
BATCH = 128
PAGE = 1_000

TENANT = LOCAL_OWNER
"""Whose the points are; set here and not by a caller, and every search is of one tenant's points."""

_IDS = uuid.UUID("c0b6a1d2-52b8-4a3e-8c7d-5f6c3a2d1e90")


@asynccontextmanager
async def answered() -> AsyncGenerator[None]:
    """The client's failures within the block become StoreUnavailable."""
    try:
        yield
    except (ApiException, QdrantException) as error:
        raise StoreUnavailable(f"Qdrant cannot be used: {error}", retry_after=1) from error


async def create(client: AsyncQdrantClient, name: str, dimensions: int, metadata: dict[str, object]) -> None:
    """The payload indexes come before any point: Qdrant builds its graph with those that it finds."""
    await client.create_collection(
        name,
        vectors_config={DENSE: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
        sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        metadata=metadata,
    )
    keyword = models.KeywordIndexType.KEYWORD
    indexes: dict[str, models.PayloadSchemaParams] = {
        "tenant": models.KeywordIndexParams(type=keyword, is_tenant=True),
        "path": models.KeywordIndexParams(type=keyword, prefix=True),
        "kind": models.KeywordIndexParams(type=keyword),
        "labels": models.KeywordIndexParams(type=keyword),
        "type": models.KeywordIndexParams(type=keyword),
        "modified": models.FloatIndexParams(type=models.FloatIndexType.FLOAT),
    }
    for field, schema in indexes.items():
        await client.create_payload_index(name, field, field_schema=schema, wait=True)


async def add(client: AsyncQdrantClient, name: str, entries: Sequence[Entry]) -> None:
    for start in range(0, len(entries), BATCH):
        await client.upsert(name, [_point(entry) for entry in entries[start : start + BATCH]], wait=True)


async def add_files(client: AsyncQdrantClient, name: str, files: Manifest) -> None:
    """A file is a point without vectors: it is found by no search, and lives and dies with the version it is of."""
    points = [_file(path, state) for path, state in files.items()]
    for start in range(0, len(points), BATCH):
        await client.upsert(name, points[start : start + BATCH], wait=True)


async def files(client: AsyncQdrantClient, name: str) -> dict[str, FileState]:
    records = await _scrolled(client, name, _of_kind("file"), fields=["path", "state"])
    payloads = [record.payload or {} for record in records]
    return {str(payload["path"]): msgspec.convert(payload["state"], FileState) for payload in payloads}


async def remove(client: AsyncQdrantClient, name: str, paths: Sequence[str], *, kind: str | None = None) -> None:
    """The passages of these files and the files themselves, or only one `kind`."""
    for start in range(0, len(paths), BATCH):
        must: list[models.Condition] = [_any("path", paths[start : start + BATCH])]
        if kind is not None:
            must.append(_any("kind", [kind]))
        await client.delete(name, models.FilterSelector(filter=models.Filter(must=must)), wait=True)


async def remove_others(client: AsyncQdrantClient, name: str, path: str, kept: Collection[str]) -> None:
    """The passages of the file that are not among `kept`."""
    others = models.Filter(
        must=[_any("path", [path]), _any("kind", ["passage"])],
        must_not=[models.HasIdCondition(has_id=list(kept))] if kept else None,
    )
    await client.delete(name, models.FilterSelector(filter=others), wait=True)


async def remove_ids(client: AsyncQdrantClient, name: str, ids: Sequence[models.ExtendedPointId]) -> None:
    for start in range(0, len(ids), PAGE):
        some = models.PointIdsList(points=list(ids[start : start + PAGE]))
        await client.delete(name, some, wait=True)


async def hashes(client: AsyncQdrantClient, name: str) -> list[tuple[models.ExtendedPointId, str, str]]:
    """Of each passage: its id, the path of its file, and the hash that file had."""
    records = await _scrolled(client, name, _of_kind("passage"), fields=["path", "file_hash"])
    return [(one.id, str((one.payload or {})["path"]), str((one.payload or {})["file_hash"])) for one in records]


async def entries(client: AsyncQdrantClient, name: str, path: str) -> list[Entry]:
    chosen = models.Filter(must=[_any("path", [path]), _any("kind", ["passage"])])
    found: list[Entry] = []
    offset: models.ExtendedPointId | None = None
    while True:
        records, offset = await client.scroll(
            name, scroll_filter=chosen, limit=BATCH, offset=offset, with_payload=True, with_vectors=[DENSE, SPARSE]
        )
        found += map(entry, records)
        if offset is None:
            return found


async def search(client: AsyncQdrantClient, name: str, query: Vectors, limit: int, chosen: Filters) -> Hits:
    kept = _filter(chosen)
    asked: list[tuple[models.SparseVector | list[float], str]] = [(_sparse(query.sparse), SPARSE)]
    if query.dense:
        asked.append((query.dense, DENSE))
    requests = [
        models.QueryRequest(query=vector, using=using, filter=kept, limit=limit, with_payload=True)
        for vector, using in asked
    ]
    by_terms, *by_meaning = await client.query_batch_points(name, requests)
    return Hits(_hits(by_terms), _hits(by_meaning[0]) if by_meaning else [])


async def passage(client: AsyncQdrantClient, name: str, passage_id: str) -> StoredPassage | None:
    records = await client.retrieve(name, [passage_id], with_payload=True)
    payloads = [record.payload or {} for record in records]
    ours = [one for one in payloads if (one.get("kind"), one.get("tenant")) == ("passage", TENANT)]
    return msgspec.convert(ours[0], StoredPassage) if ours else None


def entry(record: models.Record) -> Entry:
    """The record of a passage, asked for with its payload and both vectors."""
    found = record.vector
    sparse, dense = (found.get(SPARSE), found.get(DENSE)) if isinstance(found, dict) else (None, None)
    if not isinstance(sparse, models.SparseVector) or not isinstance(dense, list):
        raise StoreUnavailable(f"the point {record.id} was not made by a rag-indexer")
    vectors = Vectors(
        Sparse(sparse.indices, sparse.values), [float(value) for value in dense if isinstance(value, float)]
    )
    return Entry(msgspec.convert(record.payload, StoredPassage), vectors)


async def _scrolled(
    client: AsyncQdrantClient, name: str, chosen: models.Filter, *, fields: list[str]
) -> list[models.Record]:
    found: list[models.Record] = []
    offset: models.ExtendedPointId | None = None
    wanted = models.PayloadSelectorInclude(include=fields)
    while True:
        records, offset = await client.scroll(
            name, scroll_filter=chosen, limit=PAGE, offset=offset, with_payload=wanted, with_vectors=False
        )
        found += records
        if offset is None:
            return found


def _filter(chosen: Filters) -> models.Filter:
    must: list[models.Condition] = [_any("tenant", [TENANT])]
    if chosen.path_prefix:
        must.append(models.FieldCondition(key="path", match=models.MatchPrefix(prefix=chosen.path_prefix)))
    if chosen.types:
        must.append(_any("type", chosen.types))
    if chosen.modified_after is not None or chosen.modified_before is not None:
        between = models.Range(gt=chosen.modified_after, lt=chosen.modified_before)
        must.append(models.FieldCondition(key="modified", range=between))
    for field, values in chosen.meta.items():
        must.append(_any("labels", [label(field, value) for value in values]))
    return models.Filter(must=must)


def _of_kind(kind: str) -> models.Filter:
    return models.Filter(must=[_any("kind", [kind])])


def _any(key: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def _point(entry: Entry) -> models.PointStruct:
    vectors = entry.vectors
    about = {"kind": "passage", "tenant": TENANT, "labels": labels(entry.passage.meta)}
    return models.PointStruct(
        id=entry.passage.id,
        vector={DENSE: vectors.dense, SPARSE: _sparse(vectors.sparse)},
        payload=msgspec.to_builtins(entry.passage) | about,
    )


def _file(path: str, state: FileState) -> models.PointStruct:
    payload = {"kind": "file", "tenant": TENANT, "path": path, "state": msgspec.to_builtins(state)}
    return models.PointStruct(id=str(uuid.uuid5(_IDS, path)), vector={}, payload=payload)


def _sparse(sparse: Sparse) -> models.SparseVector:
    return models.SparseVector(indices=sparse.indices, values=sparse.values)


def _hits(response: models.QueryResponse) -> list[Hit]:
    return [Hit(msgspec.convert(point.payload, StoredPassage), point.score) for point in response.points]
