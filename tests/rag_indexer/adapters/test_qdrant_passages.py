"""What only a Qdrant server has: collections that others may change between two calls."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from httpx import Headers
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_indexer.adapters.qdrant_passages import QdrantPassages
from rag_indexer.domain.documents import EVERYTHING
from sage_contracts.errors import StoreUnavailable
from tests.rag_indexer.parts import DIMENSIONS, entry, query, record

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


async def publish(passages: QdrantPassages, text: str) -> None:
    draft = await passages.draft(DIMENSIONS)
    await draft.add([entry("a.md", text)])
    await draft.publish(record(), {"a.md": "h"})


async def found(passages: QdrantPassages, text: str) -> list[str]:
    return [hit.passage.text for hit in (await passages.search(query(text), limit=5, chosen=EVERYTHING)).sparse]


async def names(client: AsyncQdrantClient) -> list[str]:
    return [one.name for one in (await client.get_collections()).collections]


async def test_versions_are_collections_read_through_an_alias(passages: QdrantPassages, client: Interrupted) -> None:
    await publish(passages, "a zebra")
    await publish(passages, "a giraffe")
    (alias,) = (await client.get_aliases()).aliases

    assert (alias.alias_name, alias.collection_name) == ("docs", "docs@2")
    assert await names(client) == ["docs@2"]


async def test_what_a_killed_build_left_is_removed_by_the_next_one(
    passages: QdrantPassages, client: Interrupted
) -> None:
    await publish(passages, "a zebra")
    await passages.draft(DIMENSIONS)
    await publish(passages, "a giraffe")

    assert await names(client) == ["docs@3"]


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
