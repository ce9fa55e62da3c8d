"""What only a Qdrant server has: collections that others may change between two calls."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from httpx import Headers
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_indexer.adapters import qdrant_points
from rag_indexer.adapters.qdrant_draft import QdrantDraft
from rag_indexer.adapters.qdrant_passages import QdrantPassages
from rag_indexer.domain.documents import EVERYTHING
from rag_indexer.domain.ports import Draft
from sage_contracts.errors import StoreUnavailable
from tests.rag_indexer.parts import DIMENSIONS, entry, made, query, record

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")


class Interrupted(AsyncQdrantClient):
    """In memory; the next search first lets something else happen and then finds its collection gone, as a server may."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def query_batch_points(self, *args: Any, **kwargs: Any) -> list[models.QueryResponse]:
        if self.meanwhile is not None:
            happen, self.meanwhile = self.meanwhile, None
            await happen()
            raise UnexpectedResponse(404, "Not Found", b"{}", Headers())
        return await super().query_batch_points(*args, **kwargs)


@pytest.fixture
async def client() -> AsyncGenerator[Interrupted]:
    found = Interrupted(":memory:")
    yield found
    await found.close()


@pytest.fixture
def passages(client: AsyncQdrantClient) -> QdrantPassages:
    return QdrantPassages(client, collection="docs")


async def begun(passages: QdrantPassages, *, fresh: bool = True) -> Draft:
    return await passages.draft(fresh=fresh, fingerprint="f", dimensions=DIMENSIONS)


async def publish(passages: QdrantPassages, text: str, *, fresh: bool = True) -> None:
    draft = await begun(passages, fresh=fresh)
    await draft.put(made(entry("a.md", text)))
    await draft.publish(record())


async def found(passages: QdrantPassages, text: str) -> list[str]:
    return [hit.passage.text for hit in (await passages.search(query(text), limit=5, chosen=EVERYTHING)).sparse]


async def names(client: AsyncQdrantClient) -> list[str]:
    return [one.name for one in (await client.get_collections()).collections]


async def test_versions_are_collections_read_through_an_alias(passages: QdrantPassages, client: Interrupted) -> None:
    for text in ("a zebra", "a giraffe", "a lion"):
        await publish(passages, text)
    aliases = {one.alias_name: one.collection_name for one in (await client.get_aliases()).aliases}

    assert aliases == {"docs": "docs@3", "docs@earlier": "docs@2"}
    assert await names(client) == ["docs@2", "docs@3"]


async def test_a_change_is_made_in_the_served_collection(passages: QdrantPassages, client: Interrupted) -> None:
    await publish(passages, "a zebra")
    await publish(passages, "a giraffe", fresh=False)

    assert await names(client) == ["docs@1"]


async def test_in_the_middle_of_a_change_no_file_is_without_passages(
    passages: QdrantPassages, client: Interrupted
) -> None:
    await publish(passages, "an old zebra")
    seen: list[int] = []

    class Looking(AsyncQdrantClient):
        async def upsert(self, *args: Any, **kwargs: Any) -> models.UpdateResult:
            result = await client.upsert(*args, **kwargs)
            seen.append(len(await found(passages, "zebra")))
            return result

        async def delete(self, *args: Any, **kwargs: Any) -> models.UpdateResult:
            result = await client.delete(*args, **kwargs)
            seen.append(len(await found(passages, "zebra")))
            return result

    looking = Looking(":memory:")
    files = await qdrant_points.files(client, "docs@1")
    draft = QdrantDraft(looking, "docs@1", files, publish=passages.note, drop=passages.delete)  # type: ignore[arg-type]
    await draft.put(made(entry("a.md", "a new zebra")))
    await looking.close()

    assert seen == [2, 1, 1]


async def test_a_change_that_broke_off_is_told_and_cleaned_up_by_the_next(
    passages: QdrantPassages, client: Interrupted
) -> None:
    await publish(passages, "a zebra")
    await begun(passages, fresh=False)
    await qdrant_points.add(client, "docs@1", [entry("half.md", "half of a zebra")])
    stored = await passages.record()
    draft = await begun(passages, fresh=False)
    await draft.publish(record())
    after = await passages.record()

    assert stored is not None
    assert after is not None
    assert (stored.unfinished, after.unfinished) == (True, False)
    assert await found(passages, "zebra") == ["a zebra"]


async def test_files_and_points_of_others_are_no_passages(passages: QdrantPassages, client: Interrupted) -> None:
    await publish(passages, "a zebra")
    theirs = entry("b.md", "a zebra of somebody else")
    payload = {**msgspec.to_builtins(theirs.passage), "kind": "passage", "tenant": "else"}
    sparse = models.SparseVector(indices=theirs.vectors.sparse.indices, values=theirs.vectors.sparse.values)
    vectors: dict[str, Any] = {"dense": theirs.vectors.dense, "bm25": sparse}
    await client.upsert("docs@1", [models.PointStruct(id=theirs.passage.id, vector=vectors, payload=payload)])
    points, _ = await client.scroll("docs@1", with_payload=True)
    (file,) = [str(point.id) for point in points if (point.payload or {})["kind"] == "file"]

    assert await found(passages, "zebra") == ["a zebra"]
    assert await passages.passage(theirs.passage.id) is None
    assert await passages.passage(file) is None


async def test_payload_indexes_are_made_before_the_first_point(client: Interrupted) -> None:
    asked: list[tuple[str, Any]] = []

    class Noting(AsyncQdrantClient):
        async def create_payload_index(self, *args: Any, **kwargs: Any) -> models.UpdateResult:
            asked.append((args[1], kwargs["field_schema"]))
            return await super().create_payload_index(*args, **kwargs)

        async def upsert(self, *args: Any, **kwargs: Any) -> models.UpdateResult:
            asked.append(("points", None))
            return await super().upsert(*args, **kwargs)

    noting = Noting(":memory:")
    await publish(QdrantPassages(noting, collection="docs"), "a zebra")
    await noting.close()

    assert [field for field, _ in asked][:7] == ["tenant", "path", "kind", "labels", "type", "modified", "points"]
    assert asked[0][1].is_tenant


async def test_other_collections_are_left_alone(passages: QdrantPassages, client: Interrupted) -> None:
    for name in ("memories", "docs-old", "docs@old"):
        await client.create_collection(name, vectors_config={})
    await publish(passages, "a zebra")
    await passages.delete()

    assert await names(client) == ["memories", "docs-old", "docs@old"]


async def test_a_search_whose_version_is_replaced_meanwhile_reads_the_new_one(
    passages: QdrantPassages, client: Interrupted
) -> None:
    await publish(passages, "an old zebra")
    client.meanwhile = lambda: publish(passages, "a new zebra")

    assert await found(passages, "zebra") == ["a new zebra"]


async def test_a_search_whose_index_is_deleted_meanwhile_finds_nothing(
    passages: QdrantPassages, client: Interrupted
) -> None:
    await publish(passages, "a zebra")
    client.meanwhile = passages.delete

    assert await found(passages, "zebra") == []


async def test_a_refusal_of_the_server_is_the_stores_failure(passages: QdrantPassages, client: Interrupted) -> None:
    await publish(passages, "a zebra")
    client.meanwhile = passages.record

    with pytest.raises(StoreUnavailable, match="Qdrant cannot be used: Unexpected Response: 404"):
        await found(passages, "zebra")


async def test_an_alias_to_a_collection_of_somebody_else_is_neither_served_nor_is_that_deleted(
    passages: QdrantPassages, client: Interrupted
) -> None:
    await client.create_collection("theirs", vectors_config={})
    made = models.CreateAlias(collection_name="theirs", alias_name="docs")
    await client.update_collection_aliases([models.CreateAliasOperation(create_alias=made)])

    with pytest.raises(StoreUnavailable, match="theirs was not made by a rag-indexer"):
        await passages.record()
    assert await passages.delete()
    assert await names(client) == ["theirs"]
