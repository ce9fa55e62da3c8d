"""Recollections in a Qdrant server: one collection for all tenants, with an index on the tenant."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager

import msgspec
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_indexer.adapters.qdrant_points import BATCH, DENSE, SPARSE, answered
from rag_indexer.domain.documents import Vectors
from rag_indexer.domain.recollections import Candidates, Found, Kept, Ranges, StoredRecollection

TENANT = "tenant"
POSITION = "position"
CONFLICT = 409


@asynccontextmanager
async def qdrant_recollections(
    url: str, api_key: str | None, *, fingerprint: str, dimensions: int, timeout_seconds: int = 10
) -> AsyncGenerator["QdrantRecollections"]:
    client = AsyncQdrantClient(url=url, api_key=api_key, timeout=timeout_seconds, check_compatibility=False)
    try:
        yield QdrantRecollections(client, fingerprint=fingerprint, dimensions=dimensions)
    finally:
        await client.close()


class QdrantRecollections:
    """
    Implements RecollectionStore. The collection is made by the first write.

    `fingerprint` names how vectors are made: those of another one lie in another collection, and are not compared.
    """

    def __init__(self, client: AsyncQdrantClient, *, fingerprint: str, dimensions: int) -> None:
        self._client = client
        self._collection = f"memory@{fingerprint}"
        self._dimensions = dimensions
        self._made = False

    async def put(self, kept: Sequence[Kept]) -> None:
        async with answered():
            await self._make()
            points = [_point(item) for item in kept]
            for start in range(0, len(points), BATCH):
                await self._client.upsert(self._collection, points[start : start + BATCH], wait=True)

    async def search(self, tenant: str, query: Vectors, *, limit: int, within: Ranges | None = None) -> Candidates:
        """Also how rare a word is counts within the tenant alone: nobody's scores tell of another's words."""
        corpus = models.SearchParams(idf=models.IdfCorpusParams(corpus=_only(tenant)))
        chosen = _only(tenant, within=within)
        sparse = models.SparseVector(indices=query.sparse.indices, values=query.sparse.values)
        requests = [
            models.QueryRequest(
                query=sparse, using=SPARSE, filter=chosen, limit=limit, with_payload=True, params=corpus
            ),
            models.QueryRequest(query=query.dense, using=DENSE, filter=chosen, limit=limit, with_payload=True),
        ]
        async with answered():
            if not await self._client.collection_exists(self._collection):
                return Candidates((), ())
            by_words, by_meaning = await self._client.query_batch_points(self._collection, requests)
        return Candidates(_found(by_words), _found(by_meaning))

    async def remove(self, tenant: str, ids: Collection[str] | None, *, keep: Collection[str] = ()) -> int:
        chosen = _only(tenant, ids, keep)
        async with answered():
            if not await self._client.collection_exists(self._collection):
                return 0
            there = (await self._client.count(self._collection, count_filter=chosen, exact=True)).count
            if there:
                await self._client.delete(self._collection, models.FilterSelector(filter=chosen), wait=True)
        return there

    async def _make(self) -> None:
        """Two replicas may make it at once: the later one is told that it is there."""
        if self._made:
            return
        if not await self._client.collection_exists(self._collection):
            try:
                await self._client.create_collection(
                    self._collection,
                    vectors_config={DENSE: models.VectorParams(size=self._dimensions, distance=models.Distance.COSINE)},
                    sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                )
            except UnexpectedResponse as error:
                if error.status_code != CONFLICT:
                    raise
        by_tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        by_position = models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=False, range=True)
        await self._client.create_payload_index(self._collection, TENANT, field_schema=by_tenant)
        await self._client.create_payload_index(self._collection, POSITION, field_schema=by_position)
        self._made = True


def _only(
    tenant: str, ids: Collection[str] | None = None, keep: Collection[str] = (), within: Ranges | None = None
) -> models.Filter:
    chosen: list[models.Condition] = [models.FieldCondition(key=TENANT, match=models.MatchValue(value=tenant))]
    if ids is not None:
        chosen.append(models.FieldCondition(key="id", match=models.MatchAny(any=list(ids))))
    kept: list[models.Condition] = [models.FieldCondition(key="id", match=models.MatchAny(any=list(keep)))]
    there: list[models.Condition] = [
        models.FieldCondition(key=POSITION, range=models.Range(gte=first, lt=behind)) for first, behind in within or ()
    ]
    return models.Filter(must=chosen, must_not=kept if keep else None, should=there or None)


def _point(kept: Kept) -> models.PointStruct:
    one, vectors = kept.recollection, kept.vectors
    sparse = models.SparseVector(indices=vectors.sparse.indices, values=vectors.sparse.values)
    return models.PointStruct(
        id=one.point_id,
        vector={DENSE: vectors.dense, SPARSE: sparse},
        payload=msgspec.to_builtins(one),
    )


def _found(response: models.QueryResponse) -> list[Found]:
    return [Found(msgspec.convert(point.payload, StoredRecollection), point.score) for point in response.points]
