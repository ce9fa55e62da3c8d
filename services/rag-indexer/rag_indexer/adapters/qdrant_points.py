"""The Qdrant client's words for ours: how passages stand in a collection and how they are asked for."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import msgspec
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from rag_indexer.domain.documents import Entry, Filters, Scalar, Sparse, StoredPassage, Vectors
from rag_indexer.domain.ports import Hit, Hits
from sage_contracts.errors import StoreUnavailable

DENSE = "dense"
SPARSE = "bm25"
BATCH = 128


@asynccontextmanager
async def answered() -> AsyncGenerator[None]:
    """The client's failures within the block become StoreUnavailable."""
    try:
        yield
    except (ApiException, QdrantException) as error:
        raise StoreUnavailable(f"Qdrant cannot be used: {error}", retry_after=1) from error


async def create(client: AsyncQdrantClient, name: str, dimensions: int) -> None:
    """The index on `path` comes before any point: Qdrant builds its graph with the payload indexes it finds."""
    await client.create_collection(
        name,
        vectors_config={DENSE: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
        sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    by_prefix = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True)
    await client.create_payload_index(name, "path", field_schema=by_prefix)


async def add(client: AsyncQdrantClient, name: str, entries: Sequence[Entry]) -> None:
    for start in range(0, len(entries), BATCH):
        await client.upsert(name, [_point(entry) for entry in entries[start : start + BATCH]], wait=True)


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
    return next((msgspec.convert(record.payload, StoredPassage) for record in records), None)


def entry(record: models.Record) -> Entry:
    """The record of a point, asked for with its payload and both vectors."""
    found = record.vector
    sparse, dense = (found.get(SPARSE), found.get(DENSE)) if isinstance(found, dict) else (None, None)
    if not isinstance(sparse, models.SparseVector) or not isinstance(dense, list):
        raise StoreUnavailable(f"the point {record.id} was not made by a rag-indexer")
    vectors = Vectors(
        Sparse(sparse.indices, sparse.values), [float(value) for value in dense if isinstance(value, float)]
    )
    return Entry(msgspec.convert(record.payload, StoredPassage), vectors)


def _filter(chosen: Filters) -> models.Filter | None:
    must: list[models.Condition] = []
    if chosen.path_prefix:
        must.append(models.FieldCondition(key="path", match=models.MatchPrefix(prefix=chosen.path_prefix)))
    if chosen.types:
        must.append(models.FieldCondition(key="type", match=models.MatchAny(any=list(chosen.types))))
    if chosen.modified_after is not None or chosen.modified_before is not None:
        between = models.Range(gt=chosen.modified_after, lt=chosen.modified_before)
        must.append(models.FieldCondition(key="modified", range=between))
    for field, values in chosen.meta.items():
        # In quotes, so that a dot in the name is no path.
        must.append(models.Filter(should=[_equal(f'meta."{field}"', value) for value in values]))
    return models.Filter(must=must) if must else None


def _equal(key: str, value: Scalar) -> models.FieldCondition:
    if isinstance(value, float):
        return models.FieldCondition(key=key, range=models.Range(gte=value, lte=value))
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _point(entry: Entry) -> models.PointStruct:
    vectors = entry.vectors
    return models.PointStruct(
        id=entry.passage.id,
        vector={DENSE: vectors.dense, SPARSE: _sparse(vectors.sparse)},
        payload=msgspec.to_builtins(entry.passage),
    )


def _sparse(sparse: Sparse) -> models.SparseVector:
    return models.SparseVector(indices=sparse.indices, values=sparse.values)


def _hits(response: models.QueryResponse) -> list[Hit]:
    return [Hit(msgspec.convert(point.payload, StoredPassage), point.score) for point in response.points]
