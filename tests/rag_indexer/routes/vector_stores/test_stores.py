"""Vector stores and files, as the real OpenAI SDK uses them, over a real socket and real Edge."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, NotFoundError

from rag_indexer.adapters.upload_shelf import UploadShelf
from rag_indexer.adapters.wordllama_encoder import WordllamaEncoder
from rag_indexer.domain.ports import Collections, Holder, Passages, no_build
from rag_indexer.domain.store_files import StoreFiles
from rag_indexer.domain.uploads import NewUpload
from sage_contracts import index as wire
from sage_contracts.errors import EncoderAway
from sage_contracts.index import Job
from sage_contracts.vector_stores import PageQuery
from tests.rag_indexer.parts import Desk, edge_desk, written
from tests.rag_indexer.routes.vector_stores.scene import LAMP, PUMP, VALVE, filled, named, sdk

pytestmark = pytest.mark.slow


async def test_a_store_is_filled_searched_and_emptied(client: AsyncOpenAI) -> None:
    store, (pump, lamp) = await filled(client, pump=PUMP, lamp=LAMP)
    hits = (await client.vector_stores.search(store, query="What does a rattling pump need?")).data
    told = await client.vector_stores.retrieve(store)

    assert (hits[0].file_id, hits[0].filename) == (pump, "pump.md")
    assert "bleed valve" in hits[0].content[0].text
    assert 0 < hits[0].score <= 1
    assert (told.file_counts.completed, told.file_counts.total, told.status) == (2, 2, "completed")
    assert told.usage_bytes == len(PUMP) + len(LAMP)

    assert (await client.vector_stores.files.delete(pump, vector_store_id=store)).deleted
    assert (await client.vector_stores.search(store, query="What does a rattling pump need?")).data == []
    assert [file.id async for file in client.vector_stores.files.list(store)] == [lamp]
    assert (await client.files.retrieve(pump)).filename == "pump.md"


async def test_what_nothing_speaks_of_is_an_empty_page(client: AsyncOpenAI) -> None:
    store, _ = await filled(client, pump=PUMP)

    assert (await client.vector_stores.search(store, query="Who won the world cup in 1998?")).data == []


async def test_an_empty_store_is_there_and_finds_nothing(client: AsyncOpenAI) -> None:
    store = await client.vector_stores.create()

    assert (store.status, store.file_counts.total, store.usage_bytes) == ("completed", 0, 0)
    assert (await client.vector_stores.search(store.id, query="pump")).data == []
    assert (await client.vector_stores.retrieve(store.id)).id == store.id


async def test_a_store_can_be_made_with_its_files(client: AsyncOpenAI, desk: Desk) -> None:
    file = await client.files.create(file=named("pump.md", PUMP), purpose="assistants")
    store = await client.vector_stores.create(name="with files", file_ids=[file.id], metadata={"team": "ops"})
    attached = await client.vector_stores.files.poll(file.id, vector_store_id=store.id, poll_interval_ms=20)

    assert (store.name, store.metadata, attached.status) == ("with files", {"team": "ops"}, "completed")
    found = await desk.searches.find(
        wire.SearchRequest(query="a pump that rattles", collection=store.id.removeprefix("vs_"))
    )
    assert found.passages[0].source.path == "uploads/pump.md"


async def test_names_are_kept_changed_and_may_be_had_twice(client: AsyncOpenAI) -> None:
    first = await client.vector_stores.create(name="manuals")
    second = await client.vector_stores.create(name="manuals")
    changed = await client.vector_stores.update(second.id, name="Handbücher", metadata={"a": "b"})

    assert first.id == "vs_manuals"
    assert second.id != first.id
    assert (changed.id, changed.name, changed.metadata) == (second.id, "Handbücher", {"a": "b"})
    assert (await client.vector_stores.update(second.id, metadata={})).name == "Handbücher"


async def test_stores_of_one_name_made_at_once_are_all_there(client: AsyncOpenAI) -> None:
    made = await asyncio.gather(*(client.vector_stores.create(name="twice") for _ in range(4)))

    assert {store.id async for store in client.vector_stores.list()} == {store.id for store in made}
    assert len({store.id for store in made}) == 4


async def test_a_new_store_has_no_files_of_a_deleted_index(client: AsyncOpenAI, desk: Desk) -> None:
    await desk.uploads.add([NewUpload("a.md", PUMP, {})], "manuals", wait=True)
    await desk.builds.delete("manuals")
    store = await client.vector_stores.create(name="manuals")

    assert (store.name, store.file_counts.total) == ("manuals", 0)
    assert (await client.vector_stores.files.list(store.id)).data == []


async def test_stores_are_listed_by_pages(client: AsyncOpenAI) -> None:
    made = [(await client.vector_stores.create(name=name)).id for name in ("one", "two", "three")]

    newest = [store.id async for store in client.vector_stores.list(limit=2)]
    oldest = [store.id async for store in client.vector_stores.list(limit=1, order="asc")]
    before = await client.vector_stores.list(limit=1, order="asc", before=made[2])

    assert newest == made[::-1]
    assert oldest == made
    assert ([store.id for store in before.data], before.has_more) == ([made[1]], True)


async def test_a_collection_is_a_store_as_well(client: AsyncOpenAI, desk: Desk) -> None:
    written(desk.docs, {"lamp.md": LAMP})
    await desk.builds.build(wire.BuildRequest())
    await desk.uploads.add([NewUpload("pump.md", PUMP, {"team": "ops"})], None, wait=True)

    (store,) = (await client.vector_stores.list()).data
    (file,) = (await client.vector_stores.files.list(store.id)).data
    (hit,) = (await client.vector_stores.search(store.id, query="a pump that rattles")).data
    (folder,) = (await client.vector_stores.search(store.id, query="signal lamp amber")).data

    assert (store.id, store.name, store.file_counts.completed) == ("vs_docs", "docs", 2)
    assert (hit.file_id, hit.filename, hit.attributes) == (file.id, "pump.md", {"team": "ops"})
    assert folder.filename == "lamp.md"


async def test_attributes_filter_and_can_be_changed(client: AsyncOpenAI) -> None:
    store, (pump, valve) = await filled(client, pump=PUMP, valve=VALVE)
    await client.vector_stores.files.update(pump, vector_store_id=store, attributes={"site": "north", "level": 2})
    changed = await client.vector_stores.files.update(valve, vector_store_id=store, attributes={"site": "south"})

    async def found(filters: Any) -> set[str]:
        page = await client.vector_stores.search(store, query="the bleed valve", filters=filters)
        return {hit.file_id for hit in page.data}

    north = {"type": "eq", "key": "site", "value": "north"}
    assert changed.attributes == {"site": "south"}
    assert await found(north) == {pump}
    assert await found({"type": "in", "key": "site", "value": ["south", "west"]}) == {valve}
    assert await found({"type": "and", "filters": [north, {"type": "eq", "key": "level", "value": 2}]}) == {pump}
    assert await found({"type": "and", "filters": [north, {"type": "eq", "key": "level", "value": 3}]}) == set()


async def test_a_score_can_be_asked_for(client: AsyncOpenAI) -> None:
    store, _ = await filled(client, pump=PUMP)
    options: Any = {"score_threshold": 1.1}

    assert (await client.vector_stores.search(store, query="pump", ranking_options=options)).data == []


async def test_a_page_of_files_asks_the_index_once(desk: Desk, tmp_path: Path) -> None:
    many = [NewUpload(f"{number}.md", PUMP, {}) for number in range(5)]
    await desk.uploads.add(many, "manuals", wait=True)
    counting = CountingCollections(desk.collections)
    files = StoreFiles(
        shelf=UploadShelf(tmp_path / "data" / "uploads"),
        uploads=desk.uploads,
        files=desk.vector_stores[0],
        builds=desk.builds,
        collections=counting,
    )
    page = await files.listing("manuals", PageQuery(limit=2, filter="completed"))

    assert ([file.status for file in page.data], page.has_more) == (["completed"] * 2, True)
    assert counting.opened == 1


class CountingCollections:
    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self.opened = 0

    async def names(self) -> list[str]:
        return await self._collections.names()

    async def open(self, name: str) -> Passages:
        self.opened += 1
        return await self._collections.open(name)

    def hold(self, name: str, job: Callable[[], Job | None] = no_build) -> AbstractAsyncContextManager[asyncio.Event]:
        return self._collections.hold(name, job)

    async def holder(self, name: str) -> Holder | None:
        return await self._collections.holder(name)


async def test_two_files_of_one_name_are_two_files(client: AsyncOpenAI) -> None:
    store, (pump,) = await filled(client, manual=PUMP)
    second = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store, file=named("manual.md", LAMP), poll_interval_ms=20
    )

    assert {file.id async for file in client.vector_stores.files.list(store)} == {pump, second.id}
    assert (await client.vector_stores.search(store, query="signal lamp amber")).data[0].file_id == second.id


@pytest.mark.parametrize("name", ["notes", "x" * 300 + ".md"])
async def test_files_whose_names_become_the_same_are_files_of_their_own(client: AsyncOpenAI, name: str) -> None:
    store = await client.vector_stores.create()
    files = [await client.files.create(file=named(name, data), purpose="assistants") for data in (PUMP, LAMP, VALVE)]
    for file in files:
        await client.vector_stores.files.create(store.id, file_id=file.id)

    assert {file.id async for file in client.vector_stores.files.list(store.id)} == {file.id for file in files}


async def test_files_of_one_name_attached_at_once_are_all_there(client: AsyncOpenAI) -> None:
    store = await client.vector_stores.create()
    files = [await client.files.create(file=named("README.md", PUMP), purpose="assistants") for _ in range(4)]
    await asyncio.gather(*(client.vector_stores.files.create(store.id, file_id=file.id) for file in files))

    assert {file.id async for file in client.vector_stores.files.list(store.id)} == {file.id for file in files}


async def test_a_file_named_twice_is_attached_once(client: AsyncOpenAI) -> None:
    pump = await client.files.create(file=named("pump.md", PUMP), purpose="assistants")
    store = await client.vector_stores.create(file_ids=[pump.id, pump.id])

    assert [file.id async for file in client.vector_stores.files.list(store.id)] == [pump.id]


async def test_a_file_attached_again_stays_as_it_is(client: AsyncOpenAI) -> None:
    store, (pump,) = await filled(client, pump=PUMP)
    again = await client.vector_stores.files.create(store, file_id=pump, attributes={"ignored": True})

    assert (again.id, again.attributes) == (pump, {})
    assert len((await client.vector_stores.files.list(store)).data) == 1


async def test_a_file_that_cannot_be_read_has_failed_and_says_why(client: AsyncOpenAI) -> None:
    store = await client.vector_stores.create()
    file = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=named("broken.md", b"\0\0\0"), poll_interval_ms=20
    )
    told = await client.vector_stores.retrieve(store.id)
    failed = await client.vector_stores.files.list(store.id, filter="failed")

    assert file.status == "failed"
    assert file.last_error is not None
    assert (file.last_error.code, file.last_error.message) == ("invalid_file", "binary, not text")
    assert (told.file_counts.failed, told.file_counts.completed) == (1, 0)
    assert [one.id for one in failed.data] == [file.id]
    assert (await client.vector_stores.files.list(store.id, filter="completed")).data == []


async def test_a_deleted_store_takes_its_index_and_leaves_the_files(client: AsyncOpenAI, desk: Desk) -> None:
    store, (pump,) = await filled(client, pump=PUMP)

    assert (await client.vector_stores.delete(store)).deleted
    assert await desk.collections.names() == []
    assert (await client.files.retrieve(pump)).id == pump
    with pytest.raises(NotFoundError):
        await client.vector_stores.retrieve(store)
    again, _ = await filled(client, lamp=LAMP)
    assert again == store
    assert (await client.vector_stores.search(again, query="a pump that rattles")).data == []


async def test_files_are_kept_listed_and_given_back(client: AsyncOpenAI) -> None:
    pump = await client.files.create(file=named("pump.md", PUMP), purpose="assistants")
    lamp = await client.files.create(file=named("../lamp.md", LAMP), purpose="user_data")

    assert (pump.bytes, pump.filename, pump.purpose, pump.status) == (len(PUMP), "pump.md", "assistants", "processed")
    assert lamp.filename == "lamp.md"
    assert {file.id async for file in client.files.list(limit=1)} == {pump.id, lamp.id}
    assert [file.id async for file in client.files.list(purpose="user_data")] == [lamp.id]
    assert (await client.files.content(pump.id)).content == PUMP
    assert (await client.files.delete(pump.id)).deleted
    with pytest.raises(NotFoundError):
        await client.files.retrieve(pump.id)


async def test_a_deleted_file_is_in_no_store_any_more(client: AsyncOpenAI) -> None:
    store, (pump, _) = await filled(client, pump=PUMP, lamp=LAMP)
    await client.files.delete(pump)

    assert (await client.vector_stores.search(store, query="a pump that rattles")).data == []
    with pytest.raises(NotFoundError):
        await client.vector_stores.files.retrieve(pump, vector_store_id=store)


async def test_what_could_not_be_indexed_has_failed_in_its_store_as_well(tmp_path: Path) -> None:
    async with edge_desk(tmp_path) as desk, sdk(desk) as client:
        desk.encoder.fails_with = EncoderAway("the encoder is away")
        store = await client.vector_stores.create(name="manuals")
        file = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("pump.md", PUMP), poll_interval_ms=20
        )
        told = await client.vector_stores.retrieve(store.id)
        desk.encoder.fails_with = None
        lamp = await client.files.create(file=named("lamp.md", LAMP), purpose="assistants")
        next_one = await client.vector_stores.files.create(store.id, file_id=lamp.id)
        done = await client.vector_stores.files.poll(lamp.id, vector_store_id=store.id, poll_interval_ms=20)

    assert (next_one.last_error, done.status) == (None, "completed")  # in progress, or already done
    assert (file.status, told.status) == ("failed", "completed")
    assert (told.file_counts.failed, told.file_counts.in_progress, told.file_counts.total) == (1, 0, 1)


async def test_stores_and_files_outlive_the_service(tmp_path: Path) -> None:
    async with edge_desk(tmp_path, encoder=WordllamaEncoder()) as first, sdk(first) as client:
        store, (pump,) = await filled(client, pump=PUMP)
        await client.vector_stores.update(store, metadata={"a": "b"})
    async with edge_desk(tmp_path, encoder=WordllamaEncoder()) as second, sdk(second) as client:
        told = await client.vector_stores.retrieve(store)
        hits = (await client.vector_stores.search(store, query="a pump that rattles")).data

    assert (told.name, told.metadata) == ("manuals", {"a": "b"})
    assert hits[0].file_id == pump
