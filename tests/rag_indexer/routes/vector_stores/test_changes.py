"""Vector stores that are changed, deleted and built at once."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openai import AsyncOpenAI, ConflictError, NotFoundError

from rag_indexer.adapters.store_cards import StoreCards
from rag_indexer.adapters.upload_shelf import UploadShelf
from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from rag_indexer.app import vector_stores
from rag_indexer.domain.uploads import NewUpload, Upload, Uploads
from rag_indexer.domain.vector_stores import Card, VectorStores
from sage_contracts.errors import CollectionNotFound
from sage_contracts.vector_stores import NewStoreFile, StoreChange, StoreFileChange
from tests.rag_indexer.parts import Desk, edge_desk
from tests.rag_indexer.routes.vector_stores.scene import LAMP, PUMP, filled, named, sdk

pytestmark = pytest.mark.slow


class HeldShelf(UploadShelf):
    """What is put there waits."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def put(self, collection: str, upload_id: str, new: NewUpload) -> Upload:
        self.reached.set()
        await self.go.wait()
        return await super().put(collection, upload_id, new)


@pytest.mark.parametrize("attach", [True, False])
async def test_what_is_put_into_a_store_while_that_is_deleted_is_not_kept(
    client: AsyncOpenAI, desk: Desk, tmp_path: Path, attach: bool
) -> None:
    store, (pump,) = await filled(client, pump=PUMP)
    lamp = await client.files.create(file=named("lamp.md", LAMP), purpose="assistants")
    shelf = HeldShelf(tmp_path / "data" / "uploads")
    _, _, other = vector_stores(
        tmp_path / "data",
        collections=desk.collections,
        builds=desk.builds,
        renewals=desk.renewals,
        uploads=Uploads(shelf, desk.renewals, suffixes={".md"}, max_bytes=1_000),
        shelf=shelf,
        searches=desk.searches,
    )
    if attach:
        putting = asyncio.create_task(other.attach(store, NewStoreFile(file_id=lamp.id)))
    else:
        putting = asyncio.create_task(other.change_file(store, pump, StoreFileChange(attributes={})))
    await shelf.reached.wait()
    await client.vector_stores.delete(store)
    shelf.go.set()
    with pytest.raises(CollectionNotFound):
        await putting
    await desk.renewals.refresh()

    assert (await desk.uploads.listing("manuals")).documents == []
    assert (await desk.builds.status("manuals")).status == "not_found"


class HeldCards(StoreCards):
    """What is put there waits."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def put(self, card: Card) -> None:
        self.reached.set()
        await self.go.wait()
        await super().put(card)


async def test_a_store_that_is_changed_while_it_is_deleted_is_gone(
    client: AsyncOpenAI, desk: Desk, tmp_path: Path
) -> None:
    store = (await client.vector_stores.create(name="manuals")).id
    files, store_files, _ = desk.vector_stores
    cards = HeldCards(tmp_path / "data" / "vector-stores")
    stores = VectorStores(
        cards=cards,
        collections=desk.collections,
        builds=desk.builds,
        renewals=desk.renewals,
        searches=desk.searches,
        files=files,
        store_files=store_files,
        new_id=lambda: "0" * 24,
        now=lambda: datetime.now(UTC),
    )
    changing = asyncio.create_task(stores.change(store, StoreChange(name="new")))
    await cards.reached.wait()
    deleting = asyncio.create_task(stores.delete(store))
    await asyncio.sleep(0.1)
    cards.go.set()
    await asyncio.wait([changing, deleting])

    assert [one.id async for one in client.vector_stores.list()] == []


async def test_a_store_that_another_process_builds_is_not_deleted_and_keeps_its_files(
    client: AsyncOpenAI, desk: Desk
) -> None:
    store, (pump,) = await filled(client, pump=PUMP)
    async with desk.collections.hold("manuals"):
        with pytest.raises(ConflictError):
            await client.vector_stores.delete(store)
    await desk.renewals.renew("manuals")

    assert [file.id async for file in client.vector_stores.files.list(store)] == [pump]
    assert (await client.vector_stores.search(store, query="a pump that rattles")).data[0].file_id == pump


async def test_a_file_that_one_store_could_not_give_up_is_deleted_from_all_the_next_time(tmp_path: Path) -> None:
    async with edge_desk(tmp_path, encoder=WordllamaEncoder(), pause=0.01) as desk, sdk(desk) as client:
        store, (pump,) = await filled(client, pump=PUMP)
        other = (await client.vector_stores.create(name="others", file_ids=[pump])).id
        await desk.renewals.renew("others")
        async with desk.collections.hold("manuals"), desk.collections.hold("others"):
            with pytest.raises(ConflictError):
                await client.files.delete(pump)
        assert (await client.files.delete(pump)).deleted
        async with asyncio.timeout(30):
            for one in (store, other):
                while (await client.vector_stores.search(one, query="a pump that rattles")).data:
                    await asyncio.sleep(0.01)

        with pytest.raises(NotFoundError):
            await client.files.retrieve(pump)
